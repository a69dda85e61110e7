import numpy as np
import plotly.graph_objects as go

from reswork import figures
from reswork.results import Evidence


def _checked(evidence: Evidence) -> go.Figure:
    figure = figures.evidence(evidence)
    go.Figure(figure.to_dict())  # plotly's own checks
    assert figure.layout.xaxis.title is not None and figure.layout.yaxis.title.text
    assert figure.layout.meta["summary"].endswith("the limit is 0.4.")
    return figure


def test_names_are_bars() -> None:
    made = Evidence(
        "share", 0.6, 0.4, title="dead", labels=("layer1.0", "layer2.0"), values=np.array([0.5, 0.7])
    )
    (bars,) = _checked(made).data
    assert bars.type == "bar" and bars.y.tolist() == [0.5, 0.7] and list(bars.x) == ["layer1.0", "layer2.0"]


def test_steps_are_a_line() -> None:
    made = Evidence(
        "loss", 0.6, 0.4, title="loss", labels=(1.0, 2.0), values=np.array([2.0, np.nan]), along="steps"
    )
    (line,) = _checked(made).data
    assert line.type == "scatter" and line.x.tolist() == [1.0, 2.0]


def test_a_single_number_stands_beside_its_limit() -> None:
    (bars,) = _checked(Evidence("share", 0.6, 0.4)).data
    assert bars.y.tolist() == [0.6, 0.4] and list(bars.x) == ["measured", "limit"]


def test_a_loss_that_blew_up_is_drawn_on_a_logarithmic_axis() -> None:
    values = np.array([2.3, 1e26, 4.0])
    made = Evidence("loss", 0.6, 0.4, title="loss", labels=(1.0, 2.0, 3.0), values=values, along="steps")
    assert _checked(made).layout.yaxis.type == "log"
    usual = Evidence("loss", 0.6, 0.4, title="loss", labels=(1.0, 2.0), values=values[::2], along="steps")
    assert _checked(usual).layout.yaxis.type != "log"
