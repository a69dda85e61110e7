"""What a data set is besides its tensors, as JSON values."""

from collections.abc import Mapping
from typing import Any

from reswork.datasets.dataset import Dataset, Skipped, Split


def facts_of(data: Dataset) -> dict[str, Any]:
    """Everything but images, targets and extras, with the fingerprint."""
    return {
        "name": data.name,
        "classes": list(data.classes),
        "mean": list(data.mean),
        "std": list(data.std),
        "source": data.source,
        "skipped": [[item.path, item.reason] for item in data.skipped],
        "notes": list(data.notes),
        "value_range": None if data.value_range is None else list(data.value_range),
        "layout": data.layout,
        "features": list(data.features),
        "target_scale": None if data.target_scale is None else [list(each) for each in data.target_scale],
        "task": data.task,
        "fingerprint": data.fingerprint,
    }


def data_of(facts: Mapping[str, Any], train: Split, test: Split) -> Dataset:
    """The data set with these images and targets, whose fingerprint is not computed again."""
    low_high, scale = facts["value_range"], facts.get("target_scale")  # older files have none
    data = Dataset(
        str(facts["name"]),
        train,
        test,
        tuple(map(str, facts["classes"])),
        tuple(map(float, facts["mean"])),
        tuple(map(float, facts["std"])),
        str(facts["source"]),
        tuple(Skipped(str(path), str(reason)) for path, reason in facts["skipped"]),
        notes=tuple(map(str, facts["notes"])),
        value_range=None if low_high is None else (float(low_high[0]), float(low_high[1])),
        layout=str(facts["layout"]),
        features=tuple(map(str, facts.get("features", ()))),
        target_scale=None if scale is None else (tuple(map(float, scale[0])), tuple(map(float, scale[1]))),
        task=facts.get("task"),
    )
    data.__dict__["fingerprint"] = str(facts["fingerprint"])
    return data
