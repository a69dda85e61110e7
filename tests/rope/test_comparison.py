import copy
from typing import Any

from tests.rope.comparison import COLUMNS, differences, table

OLD: dict[str, Any] = {
    "losses": ["0x1.8p+0", "0x1.0p+0"],
    "weights": "aa",
    "series": {"loss/train": "1", "grad_norm": "2"},
    "notes": [{"step": 1, "kind": "resumed", "details": {}}],
    "run.json": {"format": 1, "recipe": {"steps": 2, "ema": None}},
    "metrics.jsonl": [
        {"group": "grad_norm", "labels": ["conv1"]},
        {"step": 1, "values": {"loss/train": 1.5}},
        {"step": 2, "values": {"loss/train": 1.0}},
    ],
    "form": {"run.json": True, "metrics.jsonl": True},
    "files": {"weights.safetensors": {"conv1.weight": "aa"}},
}


def found(new: dict[str, Any], *added: str) -> list[str]:
    return [each for some in differences(OLD, new, added).values() for each in some]


def test_the_same_is_the_same() -> None:
    assert found(copy.deepcopy(OLD)) == []
    assert "same" in table({"post": differences(OLD, OLD)})


def test_each_thing_that_differs_is_told_with_its_place() -> None:
    new = copy.deepcopy(OLD)
    new["losses"][1] = "0x1.0000000000001p+0"
    new["weights"] = "ab"
    del new["series"]["grad_norm"]
    new["run.json"]["recipe"]["ema"] = False  # equal to 0, not to None
    new["metrics.jsonl"][2]["values"]["loss/train"] = 1  # equal, other bytes
    new["form"]["run.json"] = False
    new["files"]["weights.safetensors"]["conv1.weight"] = "ab"
    assert found(new) == [
        "losses/1: '0x1.0000000000001p+0', was '0x1.0p+0'",
        "weights: 'ab', was 'aa'",
        "series/grad_norm is gone",
        "run.json/recipe/ema: False, was None",
        "run.json: its bytes are not those of json.dumps any more",
        "metrics.jsonl/2/values/loss/train: 1, was 1.0",
        "files/weights.safetensors/conv1.weight: 'ab', was 'aa'",
    ]
    assert [len(some) for some in differences(OLD, new, ()).values()] == [1, 1, 1, 0, 2, 1, 1]
    assert len(differences(OLD, new, ())) == len(COLUMNS)


def test_another_order_of_fields_is_other_bytes() -> None:
    new = copy.deepcopy(OLD)
    new["run.json"]["recipe"] = {"ema": None, "steps": 2}
    assert found(new) == ["run.json/recipe: its fields stand in another order"]


def test_what_was_added_on_purpose_is_forgiven_and_nothing_else() -> None:
    new = copy.deepcopy(OLD)
    new["run.json"]["recipe"] = {"steps": 2, "frozen": [], "ema": None}
    new["series"] |= {"weight_norm": "3", "iou/test": "4"}
    new["metrics.jsonl"].insert(0, {"group": "weight_norm", "labels": ["conv1"]})
    new["metrics.jsonl"][2]["values"]["iou/test"] = 0.5
    new["metrics.jsonl"].append({"step": 3, "values": {"iou/test": 0.5}})
    new["notes"].append({"step": 2, "kind": "ranks", "details": {}})
    new["metrics.jsonl"].insert(1, {"step": 2, "note": "ranks", "details": {}})
    assert len(found(new)) > 5
    assert found(new, "run.json/recipe/frozen", "series/weight_norm", "series/iou/*", "notes/ranks") == []
    new["run.json"]["recipe"]["ema"] = 0.9
    assert (
        found(new, "run.json/recipe/*", "series/*", "notes/ranks")[0] == "run.json/recipe/ema: 0.9, was None"
    )
