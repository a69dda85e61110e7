"""What was found, in sentences: each with its strength, its numbers, and the threshold that decided."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reswork.causes.case import Case
from reswork.results.attributions import Attribution, Trust
from reswork.results.causes import (
    Carriers,
    Flip,
    LookAlike,
    Neighbours,
    PartKind,
    Remark,
    Strength,
    TopAnswers,
    Turning,
)

_KEPT = 0.5  # share of other right answers that must stay, or the part does more than carry this one
_PART = 0.5  # share of the margin that a part must take back to be named as carrying some of it
_VOTES = 0.5  # share of the votes that speaks clearly for a class
_EVEN = 0.5  # margin of logits below which an answer is nearly even: then small changes of any kind turn it
_MANY = (
    0.25  # share of all parts of a kind that each turn the answer, from which on none of them is the cause
)
_SHOWN = 0.01  # share of the image from which on a patch is large enough to compare a map with
_TOP = 0.05  # share of a map's pixels that counts as where it points

ABOUTS = ("maps", "neighbours", "turning", "carriers", "flips", "look_alike")
_MISSED = {
    "maps": "where in the image it looked",
    "neighbours": "which training images are like it",
    "turning": "at which block the answer turned",
    "carriers": "which parts of the network carry it",
    "flips": "what turns the answer",
    "look_alike": "where it parts from a look-alike",
}


def remarks(case: Case, found: dict[str, Any], missing: dict[str, str]) -> tuple[Remark, ...]:
    """One sentence or a few for each look.

    Args:
        case: what is explained.
        found: name of the look to its result, of those that were computed.
        missing: name to what it lacked, of those that cannot be.
    """
    classes = case.data.classes
    even = -case.answer.margin < _EVEN
    made: list[Remark] = [_answer(case.answer, classes)]
    writers = {
        "maps": lambda result: _maps(result, found.get("flips"), classes),
        "neighbours": lambda result: _neighbours(result, case.answer, classes),
        "turning": lambda result: _turning(result, classes),
        "carriers": lambda result: _carriers(result, classes),
        "flips": lambda result: _flips(result, classes, even),
        "look_alike": lambda result: _look_alike(result, classes),
    }
    for about in ABOUTS:
        if about in found:
            made += writers[about](found[about])
        elif about in missing:
            made.append(Remark(about, "cannot say", f"It cannot be said {_MISSED[about]}: {missing[about]}."))
    waiting = [_MISSED[about] for about in ABOUTS if about not in found and about not in missing]
    if waiting:
        made.append(Remark("waiting", "cannot say", f"Not looked at yet: {'; '.join(waiting)}."))
    return tuple(made)


def by_strength(made: Sequence[Remark]) -> list[tuple[str, list[str]]]:
    """Sentences by how much they say, each group with the words that begin it; what is strong has none."""
    heads = {
        "strong": "",
        "weak": "Weaker signs:",
        "nothing": "Looked for and not found:",
        "cannot say": "Cannot be said:",
    }
    groups = [
        (head, [each.sentence for each in made if each.strength == strength])
        for strength, head in heads.items()
    ]
    return [(head, sentences) for head, sentences in groups if sentences]


def _answer(answer: TopAnswers, classes: Sequence[str]) -> Remark:
    said, sure = classes[answer.predicted], f"{100 * answer.probabilities[0]:.0f} %"
    other = classes[answer.other]
    if answer.label is None:
        told = f"The answer is {said} ({sure}). The true class is not known; the second best, {other}, is compared"
    elif answer.wrong:
        told = f"The answer is {said} ({sure}), and it is {other}"
        place = np.flatnonzero(answer.best == answer.other)
        told += (
            f", which has {100 * answer.probabilities[place[0]]:.1f} %"
            if len(place)
            else ", not among the best five"
        )
    else:
        told = f"The answer, {said} ({sure}), is right; it is compared with the second best, {other}"
    told = f"{told}. {other} is behind by {-answer.margin:.2f} (margin of logits)"
    if -answer.margin < _EVEN:
        told += f": the two are nearly even (less than {_EVEN}), so that changes of many kinds turn it"
    return Remark("answer", "strong", f"{told}.")


def pointed(map_: np.ndarray) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right of the box around a map's strongest twentieth of pixels; None for a map without any."""
    positive = np.maximum(np.nan_to_num(map_), 0)
    if positive.max(initial=0) <= 0:
        return None
    limit = np.quantile(positive, 1 - _TOP)
    rows, columns = np.nonzero(positive >= max(limit, np.finfo(np.float32).tiny))
    # the middle nine tenths: one far pixel does not make the box
    top, bottom = np.quantile(rows, (0.05, 0.95))
    left, right = np.quantile(columns, (0.05, 0.95))
    return round(float(top)), round(float(left)), round(float(bottom)) + 1, round(float(right)) + 1


