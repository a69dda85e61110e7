"""Whether the fixes help: faults with a change of settings or data, trained again with it, beside the healthy twin."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.doctor.scores import planted_in
from benchmarks.doctor.trainings import cases, fixed, records, test_score
from reswork.diagnosis.catalogue import judged

_LEFT = 0.03  # of the score, within which a twin is reached


def try_fixes(folder: Path, kinds: Sequence[str], seconds: float) -> Iterator[str]:
    """Of each planted fault that was found and has such a fix a line with the scores, also of the healthy twin.

    Args:
        folder: with the records of a half.
        kinds: whose fixes are tried first; the others follow.
        seconds: after which no other training begins.
    """
    begin = time.perf_counter()
    torch.set_num_threads(1)
    path = folder / "fixes.jsonl"
    done = {each["case"] for each in fix_records(folder)}
    twins = {each["twin"]: each["healthy"] for each in fix_records(folder)}
    with path.open("a") as file:
        found = records(folder)
        for case in sorted(found, key=lambda case: (planted_in(case) not in kinds, _order(case))):
            facts, kind = found[case], planted_in(case)
            fix = next((each.fix for each in judged(facts) if each.kind == kind), None)
            if case in done or fix is None or not fix.changes or facts.answers is None:
                continue
            if time.perf_counter() - begin > seconds:
                return
            _, network, data, _ = case.split("/")
            twin = f"healthy: as it is/{network}/{data}"
            if twin not in twins:
                twins[twin] = test_score(cases()[twin]())
            row = {"case": case, "twin": twin, "before": facts.answers.test_score, "healthy": twins[twin],
                   "after": test_score(fixed(case, fix)), "changes": fix.told_changes, "fresh": fix.fresh,
                   "eases": fix.eases}  # fmt: skip
            file.write(json.dumps(row) + "\n")
            file.flush()
            yield f"{case}: {row['before']:.3f} -> {row['after']:.3f}, twin {row['healthy']:.3f}"


def _order(case: str) -> bytes:
    """By which a part of the cases has all kinds."""
    return hashlib.sha256(case.encode()).digest()


def fix_records(folder: Path) -> list[dict[str, Any]]:
    """What was tried so far."""
    path = folder / "fixes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def is_mended(row: dict[str, Any]) -> bool:
    """Whether a fix leads to within three points of the healthy twin."""
    return bool(row["after"] >= row["healthy"] - _LEFT)
