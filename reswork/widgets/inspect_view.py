"""`rw.inspect`: the inspector in a cell of its own, for any trained network."""

import ipywidgets as w
from torch import nn

from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.readable import check_readable
from reswork.probes.scalar_model import Output, select_output
from reswork.store import AnyRun, SavedRun
from reswork.training.controls import snapshot_of
from reswork.training.live_run import LiveRun
from reswork.training.run import active_runs
from reswork.widgets.inspector import InspectorPanel
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.tree import close_tree


class InspectView(w.VBox):
    """The inspector as one widget.

    Args:
        model: the network, which nobody else changes.
        data: test pictures and names of classes.
        note: one line about the network.

    Attributes:
        panel: what it is made of.
    """

    def __init__(self, model: nn.Module, data: Dataset, note: str = "") -> None:
        super().__init__()
        self.panel = InspectorPanel(data)
        self.panel.look_at(model, note)
        self.panel.view.show()
        self.children = (PageAssets(), self.panel.view)
        self.add_class("reswork")

    def close(self) -> None:
        """Take the view off the page and free its widgets."""
        self.panel.close()
        if self.comm is not None:
            close_tree(self)


def inspect(model: nn.Module | AnyRun, data: Dataset, *, output: Output = None) -> InspectView:
    """Look at a trained network: its answers to a picture, its feature maps, and eight attributions with trust.

    Args:
        model: any network that takes the data set's pictures, normalised, and gives (N, classes); or a run. It is
            looked at through a copy: nothing about it changes.
        data: test pictures, names of classes, and the normalisation.
        output: which part of a dict or tuple holds the answers, or a function that makes (N, classes) out of it; of a
            single one nothing need be said.

    Raises:
        InvalidSetting: for what is no network or cannot be looked at: TorchScript, quantised, without numbers.

    Example:
        >>> inspect(run.model, data)                    # doctest: +SKIP
    """
    if isinstance(model, nn.Module):
        check_readable(unwrapped(model))
    copied, note = _copied(model)
    select_output(copied, output)
    return InspectView(copied, data, note)


def _copied(model: nn.Module | AnyRun) -> tuple[nn.Module, str]:
    if isinstance(model, LiveRun | SavedRun):
        if model.is_live:
            return model.snapshot(), f"{model.name}, step {model.steps_done:,}"
        return model.model(), model.name
    if not isinstance(model, nn.Module):
        raise InvalidSetting(
            "model", f"model is a {type(model).__name__}: give a torch.nn.Module, a run, or a run from disk"
        )
    owner = next((run for run in active_runs() if run.model is model), None)
    return (snapshot_of(model), "") if owner is None else _copied(owner)
