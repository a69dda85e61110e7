"""``python -m benchmarks.doctor train|look|judge|fixes|write``: the proof of the doctor, step by step.

``train`` trains one half of the cases and keeps their records. ``look`` shows the measure of every rule beside its
limit, and ``judge`` the findings; both take what limits are chosen from. ``fixes`` trains again with the fixes of a
half. ``write`` judges the fifth and the sixth set and writes docs/doctor.md.
"""

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np

from benchmarks.doctor.fixes import fix_records, try_fixes
from benchmarks.doctor.page import page
from benchmarks.doctor.scores import ALSO, planted_in, scores
from benchmarks.doctor.trainings import halves, records, train
from reswork.diagnosis.catalogue import RULES, judged

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "doctor.md"
SEEN = ("choose", "second", "third", "fourth", "fifth")  # what limits are chosen from
JUDGE = "sixth"
HALVES = (*SEEN, "trials", JUDGE)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor", description=__doc__)
    parser.add_argument("what", choices=("train", "look", "judge", "fixes", "write"))
    parser.add_argument("--half", choices=HALVES, default="choose")
    parser.add_argument("--only", default="", help="cases whose name has this; of fixes kinds to begin with")
    parser.add_argument(
        "--backwards", action="store_true", help="begin with the last case, beside another process"
    )
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no other training after so many")
    options = parser.parse_args()
    folder = HERE / "records" / options.half
    if options.what == "train":
        folder.mkdir(parents=True, exist_ok=True)
        names = [
            name
            for name, half in halves().items()
            if half == options.half and any(word in name for word in options.only.split(","))
        ]
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())  # a part of them has all kinds
        names = names[::-1] if options.backwards else names
        begin = time.perf_counter()
        for number, (name, seconds) in enumerate(train(names, folder), start=1):
            print(f"{number:4} {seconds:5.1f} s  {name}", flush=True)
            if time.perf_counter() - begin > 60 * options.minutes:
                break
    elif options.what == "fixes":
        for line in try_fixes(folder, options.only.split(","), 60 * options.minutes):
            print(line, flush=True)
    elif options.what == "look":
        _look(options.only, *_of_work(options.half))
    elif options.what == "judge":
        _judge(options.only, *_of_work(options.half))
    else:
        known = {half: HERE / "records" / half for half in (*SEEN, JUDGE)}
        seen = {case: facts for half in SEEN for case, facts in records(known[half]).items()}
        tried = {half: fix_records(folder) for half, folder in known.items()}
        told = page(seen, records(known["fifth"]), records(known[JUDGE]), tried)
        PAGE.write_text(told, encoding="utf-8")


def _of_work(half: str) -> list[str]:
    """The halves that may be looked at while rules change."""
    if half == JUDGE:
        raise SystemExit(f"{half} judges, and is not looked at while rules change; choose another half")
    return [half]


def _look(only: str, half: str) -> None:
    """Of each rule the measures where its kind is planted, and the highest elsewhere."""
    found = records(HERE / "records" / half)
    for rule in RULES:
        if only not in rule.kind:
            continue
        values = {
            case: measured.value
            for case, facts in found.items()
            if not rule.missing(facts) and (measured := rule.measure(facts)) is not None
        }
        own = {case: value for case, value in values.items() if planted_in(case) == rule.kind}
        other = {
            case: value for case, value in values.items() if rule.kind not in ALSO.get(planted_in(case), ())
        }
        print(f"\n{rule.kind}: limit {rule.limit:.3g}; planted {np.round(sorted(own.values()), 3)}")
        for case in sorted(other, key=lambda each: -np.nan_to_num(other[each]))[:8]:
            print(f"   {other[case]:9.3f} {case}")


def _judge(only: str, half: str) -> None:
    found = {case: facts for case, facts in records(HERE / "records" / half).items() if only in case}
    for case, facts in found.items():
        told = judged(facts)
        kind = planted_in(case)
        kinds = [each.kind for each in told]
        if (kind and kind not in kinds) or any(each not in ALSO.get(kind, ()) for each in kinds):
            print(
                f"{case}: {[f'{each.kind} {each.evidence.value:.2f} {list(each.explains)}' for each in told]}"
            )
    result = scores(found)
    planted, rates = sum(result.planted.values()), (result.recall, result.precision, result.strict_precision)
    print(f"of {planted} planted: recall, precision, strict {np.round(rates, 3)}")
    print(f"of {result.healthy} healthy {result.disturbed} with findings")


if __name__ == "__main__":
    main()
