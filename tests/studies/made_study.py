"""A study that computes nothing but sums, to look at the frame."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reswork.figures.canvas import about
from reswork.figures.study_lines import study_lines
from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import Settings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts


@dataclass(frozen=True)
class SumSettings(Settings):
    steps: int = setting(4, "Steps", "numbers that are added", least=1, most=100_000)
    places: tuple[int, ...] = setting((1, 2), "Places", "some numbers", least=1, most=9)
    kind: str = setting("plain", "Kind", "a word", choices=("plain", "fancy"))
    is_loud: bool = setting(False, "Loud", "yes or no")


def made_study(computed: list[int], step_s: float = 0.0) -> Study:
    """Each step that it computes is noted in the list, and takes so long."""

    def run(settings: SumSettings, shelf: Shelf) -> Generator[Partial, None, None]:
        numbers = shelf.numbers or {"sum": np.full(settings.steps, np.nan)}
        for step in range(settings.steps):
            if np.isnan(numbers["sum"][step]):
                computed.append(step)
                time.sleep(step_s)
                numbers["sum"][step] = step
                yield Partial(numbers, (step + 1) / settings.steps, f"step {step} <b>")

    def figures(result: StudyResult) -> dict[str, Any]:
        values = result.numbers["sum"]
        line = Line("sum", np.arange(len(values)), values)
        words = about(
            "What the sum is after so many steps.", "It rises, as sums do here.", "Add some more steps."
        )
        return {
            "A sum": study_lines([line], title="A sum", x="step", y="sum", summary="A sum.", explained=words)
        }

    return Study(
        name="sum",
        title="The <sum>",
        question="How large is it?",
        source=Source("Gauss 1785", "0000.00000", "page 1"),
        texts=Texts("short", "long", "minutes"),
        guess=Guess("Up or down?", ("up", "down"), lambda result: "up", "Because."),
        toy=SumSettings(),
        paper=SumSettings(steps=100),
        run=run,
        cost=lambda settings: Estimate(1.0 * settings.steps, 2.0**20),
        figures=figures,
        compared=lambda result: (
            Compared("sum", "5050", "page 1", f"{np.nansum(result.numbers['sum']):.0f}"),
        ),
        verdict=lambda result: Verdict("repeated", "it is so", "none"),
    )
