import pytest

from reswork.environment.context import Context
from reswork.environment.front_ends import front_end, front_end_finding, live_plot_finding

KERNEL = {"shell": "ipykernel.zmqshell.ZMQInteractiveShell", "in_kernel": True, "has_comms": True}
LAB = "python -m jupyterlab --no-browser"
WIDGETS = {"ipywidgets": "8.1.8", "anywidget": "0.9.21", "jupyterlab-widgets": "3.0.16"}
EXTENSIONS = frozenset({"@jupyter-widgets/jupyterlab-manager", "anywidget"})


@pytest.mark.parametrize(
    ("facts", "name", "verdict"),
    [
        ({}, "plain Python", "good"),
        (
            {"shell": "IPython.terminal.interactiveshell.TerminalInteractiveShell"},
            "IPython in a terminal",
            "good",
        ),
        ({**KERNEL, "server": LAB}, "JupyterLab", "good"),
        ({**KERNEL, "server": "/opt/bin/python /opt/bin/jupyter-lab"}, "JupyterLab", "good"),
        ({**KERNEL, "server": LAB, "variables": {"VSCODE_PID": "1"}}, "JupyterLab", "good"),
        ({**KERNEL, "server": "/opt/bin/python /opt/bin/jupyter-notebook"}, "Jupyter Notebook", "good"),
        ({**KERNEL, "names": frozenset({"__vsc_ipynb_file__"})}, "VS Code", "look"),
        ({**KERNEL, "shell": "google.colab._shell.Shell"}, "Google Colab", "look"),
        ({**KERNEL, "variables": {"SERVER_SOFTWARE": "voila/0.5"}}, "Voila", "good"),
        (
            {**KERNEL, "server": "jupyterhub-singleuser", "variables": {"JUPYTERHUB_USER": "ann"}},
            "JupyterHub",
            "good",
        ),
        ({**KERNEL, "variables": {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}}, "Kaggle", "look"),
        ({**KERNEL, "server": "systemd"}, "a Jupyter kernel", "look"),
        ({"platform": "emscripten"}, "a browser's own Python (JupyterLite)", "bad"),
    ],
)
def test_the_program_that_shows_the_results(facts: dict, name: str, verdict: str) -> None:
    context = Context(**facts)
    found = front_end_finding(context)
    assert (front_end(context).name, found.verdict) == (name, verdict)
    assert found.remedy or found.verdict == "good"


def live(**facts: object) -> tuple[str, str]:
    settings: dict = {**KERNEL, "server": LAB, "installed": WIDGETS, "extensions": EXTENSIONS, **facts}
    found = live_plot_finding(Context(**settings))
    assert found.remedy or found.verdict == "good"
    return found.verdict, found.told


def test_live_panels() -> None:
    assert live()[0] == "good"
    assert live(installed={"ipywidgets": "8.1"}) == (
        "bad",
        "anywidget not installed, so no panel can be shown",
    )
    assert live(has_comms=False)[0] == "bad"
    verdict, told = live(widgets_need={"ipywidgets": ("jupyterlab_widgets~=4.0",)})
    assert verdict == "bad" and "jupyterlab_widgets 3.0.16; needed is ~=4.0" in told
    assert live(extensions=frozenset({"anywidget"}))[0] == "look"
    verdict, told = live(shell="google.colab._shell.Shell")
    assert verdict == "look" and "no change while no cell runs" in told
    assert "open one: reswork lab" in live(shell="", in_kernel=False, has_comms=False)[1]
