import json
from pathlib import Path

import pytest

import reswork as rw
from reswork.errors import InvalidSetting


def test_a_table_is_written_changed_and_read(tmp_path: Path) -> None:
    table = rw.prices()
    assert table.here.per_hour == 0 and table.date and table.source
    path = table.save(tmp_path / "prices.json")
    values = json.loads(path.read_text())
    assert rw.prices(path) == table
    values["electricity_per_kwh"] = 0.5
    path.write_text(json.dumps(values))
    assert rw.prices(path).electricity_per_kwh == 0.5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"electricity_per_kwh": -1}, "electricity_per_kwh=-1"),
        ({"machines": []}, "of the kind 'here'"),
        ({"machines": [{"name": "x", "kind": "here", "per_hour": "a"}]}, "per_hour='a' of 'x'"),
        ({"machines": [{"name": "x", "kind": "gpu", "per_hour": 1}]}, "'x' has no tera_operations"),
        ({"machines": [{"name": "x", "kind": "cpu", "per_hour": 1}]}, "choose 'here' or 'gpu'"),
        ({"machines": [{"name": "x", "kind": "here", "per_hour": 1, "price": 2}]}, "'price' is nothing"),
        ({"machines": 3}, "these are no prices"),
        ({"date": None}, None),
    ],
)
def test_what_is_no_price_is_refused(change: dict[str, object], told: str | None, tmp_path: Path) -> None:
    path = rw.prices().save(tmp_path / "prices.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    if told is None:
        assert rw.prices(path).date == "None"
        return
    with pytest.raises(InvalidSetting, match=told):
        rw.prices(path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read as a table of prices"):
        rw.prices(tmp_path / "nothing.json")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InvalidSetting):
        rw.prices(tmp_path / "x.json")
