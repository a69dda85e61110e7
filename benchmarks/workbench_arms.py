"""What runs inside the kernel: a workbench with its run."""

from benchmarks.fresh_loop import NO_END
from benchmarks.hand_written_loop import CROP_AND_FLIP, made_data, settled
from benchmarks.training_overhead import seconds_of
from reswork.training.recipe import Recipe
from reswork.training.run import Run
from reswork.widgets import Workbench

WARM = 5


class WorkbenchArms:
    """The live workbench at its defaults on made-up images of CIFAR-10's size; its run stands still at first.

    Attributes:
        workbench: to be shown.
        mode: how it computes.
    """

    def __init__(self) -> None:
        data = made_data()
        recipe = Recipe(
            steps=NO_END, augmentation=CROP_AND_FLIP, schedule="constant", channels_last=True, compile="off"
        )
        recipe, self.mode = settled(recipe, data)
        self.workbench = Workbench(data=data, recipe=recipe)

    @property
    def run(self) -> Run:
        """The run that the workbench shows."""
        assert isinstance(self.workbench.run, Run)
        return self.workbench.run

    def warm(self) -> None:
        """Press Start, hold, and make some steps."""
        self.workbench.start()
        self.run.pause()
        self.run.wait_until_still()
        self.watched(WARM)

    def watched(self, steps: int) -> float:
        """Seconds for so many steps of the run, which the workbench shows."""
        return seconds_of(self.run, steps)

    def end(self) -> None:
        """Stop the run and close the workbench."""
        self.run.stop()
        self.run.wait()
        self.workbench.close()
