from pathlib import Path

import pytest

import reswork as rw
from reswork.datasets import digits


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rw.LiveRun:
    data, folder = digits().subset(60, 40), tmp_path_factory.mktemp("returns") / "run"
    run = rw.train(
        rw.resnet(depth=8, width=4, in_channels=1), data, rw.Recipe(steps=3, batch_size=20), directory=folder
    )
    run.wait()
    return run


def test_the_sheet_follows_what_is_entered_and_is_saved(run: rw.LiveRun, tmp_path: Path) -> None:
    view = rw.returns_view(run)
    assert view.sheet is not None and view.sheet["cost of an error"] == 1
    before = view.sheet
    view.boxes["error_cost"].value = "2,500"
    view.boxes["error_before"].value = "95"
    assert view.sheet["cost of an error"] == 2500 and view.sheet["error before"] == 0.95
    assert view.sheet["a prediction"] == pytest.approx(before["a prediction"])  # timed once
    assert "<td>2,500</td>" in view.table.value
    view.saver.path.value = str(tmp_path / "sheet.csv")
    view.saver.save.click()
    assert (tmp_path / "sheet.csv").is_file() and "Saved" in view.saver.said.value
    view.boxes["months"].value = "<b>"
    assert view.sheet is None and view.saver.save.disabled and "must be a number" in view.error.value
    view.boxes["months"].value = "-1"
    assert "months=-1.0 must be a number from 0" in view.error.value
    view.boxes["months"].value = "3"
    assert view.error.value == "" and not view.saver.save.disabled
    view.close()