def _maps(
    found: tuple[tuple[Attribution, tuple[Trust, ...]], ...],
    flips: Sequence[Flip] | None,
    classes: Sequence[str],
) -> list[Remark]:
    made = []
    for maps, trust in found:
        of, _, against = maps.targets[2].partition(" - ")
        why = f"{classes[int(of)]} rather than {classes[int(against)]}"
        box, verdict = pointed(maps.maps[2]), trust[2].finding
        if box is None:
            made.append(Remark("maps", "nothing", f"{maps.label} finds nothing that speaks for {why}."))
            continue
        told = f"{maps.label} for {why} points at rows {box[0]} to {box[2] - 1}, columns {box[1]} to {box[3] - 1}"
        patch = next((flip for flip in flips or () if flip.kind == "patch" and flip.found), None)
        if patch is not None and patch.amount**2 >= _SHOWN * np.prod(maps.size):
            (top, left), side = patch.place, int(patch.amount)
            inside = np.zeros(maps.size, bool)
            inside[top : top + side, left : left + side] = True
            share = float(maps.mass_inside(np.repeat(inside[None], len(maps), axis=0))[2])
            area = f"{100 * inside.mean():.0f} % of the image"
            told += f"; {100 * share:.0f} % of what speaks for it lies in the patch that turns the answer ({area})"
        if verdict == "passed":
            made.append(Remark("maps", "strong", f"{told} (the map passed its checks)."))
        elif verdict == "doubtful":
            made.append(Remark("maps", "weak", f"{told} (take it with care: the trust meter is doubtful)."))
        else:
            made.append(
                Remark(
                    "maps", "cannot say", f"{told}, but the map failed the trust meter: do not rest on it."
                )
            )
    return made


def _neighbours(found: Neighbours, answer: TopAnswers, classes: Sequence[str]) -> list[Remark]:
    if not found.believed.any():
        return [
            Remark(
                "neighbours",
                "cannot say",
                "Near images speak for their class no better than chance at any stage.",
            )
        ]
    said, other = classes[answer.predicted], classes[answer.other]
    stage = int(np.flatnonzero(found.believed)[-1])
    votes = found.votes[stage]
    own = int((found.labels[stage] == answer.other).sum())
    told = (
        f"At {found.layers[stage]}, {100 * votes[answer.predicted]:.0f} % of the votes of the "
        f"{found.labels.shape[1]} nearest of "
        f"{found.sample:,} training images are for {said}, {100 * votes[answer.other]:.0f} % for {other} "
        f"({own} of them are {other}; "
        f"such votes are right for {100 * found.accuracy[stage]:.0f} %)"
    )
    if votes[answer.predicted] > _VOTES:
        led = [layer for layer, row, good in zip(found.layers, found.votes, found.believed, strict=True)
               if good and row[answer.other] > row[answer.predicted]]  # fmt: skip
        early = f"; at {', '.join(led)} {other} was ahead" if led else ""
        return [Remark("neighbours", "strong", f"{told}{early}.")]
    if votes[answer.other] > _VOTES:
        return [
            Remark(
                "neighbours",
                "weak",
                f"{told}: its neighbours speak against the answer; look at what comes behind.",
            )
        ]
    return [Remark("neighbours", "nothing", f"{told}: no class has more than half of them.")]


