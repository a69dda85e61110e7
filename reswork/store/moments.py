"""`moments`: a run's network as it was at any step that was kept, also while the run goes on."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet
from reswork.store.moment_file import moments_in, read_moment
from reswork.store.moment_keeper import MOMENTS_FOLDER
from reswork.store.saved_run import AnyRun, SavedRun
from reswork.training.live_run import LiveRun, MomentsBudget
from reswork.training.modes import choose_device


@dataclass(frozen=True, eq=False)
class Moment:
    """A network as it was at one step.

    Attributes:
        asked: the step that somebody asked for.
        step: the step that it really is of.
        model: in evaluation mode, nobody else's.
        sentence: why it is of another step; empty where it is not.
    """

    asked: int
    step: int
    model: nn.Module
    sentence: str = ""


class Moments:
    """The moments of one run; what is kept is looked up anew each time, so a live run's grow.

    Args:
        folder: with the files.
        template: makes a network that the weights fit into, and nobody else holds.
        budget: of a run that goes on; None where it is out of reach.

    Example:
        >>> found = Moments(Path("nowhere"), lambda: nn.Identity())
        >>> found.steps, found.bytes
        ((), 0)
    """

    def __init__(
        self, folder: Path, template: Callable[[], nn.Module], budget: MomentsBudget | None = None
    ) -> None:
        self.folder = folder
        self._template = template
        self._budget = budget

    @property
    def steps(self) -> tuple[int, ...]:
        """Updates made at each moment, growing."""
        return tuple(moments_in(self.folder))

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(moments_in(self.folder).values())

    @property
    def most_bytes(self) -> int | None:
        """The budget of a run that goes on in this process, which may be set; None for others."""
        return None if self._budget is None else self._budget.most_bytes

    @most_bytes.setter
    def most_bytes(self, count: int) -> None:
        if self._budget is None:
            raise InvalidSetting(
                "moments_bytes", "this run does not go on here; its moments stay as they are"
            )
        self._budget.most_bytes = count

    def nearest(self, step: int) -> int:
        """The kept step that is nearest to a step; of two equally near ones the earlier.

        Raises:
            InvalidSetting: if there are no moments.
        """
        return self._by_nearness(step)[0]

    def model(self, step: int) -> nn.Module:
        """The network as it was at a step, or at the nearest one that was kept, in evaluation mode.

        Raises:
            InvalidSetting: if there are no moments, or none that can be read.
        """
        return self.at(step).model

    def at(self, step: int) -> Moment:
        """The moment of a step, or the nearest one that can be read and a sentence that says so.

        Raises:
            InvalidSetting: if there are no moments, or none that can be read.
        """
        troubles = []
        for near in self._by_nearness(step):
            try:
                weights = read_moment(self.folder, near)
                model = self._template()
                model.load_state_dict(weights, strict=True)
            except (OSError, ValueError, RuntimeError) as error:
                troubles.append(f"The moment of step {near:,} {_told(error)}.")
                continue
            words = troubles[:2]
            if near != step:
                words.append(f"Step {step:,} was not kept; shown is the nearest one that was, step {near:,}.")
            return Moment(step, near, model.eval(), " ".join(words))
        raise InvalidSetting("step", f"no moment can be read. {troubles[0]}")

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        steps = self.steps
        span = f" from step {steps[0]:,} to {steps[-1]:,}" if steps else ""
        return f"<Moments: {len(steps)}{span}, {self.bytes / 1e6:.1f} MB>"

    def _by_nearness(self, step: int) -> list[int]:
        steps = self.steps
        if not steps:
            raise InvalidSetting(
                "step", "this run kept no moments; train with moments_bytes=120_000_000, for instance"
            )
        return sorted(steps, key=lambda kept: (abs(kept - step), kept))


def moments(run: AnyRun, *, model: nn.Module | None = None, device: str | None = None) -> Moments:
    """The weights that a run kept, by step; of a live run or of one from disk.

    Outputs, feature maps and attributions at a moment are computed from its weights: give ``.model(step)`` to
    any probe.

    Args:
        run: what `train` or `load_run` returned.
        model: a network that the weights fit into, for one that was not built here; unchanged.
        device: where the networks are put; None: where training would take place.

    Raises:
        InvalidSetting: for what is no run, or a network from disk that was not built here and is not given.

    Example:
        >>> moments(run).model(40)                      # doctest: +SKIP
    """
    chosen_device = choose_device(device or "auto")[0]
    if not isinstance(run, LiveRun | SavedRun):
        raise InvalidSetting("run", f"run is a {type(run).__name__}: give a run, or one from disk")
    if model is None and run.config is None:
        if not run.is_live:
            raise InvalidSetting(
                "model",
                f"run {run.name!r} trained {run.model_label}, which was not built here; give it as model=",
            )
        model = run.snapshot()
    folder = (run.directory or Path(run.name)) / MOMENTS_FOLDER  # one that is not saved has none
    return Moments(folder, _template(run.config, model, chosen_device), run.moments if run.is_live else None)


def _template(
    config: ResNetConfig | None, model: nn.Module | None, device: torch.device
) -> Callable[[], nn.Module]:
    """Makes networks without touching the random state."""
    if model is not None:
        return lambda: copy.deepcopy(model).to(device)
    assert config is not None

    def build() -> nn.Module:
        with torch.device("meta"):
            network = ResNet(config)
        return network.to_empty(device=device)

    return build


def _told(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "is no longer there"
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, RuntimeError):
        return "does not fit the network"
    return f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else str(error)
