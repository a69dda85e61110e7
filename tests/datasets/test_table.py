from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.datasets import cancer, fraud, load, table
from reswork.errors import InvalidSetting

ROWS = 40


def columns() -> dict[str, list]:
    return {
        "age": [None if k % 10 == 0 else float(k) for k in range(ROWS)],
        "shop": ["food" if k % 3 else "fuel" for k in range(ROWS)],
        "day": [f"2026-02-{1 + k % 28:02d}" for k in range(ROWS)],
        "same": [7] * ROWS,
        "name": [f"person {k}" for k in range(ROWS)],
        "y": ["yes" if k % 2 else "no" for k in range(ROWS)],
    }


def test_what_is_done_to_each_column_is_said() -> None:
    data = table(columns(), "y")
    assert data.features == (
        "age", "age is missing", "shop=food", "shop=fuel", "day (day)", "day (weekday)", "day (month)",
    )  # fmt: skip
    told = " ".join(data.notes)
    for sentence in ("age: 4 missing, filled with the median", "shop: words", "day: a date", "same: left out",
                     "name: left out"):  # fmt: skip
        assert sentence in told
    both = torch.cat([data.train.inputs, data.test.inputs]).numpy()
    known = data.train.inputs[data.train.inputs[:, 1] == 0, 0]
    assert np.allclose(both[both[:, 1] == 1, 0], known.median().item(), atol=0.51)
    assert (both[:, 2] + both[:, 3] == 1).all() and set(both[:, 6]) == {2.0}
    assert len(data.test) == 8 and data.class_counts("test").tolist() == [4, 4]


def test_a_date_that_is_missing_becomes_the_middle_one_and_is_marked() -> None:
    given = columns() | {"day": [None if k % 8 == 0 else f"{1 + k % 28:02d}.03.2026" for k in range(ROWS)]}
    data = table(given, "y", ignore=["age", "shop", "same", "name"])
    assert data.features == ("day (day)", "day (weekday)", "day (month)", "day is missing")
    assert "5 missing, filled with 2026-03-" in " ".join(data.notes)
    both = torch.cat([data.train.inputs, data.test.inputs])
    assert both[:, 3].sum() == 5 and set(both[:, 2].tolist()) == {3.0}
    assert len(set(both[both[:, 3] == 1, 0].tolist())) == 1
    nowhere = table(columns() | {"day": [None] * ROWS}, "y")
    assert not [name for name in nowhere.features if name.startswith("day")]


def test_a_dataframe_an_array_and_a_csv_give_the_same(tmp_path: Path) -> None:
    numbers = np.random.RandomState(0).normal(size=(30, 3)).round(3)
    answers = [int(each) for each in numbers[:, 0] > 0]

    class Frame:
        """What is used of a DataFrame."""

        columns = ("column 0", "column 1", "column 2")

        def to_dict(self, form: str) -> dict:
            assert form == "list"
            return {each: numbers[:, at].tolist() for at, each in enumerate(self.columns)}

    lines = ["column 0,column 1,column 2,y"] + [
        ",".join(map(str, [*row, answer])) for row, answer in zip(numbers, answers, strict=True)
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    sets = [
        table(numbers, answers),
        table(Frame(), answers),
        table(tmp_path / "t.csv", "y"),
        load(tmp_path / "t.csv"),
    ]
    assert len({each.fingerprint for each in sets}) == 1 and sets[0].classes == ("0", "1")


def test_a_file_as_windows_wrote_it_is_read_and_that_is_told(tmp_path: Path) -> None:
    rows = "size,colour,kind\n" + "".join(
        f"{row},{'grün' if row % 3 else 'rot'},{'ab'[row % 2]}\n" for row in range(20)
    )
    for encoding, told in (("cp1252", True), ("utf-8", False)):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(rows.encode(encoding))
        data = table(path, "kind")
        assert any("grün" in each for each in data.features)
        assert (f"{path.name} is no UTF-8 and read as Windows-1252" in data.summary()) is told


def test_numbers_become_values() -> None:
    data = table({"a": np.arange(60.0), "b": np.arange(60) % 7, "price": np.arange(60) * 10.0}, "price")
    assert data.target_kind == "values" and data.classes == ("price",)
    np.testing.assert_allclose(
        data.in_units(data.test.values), data.test.inputs[:, 0] * 10, rtol=1e-4, atol=1e-3
    )


def test_offline_sets() -> None:
    assert cancer().input_shape == (30,) and len(cancer().train) == 456
    data = fraud()
    assert "Simulated by reswork" in data.summary() and 0.01 < data.class_counts()[0] / len(data.train) < 0.06


@pytest.mark.parametrize(
    ("source", "target", "settings", "sentence"),
    [
        ({"a": [1, 2, 3, 4]}, "b", {}, "target='b' is no column; there are a"),
        ({"a": [1, 2, 3, 4], "y": [0, 1, 0]}, "y", {}, "columns of 3 to 4 rows"),
        ({"a": [1, 2], "y": [0, 1]}, "y", {}, "give at least 4"),
        ({"a": [1] * 8, "y": [0, 1] * 4}, "y", {}, "no column is left"),
        ({"a": range(8), "y": [1] * 8}, "y", {}, "all answers are '1'"),
        ({"a": range(8), "y": [0, 1] * 4}, "y", {"ignore": ["b"]}, "ignore='b' is no column"),
        ({"a": range(8), "y": list("ababababab")[:8]}, "y", {"as_values": True}, "they are no values"),
        ({"a": range(8), "y": [0, 1] * 4}, "y", {"test_fraction": 2}, "between 0 and 1"),
        (np.zeros((8, 2)), [0, 1], {}, "2 answers for 8 rows"),
        (np.zeros(8), [0, 1], {}, "an array of shape"),
    ],
)
def test_broken_tables_are_told_in_one_sentence(
    source: object, target: object, settings: dict, sentence: str
) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        table(source, target, **settings)  # type: ignore[arg-type]


def test_broken_csv_files_are_told_in_one_sentence(tmp_path: Path) -> None:
    cases = {
        "twice": "a,a,y\n1,2,x\n1,2,z", "give a header": "a,y", "line 3 of": "a,y\n1,2\n1",
        "is no text": "a\0", "line\\(s\\)": "", "mend its quotes": 'a,y\n"' + "x" * 140_000,
    }  # fmt: skip
    for sentence, content in cases.items():
        (tmp_path / "t.csv").write_text(content)
        with pytest.raises(InvalidSetting, match=sentence):
            table(tmp_path / "t.csv", "y")