def _turning(found: Turning, classes: Sequence[str]) -> list[Remark]:
    said, other = classes[found.predicted], classes[found.other]
    made = []
    for reader, who in (("probe", "a linear probe"), ("head", "the network's own head")):
        accuracy = found.probe_accuracy if reader == "probe" else found.head_accuracy
        margin = found.probe_margin if reader == "probe" else found.head_margin
        believed = found.believed(reader)  # type: ignore[arg-type]
        places = np.flatnonzero(believed & np.isfinite(margin))
        if not len(places):
            reason = (
                "cannot read the stream after any block"
                if np.isnan(margin).all()
                else "is not better than chance anywhere"
            )
            made.append(
                Remark(
                    "turning",
                    "cannot say",
                    f"By {who} it cannot be said where the answer turned: it {reason}.",
                )
            )
            continue
        turned = found.turned(reader)  # type: ignore[arg-type]
        first = (
            f"believed from {found.blocks[places[0]]} on, where it is right for {100 * accuracy[places[0]]:.0f} %, "
            f"chance {100 * found.chance:.0f} %"
        )
        if turned is not None:
            made.append(
                Remark("turning", "strong" if reader == "probe" else "weak",
                       f"Read by {who} the answer turned from {other} to {said} at {found.blocks[turned]} "
                       f"(there it is right for {100 * accuracy[turned]:.0f} % of other images; {first}).")
            )  # fmt: skip
        elif margin[places[-1]] > 0:
            made.append(Remark("turning", "weak", f"Read by {who}, {other} is ahead of {said} up to the "
                                                  f"last block: what makes the "
                               f"mistake lies behind it, or in what the reader does not see ({first})."))  # fmt: skip
        else:
            made.append(Remark("turning", "nothing", f"Read by {who}, {said} is ahead of {other} from "
                                                     f"the first block that can be "
                               f"believed: no block turns the answer ({first})."))  # fmt: skip
    return made


def _carriers(found: Carriers, classes: Sequence[str]) -> list[Remark]:
    made = []
    kinds: tuple[tuple[PartKind, str], ...] = (
        ("block", "block"),
        ("shortcut", "shortcut"),
        ("channel", "channel"),
    )
    for kind, word in kinds:
        rows = found.rows(kind)
        if not len(rows):
            made.append(Remark("carriers", "cannot say", f"No {word} can be taken out of this network."))
            continue
        made.append(_carrier(found, rows, word, classes))
    return made


