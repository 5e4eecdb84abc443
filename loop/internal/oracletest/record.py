#!/usr/bin/env python3
"""Records what CPython's asyncio does in every scenario of this directory.

    python3 loop/internal/oracletest/record.py            records all
    python3 loop/internal/oracletest/record.py --check    compares instead
    python3 loop/internal/oracletest/record.py ID...      only these

Every scenario is run several times, and all runs must agree once they are in
normal form. A scenario that needs a newer or older Python than the one at hand
is skipped with a line that says so; its trace stays as it is. Python 3.11 or
newer and its standard library are all that is needed.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from runner import Runner  # noqa: E402
from events import normalise  # noqa: E402

HERE = Path(__file__).resolve().parent
DATA = HERE / "testdata"


def scenarios():
    """All scenarios, in the order of files and of each file."""
    files = sorted((HERE / "scenarios").glob("*.json"))
    return [s for f in files for s in json.loads(f.read_text())]


def version(text):
    """A version as numbers, for comparison."""
    return tuple(int(part) for part in text.split("."))


def skip_reason(scenario):
    """Why this Python cannot record the scenario, or None."""
    at_least, at_most = scenario.get("asyncio_min"), scenario.get("asyncio_max")
    here = sys.version_info[:3]
    if at_least and here < version(at_least):
        return f"needs Python {at_least} or newer"
    if at_most and here[:2] > version(at_most):
        return f"needs Python {at_most} or older"
    return None


def descriptors():
    """How many descriptors are open."""
    return len(os.listdir("/proc/self/fd"))


def record(scenario, runs):
    """The normal form of several runs, and a list of complaints."""
    before, traces, complaints = descriptors(), [], []
    for _ in range(runs):
        events = Runner(scenario).run()
        traces.append(normalise(events, scenario.get("level", "exact")))
    for other in traces[1:]:
        if other != traces[0]:
            complaints.append("runs differ:\n" + difference(traces[0], other))
            break
    if descriptors() != before:
        complaints.append(f"descriptors leak: {before} before, {descriptors()} after")
    return traces[0], complaints


def difference(want, got):
    """The first line in which two traces differ."""
    for i in range(max(len(want), len(got))):
        a = want[i] if i < len(want) else "(end)"
        b = got[i] if i < len(got) else "(end)"
        if a != b:
            return f"  event {i + 1}\n  - {a}\n  + {b}"
    return "  (equal)"


def write_versions(recorded):
    """Notes which Python made the traces, one "id version" a line."""
    file = DATA / "VERSION"
    known = dict(line.split() for line in file.read_text().splitlines()) if file.exists() else {}
    known |= {name: platform.python_version() for name in recorded}
    ids = {scenario["id"] for scenario in scenarios()}
    file.write_text("".join(f"{n} {v}\n" for n, v in sorted(known.items()) if n in ids))


def main():
    """Records or checks; the exit status is 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is committed")
    parser.add_argument("--runs", type=int, default=5, help="runs of each scenario")
    parser.add_argument("id", nargs="*", help="scenarios to record, default all")
    args = parser.parse_args()
    unknown = set(args.id) - {scenario["id"] for scenario in scenarios()}
    if unknown:
        parser.error("no such scenario: " + ", ".join(sorted(unknown)))
    bad, done, recorded = 0, 0, []
    for scenario in scenarios():
        name = scenario["id"]
        if args.id and name not in args.id:
            continue
        reason = skip_reason(scenario)
        if reason:
            print(f"skip {name}: {reason}")
            continue
        trace, complaints = record(scenario, args.runs)
        file = DATA / f"{name}.asyncio.jsonl"
        if args.check:
            committed = file.read_text().splitlines() if file.exists() else []
            if committed != trace:
                complaints.append("not as committed:\n" + difference(committed, trace))
        else:
            file.write_text("".join(event + "\n" for event in trace))
            recorded.append(name)
        for complaint in complaints:
            print(f"FAIL {name}: {complaint}")
        bad += bool(complaints)
        done += 1
    if not args.check:
        write_versions(recorded)
    print(f"{done} scenarios on CPython {platform.python_version()}, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
