import numpy as np
import pytest

from reswork.errors import InvalidSetting
from reswork.figures import shortcut_attributions


def test_two_bars_a_stage_add_up(make_shares) -> None:
    shares = make_shares()
    figure = shortcut_attributions(shares, image=1)
    over, through = figure.data
    assert list(over.x) == ["layer1", "layer2", "layer3"] and figure.layout.barmode == "relative"
    assert np.allclose(over.y, 4 / 3) and np.allclose(through.y, 1.5)
    assert "layer1 47 %" in figure.layout.meta["summary"]


def test_blocks_and_their_neighbours(make_shares) -> None:
    (trace,) = shortcut_attributions(make_shares(), blocks=True).data
    assert len(trace.y) == 9 and trace.x[0] == "layer1.0"
    figure = shortcut_attributions(make_shares(3, 200), blocks=True)
    assert len(figure.data[0].y) == 200 and np.allclose(figure.data[0].y, 1.5)
    assert "3 neighbours" in figure.layout.xaxis.title.text


def test_an_image_that_there_is_not(make_shares) -> None:
    with pytest.raises(InvalidSetting, match="0 to 1"):
        shortcut_attributions(make_shares(), image=2)