def _carrier(found: Carriers, rows: np.ndarray, word: str, classes: Sequence[str]) -> Remark:
    said, other = classes[found.predicted], classes[found.other]
    turning = [row for row in rows if found.answers[row] == found.other]
    clean = [row for row in turning if not found.kept[row] < _KEPT and np.isfinite(found.kept[row])]
    if clean:
        best = max(clean, key=lambda row: (round(float(found.kept[row]), 2), float(found.change[row])))
        more = f"; the same holds for {len(clean) - 1} more" if len(clean) > 1 else ""
        strength: Strength = "strong"
        if found.change[best] < _EVEN:
            strength = "weak"
        if len(turning) > max(2, _MANY * len(rows)):
            strength = "weak"
            more = f"; {len(turning)} of {len(rows)} each turn it alone, so that no single one is the cause"
        return Remark(
            "carriers", strength,
            f"Without {found.label(best)} the answer is {other} (margin {found.margin:+.2f} becomes "
            f"{found.margin + found.change[best]:+.2f}), and {100 * found.kept[best]:.0f} % of "
            f"{found.controls} other right answers stay{more}.",
        )  # fmt: skip
    best = int(rows[0])
    share = float(found.change[best]) / max(-found.margin, 1e-9)
    breaks = f" (no {word} turns it to {other} and leaves at least half of the other right answers)"
    if turning:
        row = max(turning, key=lambda each: float(found.change[each]))
        kept = (
            f"only {100 * found.kept[row]:.0f} % of other right answers stay"
            if np.isfinite(found.kept[row])
            else "others were not asked"
        )
        return Remark("carriers", "weak", f"Without {found.label(row)} the answer is {other}, but "
                                          f"{kept}: that says little of this image"
                      f"{breaks}.")  # fmt: skip
    kept = (
        f", and {100 * found.kept[best]:.0f} % of other right answers stay"
        if np.isfinite(found.kept[best])
        else ""
    )
    if share >= _PART:
        return Remark("carriers", "weak", f"No single {word} carries it; the strongest, "
                                          f"{found.label(best)}, takes back {100 * share:.0f} % "
                      f"of the margin{kept}.")  # fmt: skip
    if share > 0:
        return Remark("carriers", "nothing", f"No single {word} carries it: the strongest, "
                                             f"{found.label(best)}, takes back "
                      f"{100 * share:.0f} % of the margin (half would be named).")  # fmt: skip
    return Remark(
        "carriers",
        "nothing",
        f"No single {word} carries it: without any of them {said} stays as far ahead of {other}.",
    )


def _flips(found: Sequence[Flip], classes: Sequence[str], even: bool) -> list[Remark]:
    made = []
    for flip in found:
        if not flip.found:
            unit = "of 255 in brightness" if flip.kind == "brightness" else "pixels"
            what = {"patch": "covered square", "shift": "shift", "brightness": "change"}[flip.kind]
            made.append(
                Remark(
                    "flips",
                    "nothing",
                    f"No {what} of up to {flip.limit:.0f} {unit} turns the answer ({flip.tested}).",
                )
            )
            continue
        then = classes[flip.answer]
        if flip.kind == "patch":
            side, (top, left) = int(flip.amount), flip.place
            share = side * side / (flip.image.shape[1] * flip.image.shape[2]) if flip.image is not None else 0
            told = (f"A square of {side}x{side} pixels ({100 * share:.1f} % of the image) at row {top}, "
                    f"column {left} in the mean colour "
                    f"makes it {then}")  # fmt: skip
            strong = share < 0.1
        elif flip.kind == "shift":
            down, right = flip.place
            sides = ((down, "down" if down > 0 else "up"), (right, "right" if right > 0 else "left"))
            ways = [f"{abs(by)} pixel{'s' if abs(by) > 1 else ''} {way}" for by, way in sides if by]
            told = f"A shift by {' and '.join(ways)} makes it {then}"
            strong = flip.amount <= 0.05 * (flip.image.shape[2] if flip.image is not None else 0)
        else:
            told = (
                f"{abs(flip.amount):.0f} of 255 {'brighter' if flip.amount > 0 else 'darker'} makes it {then}"
            )
            strong = abs(flip.amount) <= 16
        made.append(Remark("flips", "strong" if strong and not even else "weak", f"{told} ({flip.tested})."))
    return made


def _look_alike(found: LookAlike, classes: Sequence[str]) -> list[Remark]:
    name, who = classes[found.label], f"training image {found.image}"
    if found.parted is None:
        return [Remark("look_alike", "nothing", f"It does not part from {who}, a {name} that is answered "
                                                f"rightly: at the last block they "
                       f"are no farther from each other than 95 % of {found.count} such images.")]  # fmt: skip
    block = found.blocks[found.parted]
    return [
        Remark(
            "look_alike", "strong",
            f"It parts from {who}, the {name} answered rightly that is nearest at the end, at {block}: "
            f"from there on they are farther from "
            f"each other ({found.distance[found.parted]:.2f} there) than 95 % of pairs of {found.count} such images "
            f"({found.limit[found.parted]:.2f}).",
        )
    ]  # fmt: skip
