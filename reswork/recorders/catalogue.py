"""All recorders: what each is called, what it is for, what is normal, and how it is made."""

from collections.abc import Callable
from dataclasses import dataclass

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.recorders.activations import activations
from reswork.recorders.evaluation import evaluation
from reswork.recorders.gradient_norms import gradient_norms
from reswork.recorders.learning_rate import learning_rate
from reswork.recorders.losses import losses
from reswork.recorders.memory import memory
from reswork.recorders.noise_scale import noise_scale
from reswork.recorders.price import Timed
from reswork.recorders.signal_variance import signal_variance
from reswork.recorders.summands import shortcut_and_branch
from reswork.recorders.throughput import throughput
from reswork.recorders.update_ratios import update_ratios
from reswork.training.recorder import Recorder


@dataclass(frozen=True)
class RecorderKind:
    """A kind of recorder.

    Attributes:
        name: of the recorder and, where there is one, of its figure.
        label: a few words for a person.
        normal: one line on what is normal.
        make: from a history to a recorder.
        every: usual steps between two measurements; 1: it looks at every step or goes by the clock.
        writes: series and groups of the history.
        by_default: whether a run has it unless it is told otherwise.
    """

    name: str
    label: str
    normal: str
    make: Callable[[History], Recorder]
    every: int
    writes: tuple[str, ...]
    by_default: bool = True


CATALOGUE: tuple[RecorderKind, ...] = (
    RecorderKind(
        "losses", "loss and accuracy", "The loss falls, fast at first; single batches jump about it.",
        losses, 1, ("loss/train", "top1/train"),
    ),
    RecorderKind(
        "learning_rate", "learning rate", "It follows the schedule; a jump is a change by hand.",
        learning_rate, 1, ("learning_rate",),
    ),
    RecorderKind(
        "gradient_norms", "gradient norm of each layer",
        "Over depth within a factor of about ten; all of them shrink as the net gets better.",
        gradient_norms, 10, ("grad_norm",),
    ),
    RecorderKind(
        "update_ratios", "update of each layer, |dw| / |w|",
        "About 0.001; above 0.1 the layer is thrown about, below 0.000001 it stands still.",
        update_ratios, 10, ("update_ratio",),
    ),
    RecorderKind(
        "activations", "mean, deviation and dead units of each block",
        "Deviations of about 1 that change slowly over depth, and at most a few per cent of dead units.",
        activations, 50, ("activation_mean", "activation_std", "dead_share"),
    ),
    RecorderKind(
        "shortcut_and_branch", "shortcut against branch of each block",
        "The branch is the smaller one in a trained net, and most of the gradient comes over the shortcut.",
        shortcut_and_branch, 50,
        ("shortcut_size", "branch_size", "shortcut_branch_cosine", "shortcut_gradient", "branch_gradient"),
    ),
    RecorderKind(
        "signal_variance", "variance of stream and branch",
        "With batch norm the branch's is about 1, the stream's grows by that at each block and starts anew "
        "at a stage.",
        signal_variance, 50, ("stream_variance", "branch_variance"),
    ),
    RecorderKind(
        "noise_scale", "gradient noise scale",
        "Tens of images at first, hundreds or thousands later; batches much larger than it waste images.",
        noise_scale, 20, ("noise_scale", "noise_scale/noise", "noise_scale/signal"),
    ),
    RecorderKind(
        "throughput", "images per second", "Level after the first steps.", throughput, 1,
        ("images_per_second",),
    ),
    RecorderKind(
        "memory", "memory and use of the device", "Level after the first steps; rising memory is a leak.",
        memory, 1, ("memory/bytes", "device/utilisation"),
    ),
    RecorderKind(
        "evaluation", "test metrics of each epoch",
        "Accuracy rises and then levels off; a test loss that rises again means overfitting.",
        evaluation, 1, ("loss/test", "top1/test", "confusion/test"),
    ),
)  # fmt: skip


def timed(name: str, history: History) -> Timed:
    """A recorder of the catalogue that writes to a history and whose time is taken.

    Args:
        name: of a kind, such as ``"activations"``.
        history: of the run.

    Raises:
        InvalidSetting: for a name that is not in the catalogue.
    """
    for kind in CATALOGUE:
        if kind.name == name:
            return Timed(name, kind.make(history))
    names = ", ".join(kind.name for kind in CATALOGUE)
    raise InvalidSetting("name", f"{name!r} is not a recorder; choose {names}")
