"""Short trainings with which the microscope's forecasts are tested: ``python -m benchmarks.forecasts``.

Settings are drawn by seeds: those of seed 0 choose the limits, those of seed 1 judge them. What counts as diverging and
as training was fixed before the first of them was run, the form of the rules before the first of seed 1. Trainings that
are in the file are not made again. Writes ``reswork/probes/forecast.json`` and the end of ``docs/microscope.md``.
"""

import argparse
import json
import math
import random
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.probes.forecast import RULES, judge
from reswork.probes.initialisation import fresh
from reswork.results.initialisation import TOLD
from reswork.training.events import StepDone
from reswork.training.failures import NonFiniteLoss

FILE = Path(__file__).parents[1] / "reswork" / "probes" / "forecast.json"
PAGE = Path(__file__).parents[1] / "docs" / "microscope.md"
STEPS, BATCH = 100, 64
MARK = "## What was found\n"  # of the page; what is below is written here
SPACE: dict[str, tuple[Any, ...]] = {
    "depth": (8, 14, 20, 32, 44, 56),
    "width": (4, 8),
    "order": ("post", "pre", "relu_before_addition"),
    "residual": (True, True, False),
    "norm": ("batch", "batch", "group", "none", "none"),
    "residual_scaling": ("none", "none", "skipinit", "fixup"),
    "gain": (0.25, 0.5, 1.0, 1.0, 1.4, 2.0),
    "learning_rate": (0.003, 0.03, 0.1, 0.3, 1.0, 3.0),
}


def drawn(seed: int, count: int) -> list[dict[str, Any]]:
    """Settings by a seed; those that make no network are drawn anew."""
    chance, found = random.Random(seed), []
    while len(found) < count:
        settings = {name: chance.choice(values) for name, values in SPACE.items()}
        try:
            config_of(settings)
        except InvalidSetting:
            continue
        if settings not in found:
            found.append(settings)
    return found


def config_of(settings: dict[str, Any]) -> rw.ResNetConfig:
    own = {name: value for name, value in settings.items() if name not in ("gain", "learning_rate")}
    return rw.ResNetConfig(in_channels=1, **own)


