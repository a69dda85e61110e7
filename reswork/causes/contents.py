"""What a look shows: sentences, tables and figures."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from reswork import figures
from reswork.causes.why import Why
from reswork.causes.words import by_strength
from reswork.errors import InvalidSetting
from reswork.probes.outline import outline
from reswork.reporting.contents import Content, image_names, small

_PER_STAGE = 8  # neighbours that are shown


def contents(why: Why, name: str) -> Iterator[Content]:
    """What one look shows, in order; it is computed if it was not yet.

    Args:
        why: whose.
        name: of the look, or ``"answer"``.
    """
    yield from (each for each in _CONTENTS[name](why) if each)


def paragraph_html(why: Why) -> str:
    """What was found so far in words, all names escaped."""
    rows = []
    for head, sentences in by_strength(why.remarks()):
        begin = f"<b>{head}</b> " if head else ""
        rows.append(f"<p>{begin}{escape(' '.join(sentences))}</p>")
    return "".join(rows)


def _answer(why: Why) -> Iterator[Content]:
    case = why.case
    title = "your picture" if case.index is None else f"{case.split} image {case.index}"
    if case.label is not None:
        title = f"{title}\n{case.data.classes[case.label]}"
    yield {
        "The image": figures.image_grid(small(case.image[None]), [title], title="The image"),
        "Best answers": figures.top_answers(why.answer(), case.data.classes),
    }


def _flips(why: Why) -> Iterator[Content]:
    classes = why.case.data.classes
    found = [flip for flip in why.flips() if flip.image is not None]
    if not found:
        yield "<p>Nothing that was tried turns the answer.</p>"
        return
    images = np.stack([why.case.image, *(flip.image for flip in found if flip.image is not None)])
    titles = [
        f"as it is\n{classes[why.answer().predicted]}",
        *(f"{flip.kind}\n{classes[flip.answer]}" for flip in found),
    ]
    yield {
        "The smallest changes that turn it": figures.image_grid(
            small(images), titles, title="Changes that turn it"
        )
    }


def _neighbours(why: Why) -> Iterator[Content]:
    found, case = why.neighbours(), why.case
    classes, answer = case.data.classes, case.answer
    yield {"What near images speak for": figures.votes(found, classes, (answer.predicted, answer.other))}
    count = min(_PER_STAGE, found.images.shape[1])
    rows = found.images[:, :count].reshape(-1)
    titles = [
        f"{classes[k]}\n{likeness:.2f}"
        for k, likeness in zip(
            found.labels[:, :count].reshape(-1), found.similarity[:, :count].reshape(-1), strict=True
        )
    ]
    images = np.stack([case.data.train.images[int(row)].cpu().numpy() for row in rows])
    names = image_names(rows, "train")
    layers = escape(", ".join(found.layers))
    yield f"<p>The nearest after {layers}, a row each, with their labels and their likeness:</p>"
    title = "Training images like it"
    yield {title: figures.image_grid(small(images), titles, columns=count, title=title, names=names)}


def _turning(why: Why) -> Iterator[Content]:
    yield {"Where the answer turned": figures.turning(why.turning(), why.case.data.classes)}


def _carriers(why: Why) -> Iterator[Content]:
    found, case = why.carriers(), why.case
    drawn = {}
    try:
        sheet = outline(case.net, case.inputs)
    except InvalidSetting:
        sheet = None
    if sheet is not None and sheet.blocks:
        for kind, title in (("block", "Margin without each block"), ("shortcut", "Margin without shortcuts")):
            if values := found.values(kind):  # type: ignore[arg-type]
                drawn[title] = figures.network(sheet, values, change_of=title)
    yield drawn
    yield {"Parts taken out": figures.carriers(found, case.data.classes)}
    if found.fixed:
        yield f"<p>These cannot be taken out, as they change the shape: {escape(', '.join(found.fixed))}.</p>"


def _look_alike(why: Why) -> Iterator[Content]:
    found, case = why.look_alike(), why.case
    images = np.stack([case.image, case.data.train.images[found.image].cpu().numpy()])
    name = case.data.classes[found.label]
    yield {
        "The image and its look-alike": figures.image_grid(
            small(images), ["this image", f"train {found.image}\n{name}"], title="The look-alike",
            names=["", *image_names([found.image], "train")],
        ),
        "Where the two part": figures.parting(found, case.data.classes),
    }  # fmt: skip


def _maps(why: Why) -> Iterator[Content]:
    found, case = why.maps(), why.case
    yield {
        "Where it looked": figures.attribution_maps(
            case.image[None], [maps for maps, _ in found], case.data.classes, title="Where it looked"
        )
    }
    rows = [
        (maps.label, _target(trust.target, case.data.classes), trust.finding, trust.verdict)
        for maps, trusts in found
        for trust in trusts
    ]
    body = "".join(
        f"<tr><td>{escape(label)}</td><td>{escape(target)}</td><td>"
        f'<b class="reswork-{finding.replace(" ", "-")}">{finding}</b>: '
        f"{escape(verdict)}</td></tr>"
        for label, target, finding, verdict in rows
    )
    head = '<tr><th scope="col">method</th><th scope="col">speaks for</th><th scope="col">trust</th></tr>'
    yield f'<table class="reswork-trust">{head}{body}</table>'
    notes = dict.fromkeys(note for maps, _ in found for note in maps.notes)
    yield "".join(f"<p>{escape(note)}</p>" for note in notes)


def _target(target: str, classes: Sequence[str]) -> str:
    return " rather than ".join(classes[int(part)] for part in target.split(" - "))


_CONTENTS: dict[str, Callable[[Why], Iterator[Any]]] = {
    "answer": _answer,
    "flips": _flips,
    "neighbours": _neighbours,
    "turning": _turning,
    "carriers": _carriers,
    "look_alike": _look_alike,
    "maps": _maps,
}
