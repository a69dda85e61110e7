"""Trains the cases one after the other and keeps what the rules are asked about as a line of JSON each."""

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.doctor.faults import FAULTS
from benchmarks.doctor.healthy import healthy
from benchmarks.doctor.plans import (
    DATA,
    FIFTH_DATA,
    FIFTH_NETWORKS,
    FOURTH_DATA,
    FOURTH_NETWORKS,
    NETWORKS,
    SECOND_DATA,
    SECOND_NETWORKS,
    SIXTH_DATA,
    SIXTH_NETWORKS,
    THIRD_DATA,
    THIRD_NETWORKS,
    Plan,
    plan,
)
from reswork.diagnosis.collection import facts_of_run
from reswork.diagnosis.facts import Facts
from reswork.diagnosis.finding import Fix
from reswork.diagnosis.model_facts import answer_facts
from reswork.models.network import resnet
from reswork.recorders import default_recorders
from reswork.training.events import StepDone
from reswork.training.recorder import BaseRecorder, FunctionRecorder
from reswork.training.run import Run

Half = Literal["choose", "judge", "second", "trials", "third", "fourth", "fifth", "sixth"]
STRENGTHS = ("weak", "strong")
# Below 0.9 by kind in the third judging, in recall or precision. `guessing`, the seventh, is a symptom and cannot be
# planted.
WEAK_KINDS = (
    "destructive_augmentation", "no_warmup", "rate_too_high", "drowned_shortcut", "oscillating_loss", "underfitting",
)  # fmt: skip
# Of the sixth set: what the rules about labels have to find, and what could be mistaken for it.
LABEL_KINDS = ("label_noise", "labels_shuffled", "labels_off_by_one", "imbalance")
MISTAKEN_KINDS = (
    "leakage", "overfitting", "underfitting", "destructive_augmentation", "empty_inputs", "test_inputs_differ",
)  # fmt: skip
_TRIED = ("rate_too_high", "oscillating_loss", "saturated_outputs", "label_noise")
_BY_KIND = {fault.kind: fault.plant for fault in FAULTS}


def cases() -> dict[str, Callable[[], Plan]]:
    """Every training by its name: ``kind/network/data/strength``, or ``healthy: sort/network/data``."""
    return first_cases() | {name: made for later in _LATER.values() for name, made in later().items()}


def first_cases() -> dict[str, Callable[[], Plan]]:
    """Those of the two halves."""
    planted = {
        f"{fault.kind}/{network}/{data}/{word}": lambda fault=fault, network=network, data=data, strength=strength: (
            _planted(fault.plant, network, data, strength)
        )
        for fault in FAULTS
        for network in NETWORKS
        for data in DATA
        for strength, word in enumerate(STRENGTHS)
    }
    return {**planted, **healthy()}


def second_cases() -> dict[str, Callable[[], Plan]]:
    """The second set, which judges and nothing else: each kind twice weakly and twice strongly.

    Networks and data sets take turns, so that each kind has both networks and two of the data sets or three, and
    each of the six pairs comes about as often as the others.
    """
    pairs = [(network, data) for data in SECOND_DATA for network in SECOND_NETWORKS]
    turns = [pairs[place] for place in (0, 3, 4, 1, 2, 5)]
    planted = {}
    for place, fault in enumerate(FAULTS):
        for strength, word in enumerate(STRENGTHS):
            for step in (0, 1):
                network, data = turns[(place + 3 * strength + step) % len(turns)]
                planted[f"{fault.kind}/{network}/{data}/{word}"] = (
                    lambda fault=fault, network=network, data=data, strength=strength: _planted(
                        fault.plant, network, data, 2 + strength
                    )
                )
    return {**planted, **healthy("second")}


def trials() -> dict[str, Callable[[], Plan]]:
    """More to work on: other strengths of four kinds, and every kind once weakly and once strongly on other images."""
    found = {
        f"{kind}/{network}/{data}/trial {number}": lambda kind=kind, network=network, data=data, number=number: (
            _planted(_BY_KIND[kind], network, data, number - 2)
        )
        for kind in _TRIED
        for network in NETWORKS
        for data in DATA
        for number in (0, 1)
    }
    for fault in FAULTS:
        for strength, (network, word) in enumerate(zip(NETWORKS, STRENGTHS, strict=True)):
            found[f"{fault.kind}/{network}/shapes/{word}"] = (
                lambda fault=fault, network=network, strength=strength: _planted(
                    fault.plant, network, "shapes", strength
                )
            )
    return found