def trained(settings: dict[str, Any], seed: int) -> float:
    """Mean training loss over the last tenth of the steps; NaN where a loss was not finite."""
    data = rw.datasets.digits().subset(test=10)
    model = fresh(config_of(settings), data, gain=settings["gain"], seed=seed)
    recipe = rw.Recipe(
        steps=STEPS, batch_size=BATCH, learning_rate=settings["learning_rate"], schedule="one_cycle",
        seed=seed, precision="fp32", compile="off", device="cpu", channels_last=False,
    )  # fmt: skip
    losses = []
    try:
        for event in rw.fit(model, data, recipe):
            if isinstance(event, StepDone):
                losses.append(float(event.loss))
    except NonFiniteLoss:
        return math.nan
    return sum(losses[-STEPS // 10 :]) / (STEPS // 10)


def outcome_of(loss: float | None) -> str:
    """Guessing among ten classes costs log 10 = 2.30."""
    if loss is None or not math.isfinite(loss) or loss > 1.5 * math.log(10):
        return "diverges"
    return "does not train" if loss > 0.7 * math.log(10) else "trains"


def chosen_limits(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Coordinate by coordinate, those that give most hits; a sign that adds none stays without a limit."""
    limits: dict[str, float] = {}

    def hits(trial: dict[str, float]) -> int:
        return sum(judge(numbers(row), trial)[0] == row["outcome"] for row in rows)

    for _ in range(3):
        for rule in RULES:
            seen = sorted({numbers(row)[rule.sign] for row in rows if math.isfinite(numbers(row)[rule.sign])})
            best = {key: value for key, value in limits.items() if key != rule.name}
            trials = [{**best, rule.name: _middle(low, high)} for low, high in pairwise(seen)]
            scores = [hits(trial) for trial in trials]
            winners = [trial for trial, score in zip(trials, scores, strict=True) if score == max(scores)]
            if winners and max(scores) > hits(best) + 1:  # one more may be chance
                best = winners[len(winners) // 2]  # the middle of the limits that are equally good
            limits = best
    return limits


def _middle(low: float, high: float) -> float:
    return math.sqrt(low * high) if low > 0 else (low + high) / 2


def numbers(row: dict[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in row["signs"].items()}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--choosing", type=int, default=96, help="trainings that choose the limits")
    asked.add_argument("--judging", type=int, default=60, help="trainings that judge them")
    given = asked.parse_args()
    torch.set_num_threads(1)
    kept = json.loads(FILE.read_text("utf-8"))["trainings"] if FILE.exists() else []
    known = {json.dumps(row["settings"], sort_keys=True): row for row in kept}
    rows = []
    several = [(0, each) for each in drawn(0, given.choosing)] + [
        (1, each) for each in drawn(1, given.judging)
    ]
    for index, (which, settings) in enumerate(several):
        row = known.get(json.dumps(settings, sort_keys=True))
        if row is None:
            begun = time.process_time()
            loss = trained(settings, index)
            seconds = round(time.process_time() - begun, 1)
            row = {"settings": settings, "loss": _plain(loss), "seconds": seconds}
            print(f"{index} of {len(several)}: {seconds} s", flush=True)
        found = rw.probes.initialisation(
            config_of(settings), gain=settings["gain"], learning_rate=settings["learning_rate"], seed=index
        )
        signs = {name: _plain(value) for name, value in found.signs.items()}
        rows.append({**row, "signs": signs, "outcome": outcome_of(row["loss"]), "chooses": which == 0})
    limits = chosen_limits([row for row in rows if row["chooses"]])
    judged = [row for row in rows if not row["chooses"]]
    table = Counter((row["outcome"], judge(numbers(row), limits)[0]) for row in judged)
    result = {
        "limits": {name: float(f"{value:.3g}") for name, value in limits.items()},
        "right": sum(count for (one, other), count in table.items() if one == other),
        "judged": len(judged),
        "usual": Counter(row["outcome"] for row in judged).most_common(1)[0][1],
        "trainings": rows,
    }
    FILE.write_text(_lines(result), encoding="utf-8")
    above = PAGE.read_text("utf-8").partition(MARK)[0]
    PAGE.write_text(above + MARK + found_told(result, table), encoding="utf-8")
    print(result["limits"], result["right"], "of", result["judged"], "usual", result["usual"], dict(table))


def found_told(result: dict[str, Any], table: Counter[tuple[str, str]]) -> str:
    """Hits, who was taken for what, and the limits."""
    right, judged, usual = (result[name] for name in ("right", "judged", "usual"))
    rows = "".join(f"| {one} | {' | '.join(str(table[one, told]) for told in TOLD)} |\n" for one in TOLD)
    limits = "".join(
        f"| {rule.outcome} | {rule.sign} | {rule.holds} | {'above' if rule.above else 'below'} "
        f"{result['limits'][rule.name]:g} |\n"
        for rule in RULES
        if rule.name in result["limits"]
    )
    spent = sum(row["seconds"] for row in result["trainings"])
    return (
        f"\n**{right} of {judged} ({right / judged:.0%})** of the forecasts came true, for trainings "
        f"that had no part\nin choosing. Always saying the most frequent outcome is right for {usual} "
        f"({usual / judged:.0%}).\n\n"
        f"| what became of it | told: {' | told: '.join(TOLD)} |\n|---|---|---|---|\n{rows}\n"
        f"The limits; a rule without one told nothing that the others did not:\n\n"
        f"| told | sign | networks | limit |\n|---|---|---|---|\n{limits}\n"
        f"Made by `python -m benchmarks.forecasts`: {len(result['trainings'])} trainings, {spent:.0f} s of processor, "
        "one thread.\n"
    )


def _lines(result: dict[str, Any]) -> str:
    """JSON with a line for each training."""
    rows = ",\n".join(json.dumps(row) for row in result["trainings"])
    rest = json.dumps({**result, "trainings": []}, indent=1)
    return rest.replace('"trainings": []', f'"trainings": [\n{rows}\n ]') + "\n"


def _plain(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


if __name__ == "__main__":
    main()
