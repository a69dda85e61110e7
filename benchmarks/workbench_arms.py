"""What runs inside the kernel: a workbench with its run, and beside it the loop written by hand."""

from benchmarks.hand_written_loop import CROP_AND_FLIP, bare_steps, made_data, seconds_bare, settled
from benchmarks.training_overhead import NO_END, WARM, seconds_of
from reswork.training.recipe import Recipe
from reswork.training.run import Run
from reswork.widgets import Workbench


class WorkbenchArms:
    """The live workbench at its defaults on made-up images of CIFAR-10's size; its run stands still at first.

    Attributes:
        workbench: to be shown.
        mode: how both compute, in a sentence.
    """

    def __init__(self) -> None:
        data = made_data()
        recipe = Recipe(steps=NO_END, augmentation=CROP_AND_FLIP, schedule="constant", compile="off")
        recipe, mode = settled(recipe, data)
        self.mode = str(mode)
        self.workbench = Workbench(data=data, recipe=recipe)
        self._bare = bare_steps(data, recipe, mode)

    @property
    def run(self) -> Run:
        """The run that the workbench shows."""
        assert isinstance(self.workbench.run, Run)
        return self.workbench.run

    def warm(self) -> None:
        """Press Start, hold, and let both arms make some steps."""
        self.workbench.start()
        self.run.pause()
        self.run.wait_until_still()
        self.watched(WARM), self.bare(WARM)

    def bare(self, steps: int) -> float:
        """Seconds for so many steps of the loop written by hand; the run stands still."""
        return seconds_bare(self._bare, steps)

    def watched(self, steps: int) -> float:
        """Seconds for so many steps of the run, which the workbench shows."""
        return seconds_of(self.run, steps)

    def end(self) -> None:
        """Stop the run and close the workbench."""
        self.run.stop()
        self.run.wait()
        self.workbench.close()