def third_cases() -> dict[str, Callable[[], Plan]]:
    """The third set, which judges and nothing else: each kind once weakly and once strongly.

    Networks and data sets take turns, so that each kind has both networks and two of the three data sets, and a kind's
    neighbours have other pairs. Small, so that a slow core trains it in half an hour.
    """
    pairs = [(network, data) for data in THIRD_DATA for network in THIRD_NETWORKS]
    planted = {}
    for place, fault in enumerate(FAULTS):
        for strength, word in enumerate(STRENGTHS):
            network, data = pairs[(place + 3 * strength) % len(pairs)]
            planted[f"{fault.kind}/{network}/{data}/{word}"] = (
                lambda fault=fault, network=network, data=data, strength=strength: _planted(
                    fault.plant, network, data, 4 + strength
                )
            )
    return {**planted, **healthy("third")}


def fourth_cases() -> dict[str, Callable[[], Plan]]:
    """The fourth set, which judges and nothing else: twelve of each of six kinds, three of each other one.

    The kinds that the third judging found weak are planted weakly and strongly in each of the six pairs of network and
    data set, so that one case among them is not a tenth. The others have both networks and all three data sets, and
    are once weak and once strong, and by turns the one or the other once more.
    """
    pairs = [(network, data) for data in FOURTH_DATA for network in FOURTH_NETWORKS]
    planted = {}
    for place, fault in enumerate(FAULTS):
        chosen = [(pair, strength) for pair in pairs for strength in (0, 1)]
        if fault.kind not in WEAK_KINDS:
            chosen = [(pairs[(place + 3 * turn) % 6], turn) for turn in (0, 1)]
            chosen.append((pairs[(place + 4) % 6], place % 2))
        for (network, data), strength in chosen:
            planted[f"{fault.kind}/{network}/{data}/{STRENGTHS[strength]}"] = (
                lambda fault=fault, network=network, data=data, strength=strength: _planted(
                    fault.plant, network, data, 6 + strength
                )
            )
    return {**planted, **healthy("fourth")}


def fifth_cases() -> dict[str, Callable[[], Plan]]:
    """The fifth set, which judges and nothing else: ten of each kind, and sixty healthy ones.

    Each kind is planted five times weakly and five times strongly, in all six pairs of network and data set: of the
    twelve cases that there could be, two are left out, which are others for the kinds beside it. What counts as right
    is what counted before, the kind and its ``also`` in faults.py, to which nothing was added for this set.
    """
    pairs = [(network, data) for data in FIFTH_DATA for network in FIFTH_NETWORKS]
    planted = {}
    for place, fault in enumerate(FAULTS):
        for strength, word in enumerate(STRENGTHS):
            for number, (network, data) in enumerate(pairs):
                if number == (place + 3 * strength) % len(pairs):
                    continue
                planted[f"{fault.kind}/{network}/{data}/{word}"] = (
                    lambda fault=fault, network=network, data=data, strength=strength: _planted(
                        fault.plant, network, data, 8 + strength
                    )
                )
    return {**planted, **healthy("fifth")}


