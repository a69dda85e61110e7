"""The model card that goes with an artefact, as Markdown."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reswork.datasets.inputs import ONE, InputKind
from reswork.shipping.engines import CHANNELS_LAST
from reswork.shipping.output_form import output_form
from reswork.tasks import Evaluation, metrics_of

_BY_CLASS = {"classification": "found (recall)", "segmentation": "IoU", "detection": "average precision"}
_THRESHOLDS = {
    "verification": "of the pairs of two identities 1 % at most have a cosine of {:.4g} or more.",
    "anomalies": "5 % of the first half of the good test images have a score above {:.4g}.",
}
_MOST_CLASSES = 200  # rows
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|&$!])")


def card_text(facts: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> str:
    """The card.

    Args:
        facts: what ``model.json`` holds.
        files: name -> length and hash of every other file.
    """
    return "\n".join(_lines(facts, files)) + "\n"


def by_class(evaluation: Evaluation, classes: Sequence[str]) -> list[dict[str, Any]]:
    """How each class is answered: name, ``score``, and with a confusion matrix ``precision`` and ``count``."""
    rows: list[dict[str, Any]] = [{"class": name, "score": None} for name in classes]
    for row, value in zip(rows, evaluation.by_class.tolist(), strict=False):
        row["score"] = value if np.isfinite(value) else None
    confusion = evaluation.tables.get("confusion")
    if confusion is not None:
        for k, row in enumerate(rows):
            called = int(confusion[:, k].sum())
            row["precision"] = float(confusion[k, k]) / called if called else None
            row["count"] = int(confusion[k].sum())
    return rows


def _lines(facts: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    data, decoder, proof = facts["data"], facts["decoder"], facts["proof"]
    yield f"# {_plain(facts['label'])}, trained on {_plain(data['name'])}"
    yield ""
    yield f"`{facts['file']}`: {_plain(facts['told'])}; {facts['parameters']:,} parameters. {_plain(facts['origin'])}"
    yield f"Written by reswork {facts['versions']['reswork']} on {facts['created'][:10]}."
    yield ""
    yield "## To use it"
    yield ""
    given = {"images": "picture.jpg", "tokens": "'a text'"}.get(_kind(facts), "inputs.npy")
    yield f"`python example.py {given}` answers and needs no reswork. With reswork,"
    yield "`reswork check FOLDER` compares every file with its hash, and every kept answer with a new one."
    yield ""
    yield from _inputs(facts) if decoder is None else _pictures(facts)
    last, classes, *sides = facts["format"] in CHANNELS_LAST, *map(str, facts["output_shape"][1:])
    of_answer = ", ".join(("N", *sides, classes) if last else ("N", classes, *sides))
    form = output_form(facts["task"])
    yield f"Output `{form.name}`: float32 ({of_answer}), {form.meaning}."
    yield "The same stands in `model.json`, for programs."
    yield ""
    yield "## Data"
    yield ""
    many = f"{ONE[_kind(facts)]}s"
    yield f"{_plain(data['summary'])} Learned from {data['train']:,} {many}, judged on {data['test']:,} others."
    yield f"Hash of {many}, targets and classes: `{data['hash']}`."
    yield ""
    yield "## Recipe"
    yield ""
    if facts["recipe"] is None:
        yield "Not known: the network was given without a run."
    else:
        yield (
            ", ".join(
                f"{name} {_plain(value)}" for name, value in facts["recipe"].items() if value is not None
            )
            + "."
        )
    yield ""
    yield "## How good it is"
    yield ""
    yield from _scores(facts)
    yield ""
    yield "## Limits"
    yield ""
    yield "- The numbers are of a test split of the same source as what was learned from; elsewhere they will be lower."
    yield from (f"- {limit}" for limit in form.limits)
    yield from (f"- {_plain(limit)}" for limit in facts["limits"])
    yield ""
    yield "## Licence"
    yield ""
    yield _plain(facts["licence"])
    yield ""
    yield "## How it was proved"
    yield ""
    yield f"Before it was called done: {_plain(proof['sentence'])}."
    where = "of these pictures lie in `examples/`, with" if decoder is not None else "of them lie, with"
    yield f"{proof['kept']} {where} the network's own answers in `examples.npz`."
    yield ""
    yield "| file | bytes | sha256 |"
    yield "|---|---|---|"
    for name in sorted(files):
        yield f"| {name} | {files[name]['bytes']:,} | `{files[name]['sha256']}` |"


def _kind(facts: Mapping[str, Any]) -> InputKind:
    found: InputKind = facts.get("inputs", {}).get("kind", "images")  # older folders have none
    return found


def _inputs(facts: Mapping[str, Any]) -> Iterator[str]:
    """What goes in where that is no picture."""
    known, shape = facts["inputs"], ", ".join(map(str, facts["inputs"]["shape"]))
    yield f"Input `inputs`: float32 (N, {shape}), N of any size: {_plain(known['kind'])} as the data set holds them, in"
    yield "their own unit; means and deviations of what was learned from are part of the file."
    if known["kind"] == "tokens":
        yield "Each number is the place of a sign or a word in `names` of `model.json`; 0 fills up, 1 is any other one."
    elif known["names"]:
        yield f"In this order: {', '.join(map(_plain, known['names']))}."


def _pictures(facts: Mapping[str, Any]) -> Iterator[str]:
    decoder, last = facts["decoder"], facts["format"] in CHANNELS_LAST
    (height, width), colour = decoder["size"], "grey" if decoder["channels"] == 1 else "colour"
    of_image = (
        f"{height}, {width}, {decoder['channels']}" if last else f"{decoder['channels']}, {height}, {width}"
    )
    if facts.get("picture"):
        of_image = f"{decoder['channels']}, H, W"
    free = "N, H and W" if facts.get("picture") else "N"
    yield f"Input `images`: float32 (N, {of_image}){', channels last' if last else ''}, {free} of any size."
    if facts.get("picture"):
        yield f"A picture is turned as its exif says, laid on white where it is transparent, made {colour}, and stays"
        yield "as high and wide as it is; then pixel / 255, from 0 to 1."
        return
    yield f"A picture is turned as its exif says, laid on white where it is transparent, made {colour},"
    yield f"scaled until it covers {height}x{width} pixels (bicubic) and cut around its centre; then, for each channel,"
    yield f"(pixel / 255 - mean) / std with mean {_numbers(decoder['mean'])} and std {_numbers(decoder['std'])}."
    if decoder["value_range"] is not None:
        low, high = decoder["value_range"]
        yield f"Numbers that are no bytes are scaled from {low:,.6g} ... {high:,.6g} to 0 ... 255 first."


def _scores(facts: Mapping[str, Any]) -> Iterator[str]:
    labels = {each.name: each for each in metrics_of(facts["task"])}
    told = []
    for name, value in facts["metrics"].items():
        label, number = (
            (labels[name].label, labels[name].told(value)) if name in labels else (name, f"{value:.4f}")
        )
        told.append(f"{label} {number}")
    interval = facts["interval"]
    if interval is not None:
        low, high = interval
        told[0] += f" (95 % interval {low:.1%} to {high:.1%})"
    yield f"On {facts['data']['test']:,} test {ONE[_kind(facts)]}s: {', '.join(told)}."
    yield ""
    if facts.get("threshold") is not None:
        yield f"Threshold: {_THRESHOLDS[facts['task']].format(facts['threshold'])}"
    rows = facts["by_class"]
    if not rows:
        return
    if any("precision" in row for row in rows):
        unit = "pixels" if facts["task"] == "segmentation" else "images"
        yield f"| class | {unit} | {_BY_CLASS.get(facts['task'], 'score')} | right when named (precision) |"
        yield "|---|---|---|---|"
        for row in rows[:_MOST_CLASSES]:
            yield f"| {_plain(row['class'])} | {row['count']:,} | {_share(row['score'])} | {_share(row['precision'])} |"
    else:
        yield f"| class | {_BY_CLASS.get(facts['task'], 'score')} |"
        yield "|---|---|"
        for row in rows[:_MOST_CLASSES]:
            yield f"| {_plain(row['class'])} | {_share(row['score'])} |"
    if len(rows) > _MOST_CLASSES:
        yield ""
        yield f"{len(rows) - _MOST_CLASSES:,} more classes in `model.json`."


def _share(value: float | None) -> str:
    return "none there" if value is None else f"{value:.1%}"


def _numbers(values: Sequence[float] | None) -> str:
    return "none" if values is None else "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


def _plain(text: object) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _ACTIVE.sub(r"\\\1", " ".join(str(text).split()))
