"""Whether panels that move by themselves can work: widgets installed, fitting each other, and a kernel to talk to."""

from reswork.environment.context import Context
from reswork.environment.front_ends import front_end
from reswork.environment.report import Finding
from reswork.environment.versions import misfits

_NAME = "live panels"
_NEEDED = ("@jupyter-widgets/jupyterlab-manager", "anywidget")


def live_plot_finding(context: Context) -> Finding:
    """The verdict on live panels, from packages, page and kernel together."""
    missing = [name for name in ("ipywidgets", "anywidget") if name not in context.installed]
    if missing:
        told = f"{' and '.join(missing)} not installed, so no panel can be shown"
        return Finding(_NAME, "bad", told, f"pip install {' '.join(missing)}")
    wrong = [each for needed in context.widgets_need.values() for each in misfits(needed, context.installed)]
    if wrong:
        return Finding(
            _NAME, "bad", f"the widgets' packages do not fit each other: {'; '.join(wrong)}",
            "pip install --upgrade ipywidgets anywidget jupyterlab_widgets widgetsnbextension, then reload the page",
        )  # fmt: skip
    page = front_end(context)
    if context.in_kernel and not context.has_comms:
        told = "this kernel has no way to talk to a page's widgets"
        return Finding(_NAME, "bad", told, "use the kernel that ipykernel brings: pip install ipykernel")
    absent = [name for name in _NEEDED if name not in context.extensions]
    if absent:
        return Finding(
            _NAME, "look", f"JupyterLab's parts {' and '.join(absent)} are not in this environment",
            "if JupyterLab runs in the same environment: pip install --force-reinstall jupyterlab_widgets anywidget; "
            "if it runs in another one, install ipywidgets and anywidget there too",
        )  # fmt: skip
    if not page.has_page:
        return Finding(
            _NAME, "good", f"everything is installed; there is no page in {page.name}, open one: reswork lab"
        )
    return Finding(_NAME, "good", "installed, versions fit, and the kernel can talk to the page")