def sixth_cases() -> dict[str, Callable[[], Plan]]:
    """The sixth set, which judges the rules about labels: twelve of each of four kinds, six of each of six others.

    The kinds about labels stand weakly and strongly in each of the six pairs of network and data set; the kinds that
    could be mistaken for them once in each pair, by turns weakly and strongly. What counts as right is what counted
    before, the kind and its ``also`` in faults.py.
    """
    pairs = [(network, data) for data in SIXTH_DATA for network in SIXTH_NETWORKS]
    chosen = [(kind, pair, strength) for kind in LABEL_KINDS for pair in pairs for strength in (0, 1)]
    for place, kind in enumerate(MISTAKEN_KINDS):
        chosen += [
            (kind, pair, (place + number + number // 2) % 2) for number, pair in enumerate(pairs)
        ]  # both strengths with both networks
    planted = {}
    for kind, (network, data), strength in chosen:
        planted[f"{kind}/{network}/{data}/{STRENGTHS[strength]}"] = (
            lambda kind=kind, network=network, data=data, strength=strength: _planted(
                _BY_KIND[kind], network, data, 10 + strength
            )
        )
    return {**planted, **healthy("sixth")}


_LATER: dict[Half, Callable[[], dict[str, Callable[[], Plan]]]] = {
    "second": second_cases,
    "trials": trials,
    "third": third_cases,
    "fourth": fourth_cases,
    "fifth": fifth_cases,
    "sixth": sixth_cases,
}


def half_of(name: str) -> Half:
    """Which half a case belongs to, by its name alone: half of each kind, and half of the healthy ones.

    Within a kind the eight cases of the halves are ordered by the hash of their names, and every second one judges.
    """
    for half, later in _LATER.items():
        if name in later():
            return half
    kind = name.split("/")[0] if not name.startswith("healthy") else "healthy"
    same = [
        each
        for each in first_cases()
        if (each.startswith("healthy") if kind == "healthy" else each.split("/")[0] == kind)
    ]
    order = sorted(same, key=lambda each: hashlib.sha256(each.encode()).hexdigest())
    return "judge" if order.index(name) % 2 else "choose"


def halves() -> dict[str, Half]:
    """The half of every case."""
    found = {name: half_of(name) for name in first_cases()}
    return found | {name: half for half, later in _LATER.items() for name in later()}


def train(names: Iterable[str], folder: Path) -> Iterator[tuple[str, float]]:
    """Train those that the folder has no record of; yields each name with its seconds."""
    torch.set_num_threads(1)
    known = cases()
    with (folder / "records.jsonl").open("a") as file:
        for name in names:
            if name in _done(folder):  # also by another process, which may have begun at the other end
                continue
            begin = time.perf_counter()
            facts = trained(known[name]())
            file.write(json.dumps({"case": name, "facts": facts.to_dict()}) + "\n")
            file.flush()
            yield name, time.perf_counter() - begin


def records(folder: Path) -> dict[str, Facts]:
    """What was recorded so far, by case."""
    found: list[dict[str, Any]] = [json.loads(line) for line in _lines(folder)]
    return {each["case"]: Facts.from_dict(each["facts"]) for each in found}


def _done(folder: Path) -> set[str]:
    return {line.split('"', 4)[3] for line in _lines(folder)}


def _lines(folder: Path) -> list[str]:
    lines: list[str] = []
    if (folder / "records.jsonl.gz").is_file():  # as they are kept in the repository
        lines = gzip.decompress((folder / "records.jsonl.gz").read_bytes()).decode().splitlines()
    if (folder / "records.jsonl").is_file():  # what was trained since
        lines += (folder / "records.jsonl").read_text().splitlines()
    return lines


def trained(made: Plan) -> Facts:
    """Train one case with the default recorders, and collect what the doctor is asked about."""
    return facts_of_run(_run(made), made.data_after)


def _run(made: Plan) -> Run:
    recipe = made.made_recipe()
    torch.manual_seed(recipe.seed)
    model: nn.Module = made.before(resnet(**made.config))
    during: list[BaseRecorder] = []
    if made.during is not None:
        during.append(FunctionRecorder(made.during, events=(StepDone,)))
    run = Run(model, made.data, recipe)
    for recorder in (*during, *default_recorders(run.history, None)):
        run.add_recorder(recorder)
    run.start()
    with suppress(ArithmeticError):  # a loss that is not finite is one of the things to be found
        run.wait()
    made.after(run.model)
    return run


def test_score(made: Plan) -> float:
    """Train one case, and the share of test images that are right at its end."""
    return answer_facts(_run(made).model, made.data).test_score


def fixed(name: str, fix: Fix) -> Plan:
    """A case with the changes that a fix asks for.

    The fault stays planted, except where the fix builds the network anew: as `Fix.branch` does it, that takes away
    what was planted in its layers.
    """
    made = cases()[name]()
    planted, network = made.before, fix.settings("network")
    made.recipe |= fix.settings("recipe")
    made.config |= {
        name: value for name, value in network.items() if name not in ("weights", "requires_grad")
    }
    if fix.fresh:
        made.before = lambda model: model
    elif "requires_grad" in network:
        made.before = lambda model: planted(model).requires_grad_(True)
    if fix.mended is not None:
        made.data = fix.mended(made.data)
    return made


def _planted(plant: Callable[[Plan, int], None], network: str, data: str, strength: int) -> Plan:
    made = plan(network, data)
    plant(made, strength)
    return made
