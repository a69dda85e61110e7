"""The norm of each layer's weight."""

from reswork.history import History
from reswork.recorders.layer_series import LayerSeries, norms
from reswork.training.events import StepDone
from reswork.training.recorder import Recorder


def weight_norms(history: History, every: int = 10) -> Recorder:
    """A recorder of ``weight_norm/<layer>``: the 2-norm of each conv and linear layer's weight after an update.

    Read from it what weight decay and learning rate do together. Before a batch norm the length means nothing to the
    answer, yet the same step turns a weight twice as long half as far: growing norms slow the layer down.

    Args:
        history: gets one value for each layer, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.

    Reference:
        arXiv:1706.05350, section 2.
    """
    return LayerSeries(history, "weight_norms", "weight_norm", norms, at=StepDone, every=every)
