"""Which program shows the results, as far as Python can know it, and whether panels that move can work there."""

from dataclasses import dataclass

from reswork.environment.context import Context
from reswork.environment.report import Finding, Verdict
from reswork.environment.versions import misfits

_BY_HAND = "run.history, rw.figures and rw.probes need no live panel; rw.figures.*.write_html() makes a page"
_PANELS = "live panels"
_EXTENSIONS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")


@dataclass(frozen=True)
class FrontEnd:
    """A program that shows results.

    Attributes:
        name: as people call it.
        verdict: of what is known about it.
        told: what is known to work there and what is not.
        remedy: what to do where something is in doubt.
        has_page: whether there can be live panels at all.
        follows: whether panels show there what changes while no cell runs, as far as its makers say.
    """

    name: str
    verdict: Verdict
    told: str
    remedy: str = ""
    has_page: bool = True
    follows: bool = True


PYTHON = FrontEnd("plain Python", "good", "no page, so no live panels; everything else works", "", False)
IPYTHON = FrontEnd("IPython in a terminal", "good", PYTHON.told, "", False)
LAB = FrontEnd("JupyterLab", "good", "the panels are tested here, in Chromium, in its light and dark theme")
NOTEBOOK = FrontEnd(
    "Jupyter Notebook", "good", "version 7 is tested: start, curve, stop; older ones lack what panels need",
)  # fmt: skip
VS_CODE = FrontEnd(
    "VS Code", "look", "not tried; by its makers' word panels work, but are gone after the window was loaded anew",
    f"run the cell again, the workbench takes up the run that goes on. If a panel stays empty: reswork lab. {_BY_HAND}",
)  # fmt: skip
COLAB = FrontEnd(
    "Google Colab", "look",
    "not tried; it shows other people's widgets only after a call, nothing that changes while no cell runs, and "
    "forgets runs/ with the machine",
    "train with run = rw.train(...); run.wait(), then rw.figures.loss_curves(run.history).show(); set RESWORK_RUNS "
    "to a folder on Drive. The call: from google.colab import output; output.enable_custom_widget_manager()",
    follows=False,
)  # fmt: skip
VOILA = FrontEnd(
    "Voila", "good", "tested: start, curve, stop; each page has a kernel of its own, and a run ends with its page",
)  # fmt: skip
HUB = FrontEnd("JupyterHub", "good", "tested with two users at once, who see JupyterLab: start, curve, stop")
KAGGLE = FrontEnd("Kaggle", "look", "not tried", _BY_HAND)
LITE = FrontEnd(
    "a browser's own Python (JupyterLite)", "bad", "there is no PyTorch for it",
    "run it on a machine with Python: make lab", False,
)  # fmt: skip
UNKNOWN = FrontEnd(
    "a Jupyter kernel", "look", "which page shows it cannot be known from here; JupyterLab is the tested one",
    "if a panel stays empty, open the same notebook in JupyterLab: reswork lab",
)  # fmt: skip


def front_end(context: Context) -> FrontEnd:
    """The program that most likely shows the results."""
    if context.platform == "emscripten":
        return LITE
    if not context.shell:
        return PYTHON
    if context.shell.startswith("google.colab") or "COLAB_RELEASE_TAG" in context.variables:
        return COLAB
    if not context.in_kernel:
        return IPYTHON
    if context.variables.get("SERVER_SOFTWARE", "").startswith("voila"):
        return VOILA
    if "KAGGLE_KERNEL_RUN_TYPE" in context.variables:
        return KAGGLE
    if (
        "__vsc_ipynb_file__" in context.names
    ):  # the variables of VS Code are inherited by any server started in it
        return VS_CODE
    if "JUPYTERHUB_USER" in context.variables:
        return HUB
    return _of_server(context.server.lower())


def _of_server(command: str) -> FrontEnd:
    """By the server that started the kernel; the same server can show other pages too."""
    if "jupyterlab" in command or "jupyter-lab" in command or "jupyter lab" in command:
        return LAB
    if "notebook" in command:
        return NOTEBOOK
    return VOILA if "voila" in command else UNKNOWN


def front_end_finding(context: Context) -> Finding:
    """What is known about the program that shows the results."""
    found = front_end(context)
    return Finding("front end", found.verdict, f"{found.name}: {found.told}", found.remedy)


def live_plot_finding(context: Context) -> Finding:
    """The verdict on live panels, from packages, page and kernel together."""
    missing = [name for name in ("ipywidgets", "anywidget") if name not in context.installed]
    if missing:
        told = f"{' and '.join(missing)} not installed, so no panel can be shown"
        return Finding(_PANELS, "bad", told, f"pip install {' '.join(missing)}")
    wrong = [each for needed in context.widgets_need.values() for each in misfits(needed, context.installed)]
    if wrong:
        return Finding(
            _PANELS, "bad", f"the widgets' packages do not fit each other: {'; '.join(wrong)}",
            "pip install --upgrade ipywidgets anywidget jupyterlab_widgets widgetsnbextension, then reload the page",
        )  # fmt: skip
    page = front_end(context)
    if context.in_kernel and not context.has_comms:
        told = "this kernel has no way to talk to a page's widgets"
        return Finding(_PANELS, "bad", told, "use the kernel that ipykernel brings: pip install ipykernel")
    absent = [name for name in _EXTENSIONS if name not in context.extensions]
    if absent:
        return Finding(
            _PANELS, "look", f"JupyterLab's parts {' and '.join(absent)} are not in this environment",
            "if JupyterLab runs in the same environment: pip install --force-reinstall jupyterlab_widgets anywidget; "
            "if it runs in another one, install ipywidgets and anywidget there too",
        )  # fmt: skip
    if not page.has_page:
        return Finding(
            _PANELS,
            "good",
            f"everything is installed; there is no page in {page.name}, open one: reswork lab",
        )
    if not page.follows:
        return Finding(
            _PANELS,
            "look",
            f"installed, but {page.name} is said to show no change while no cell runs",
            _BY_HAND,
        )
    return Finding(_PANELS, "good", "installed, versions fit, and the kernel can talk to the page")
