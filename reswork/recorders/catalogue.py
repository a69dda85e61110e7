"""All quantities that a run can record: recorder, series, figures, and what is normal of each, in one entry."""

from collections.abc import Callable
from dataclasses import dataclass

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.recorders.activations import activations
from reswork.recorders.layer_norms import gradient_norms, weight_norms
from reswork.recorders.losses import evaluation, learning_rate, losses
from reswork.recorders.memory import memory
from reswork.recorders.noise_scale import noise_scale
from reswork.recorders.price import Timed
from reswork.recorders.signal_variance import signal_variance
from reswork.recorders.summands import shortcut_and_branch
from reswork.recorders.throughput import throughput
from reswork.recorders.update_ratios import update_ratios
from reswork.training.recorder import Recorder

__all__ = [
    "CATALOGUE", "Quantity", "View", "activations", "evaluation", "gradient_norms", "learning_rate", "losses",
    "memory", "noise_scale", "shortcut_and_branch", "signal_variance", "throughput", "timed", "update_ratios",
    "weight_norms",
]  # fmt: skip


@dataclass(frozen=True)
class View:
    """A figure of a quantity.

    Attributes:
        figure: its name in `reswork.figures`; it is called with a history.
        title: its heading among others.
        needs: the series or group without which there is nothing to draw.
        inside: where on the page Inside it stands, 1 at the top; those of one number as they stand in the catalogue;
            None: it is not there.
    """

    figure: str
    title: str
    needs: str
    inside: int | None = 9


@dataclass(frozen=True)
class Quantity:
    """Something that a run can record: the one entry by which panels, pages, checkpoints and workers know it.

    Attributes:
        name: of the recorder.
        label: a few words for a person.
        normal: one line on what is normal.
        make: the recorder: from a history to a callable that takes events.
        every: usual steps between two measurements; 1: it looks at every step or goes by the clock.
        writes: series and groups of the history.
        views: its figures.
        by_default: whether a run has it unless it is told otherwise.
    """

    name: str
    label: str
    normal: str
    make: Callable[[History], Recorder]
    every: int
    writes: tuple[str, ...]
    views: tuple[View, ...] = ()
    by_default: bool = True


CATALOGUE: tuple[Quantity, ...] = (
    Quantity(
        "losses", "loss and score", "The loss falls, fast at first; single batches jump about it.",
        losses, 1, ("loss/train",),
    ),
    Quantity(
        "learning_rate", "learning rate", "It follows the schedule; a jump is a change by hand.",
        learning_rate, 1, ("learning_rate",),
        (View("learning_rate", "Learning rate", "learning_rate", inside=None),),
    ),
    Quantity(
        "gradient_norms", "gradient norm of each layer",
        "Over depth within a factor of about ten; all of them shrink as the net gets better.",
        gradient_norms, 10, ("grad_norm",),
        (View("gradient_norms", "Gradient norm of each layer", "grad_norm", inside=None),
         View("gradient_profile", "Gradient norm over depth", "grad_norm", inside=None),),
    ),
    Quantity(
        "update_ratios", "update of each layer, |dw| / |w|",
        "About 0.001; above 0.1 the layer is thrown about, below 0.000001 it stands still.",
        update_ratios, 10, ("update_ratio",),
        (View("update_ratios", "Update of each layer", "update_ratio"),
         View("update_profile", "Update over depth", "update_ratio"),),
    ),
    Quantity(
        "weight_norms", "weight norm of each layer",
        "They change slowly, and level off where weight decay takes away what the gradient adds.",
        weight_norms, 10, ("weight_norm",),
        (View("weight_norms", "Weight norm over depth", "weight_norm"),),
    ),
    Quantity(
        "activations", "mean, deviation and dead units of each block",
        "Deviations of about 1 that change slowly over depth, and at most a few per cent of dead units.",
        activations, 50, ("activation_mean", "activation_std", "dead_share"),
        (View("activations", "Activations", "activation_std", inside=3),
         View("dead_units", "Dead units", "dead_share", inside=3),),
    ),
    Quantity(
        "shortcut_and_branch", "shortcut against branch of each block",
        "The branch is the smaller one in a trained net, and most of the gradient comes over the shortcut.",
        shortcut_and_branch, 50,
        ("shortcut_size", "branch_size", "shortcut_branch_cosine", "shortcut_gradient", "branch_gradient"),
        (View("shortcut_and_branch", "Shortcut and branch", "shortcut_size", inside=1),
         View("shortcut_cosine", "Shortcut and branch, direction", "shortcut_branch_cosine", inside=1),
         View("shortcut_gradients", "Gradient, shortcut and branch", "shortcut_gradient", inside=1),),
    ),
    Quantity(
        "signal_variance", "variance of stream and branch",
        "With batch norm the branch's is about 1, the stream's grows by that at each block and starts anew "
        "at a stage.",
        signal_variance, 50, ("stream_variance", "branch_variance"),
        (View("signal_variance", "Variance of the signal", "stream_variance", inside=2),),
    ),
    Quantity(
        "noise_scale", "gradient noise scale",
        "Tens of images at first, hundreds or thousands later; batches much larger than it waste images.",
        noise_scale, 20, ("noise_scale", "noise_scale/noise", "noise_scale/signal"),
        (View("noise_scale", "Gradient noise scale", "noise_scale"),),
    ),
    Quantity(
        "throughput", "speed", "Level after the first steps.", throughput, 1,
        ("images_per_second",),
        (View("throughput", "Speed", "images_per_second", inside=None),),
    ),
    Quantity(
        "memory", "memory and use of the device", "Level after the first steps; rising memory is a leak.",
        memory, 1, ("memory/bytes", "device/utilisation"),
    ),
    Quantity(
        "evaluation", "test metrics of each epoch",
        "The score rises and then levels off; a test loss that rises again means overfitting.",
        evaluation, 1, ("loss/test",),
    ),
)  # fmt: skip


def timed(name: str, history: History) -> Timed:
    """A recorder of the catalogue that writes to a history and whose time is taken.

    Args:
        name: of a quantity, such as ``"activations"``.
        history: of the run.

    Raises:
        InvalidSetting: for a name that is not in the catalogue.
    """
    for quantity in CATALOGUE:
        if quantity.name == name:
            return Timed(name, quantity.make(history))
    names = ", ".join(quantity.name for quantity in CATALOGUE)
    raise InvalidSetting("name", f"{name!r} is not a recorder; choose {names}")
