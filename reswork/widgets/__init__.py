"""The page in JupyterLab: widgets that show what the rest of the package computes."""

from reswork.widgets.inspect_view import InspectView, inspect
from reswork.widgets.live_view import LiveView, live
from reswork.widgets.workbench import Workbench

__all__ = ["InspectView", "LiveView", "Workbench", "inspect", "live"]
