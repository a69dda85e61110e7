"""Two recordings side by side: what differs, besides what was added on purpose."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

ADDED: tuple[str, ...] = (
    "run.json/task",
    "run.json/config/head",  # a network may end in a U-Net
    "series/weight_norm",  # a recorder of every run
    "files/*/training.json/recorders/weight_norms",
    "run.json/recipe/layer_rates",  # fine-tuning: rates by layer, frozen layers, weights of the classes
    "run.json/recipe/frozen",
    "run.json/recipe/unfreeze_epochs",
    "run.json/recipe/class_weights",
    "run.json/data/decoder",  # how pictures are read
    "files/*/training.json/mode/compile_after",  # after how many steps a long run compiles
)
"""What today's code has besides, on purpose: patterns such as ``"run.json/recipe/class_weights"``,
``"series/weight_norm"`` (a series, group or array, also in the metrics), ``"files/ranks.json"``, ``"notes/ranks"`` (a
kind of note)."""


COLUMNS = ("losses", "weights", "series", "notes", "run.json", "metrics.jsonl", "files")


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], added: tuple[str, ...] = ADDED
) -> dict[str, list[str]]:
    """What differs between two records of one training: column -> sentences."""
    found = {column: list(_between(column, old.get(column), _without(column, new.get(column), added), added))
             for column in COLUMNS}  # fmt: skip
    for file, canonical in new.get("form", {}).items():
        if canonical is not old["form"][file]:
            found[file].append(f"{file}: its bytes are not those of json.dumps any more")
    return found


def table(found: Mapping[str, Mapping[str, list[str]]]) -> str:
    """One line for each training, with the number of differences in each column, and then the differences."""
    wide = max(len(name) for name in found)
    lines = [" " * wide + "".join(f"  {column}" for column in COLUMNS)]
    for name, columns in found.items():
        cells = (f"  {len(columns[column]) or 'same':>{len(column)}}" for column in COLUMNS)
        lines.append(f"{name:<{wide}}" + "".join(cells))
    told = []
    for name, columns in found.items():
        for some in columns.values():
            told += [f"{name}: {each}" for each in some[:3]]
            told += [f"{name}: ... and {len(some) - 3} more"] if len(some) > 3 else []
    return "\n".join([*lines, *(["", *told] if told else [])])


def _is(place: str, added: tuple[str, ...]) -> bool:
    return any(fnmatchcase(place, pattern) for pattern in added)


def _without(column: str, value: Any, added: tuple[str, ...]) -> Any:
    """Notes and lines of the metrics without those that were added on purpose, which would shift all that follow."""
    if column == "notes" and value is not None:
        return [note for note in value if not _is(f"notes/{note['kind']}", added)]
    if column != "metrics.jsonl" or value is None:
        return value
    kept = []
    for line in value:
        name, kind = line.get("group", line.get("array")), line.get("note")
        if (name and _is(f"series/{name}", added)) or (kind and _is(f"notes/{kind}", added)):
            continue
        if "values" in line:
            values = {key: each for key, each in line["values"].items() if not _is(f"series/{key}", added)}
            if not values:
                continue
            line = {**line, "values": values}
        kept.append(line)
    return kept


def _between(place: str, old: Any, new: Any, added: tuple[str, ...]) -> Iterator[str]:
    """A sentence for each place where two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() - new.keys():
            yield f"{place}/{key} is gone"
        for key in new.keys() - old.keys():
            if not _is(f"{place}/{key}", added):
                yield f"{place}/{key} is new"
        both = [key for key in old if key in new]
        if both != [key for key in new if key in old]:
            yield f"{place}: its fields stand in another order"
        for key in both:
            yield from _between(f"{place}/{key}", old[key], new[key], added)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{place}: {len(new)} entries, were {len(old)}"
        for index, pair in enumerate(zip(old, new, strict=False)):
            yield from _between(f"{place}/{index}", *pair, added)
    elif type(old) is not type(new) or old != new:
        yield f"{place}: {_short(new)}, was {_short(old)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
