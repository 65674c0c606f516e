#!/usr/bin/env python3
"""Counts the instructions of one unary call in core, and of one pick, and holds them against the record: `budget.py [--record]`.

The programs are the tests of core/src/engine/budget.rs: one thread, everything in memory, so two runs differ by hash
seeds alone. Each runs under callgrind with N and with 2 N calls; the difference, divided by N, is one call. A count more
than 5 % away from the record fails, in either direction: who changes what a call costs changes the record in the same
commit (`--record`), so that the history of the record is the history of the cost. A pick between a thousand addresses
costs what one between ten does, whatever the record says.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORD = ROOT / "core/docs/measurements/budget.json"
PROGRAMS = ("unary_on_the_loop", "unary_on_the_loop_16_in_flight", "unary_by_a_queue", "unary_by_a_queue_16_in_flight")
# core/src/engine/budget/picks.rs
POLICIES, ADDRESSES = ("round_robin", "least_request", "weighted_round_robin"), (1, 10, 100, 1000)
CALLS = 1_000
# A pick takes so few that what differs from one start of a program to the next must not count.
PICK_CALLS = 50_000
TOLERANCE = 0.05
PICKS = tuple(f"picks::{policy}::of_{addresses}" for policy in POLICIES for addresses in ADDRESSES)
SKIPPED_EXIT_CODE = 77


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the counts down instead of judging them")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed, so instructions cannot be counted")
        return SKIPPED_EXIT_CODE
    binary = build()
    counted = {"rustc": rustc_version(), "instructions": {program: one_call(binary, program) for program in (*PROGRAMS, *PICKS)}}
    if arguments.record:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(counted, indent=2) + "\n")
        print(json.dumps(counted, indent=2))
        return 0
    lines, is_kept = judged(counted, json.loads(RECORD.read_text()))
    print("\n".join(lines))
    return 0 if is_kept else 1


def build():
    """Builds core's unit tests with the release profile; returns the program."""
    command = ["cargo", "test", "--release", "--quiet", "-p", "linkspan-core", "--lib", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("executable"))


def rustc_version():
    return subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def one_call(binary, program):
    many = PICK_CALLS if program in PICKS else CALLS
    once, twice = (count(binary, program, calls) for calls in (many, 2 * many))
    return round((twice - once) / many)


def count(binary, program, calls):
    """The instructions of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", binary, "--exact",
                   f"engine::budget::{program}", "--test-threads=1"]
        environment = {"PATH": os.environ["PATH"], "LINKSPAN_BUDGET_CALLS": str(calls)}
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    if ran.returncode != 0 or "1 passed" not in ran.stdout:
        sys.exit(f"budget: {program} failed\n{ran.stdout}{ran.stderr}")
    collected = re.search(r"Collected : (\d+)", ran.stderr)
    return int(collected.group(1))


def judged(counted, recorded):
    """The lines to show, and whether every count is within the tolerance of its record."""
    lines, is_kept = [], True
    if counted["rustc"] != recorded["rustc"]:
        lines.append(f"recorded with {recorded['rustc']}, counted with {counted['rustc']}")
    for program, now in counted["instructions"].items():
        before = recorded["instructions"].get(program)
        if before is None:
            lines.append(f"{program}: {now} instructions a call, and no record; run tests/bench/budget.py --record")
            is_kept = False
            continue
        change = now / before - 1
        verdict = "kept" if abs(change) <= TOLERANCE else "changed; say why and run tests/bench/budget.py --record in the same commit"
        lines.append(f"{program}: {now} instructions a call, recorded {before} ({change:+.1%}): {verdict}")
        is_kept = is_kept and abs(change) <= TOLERANCE
    for policy in POLICIES:
        few, many = (counted["instructions"].get(f"picks::{policy}::of_{addresses}") for addresses in (10, 1000))
        if few and many > few * (1 + TOLERANCE):
            lines.append(f"a pick of {policy} between 1000 addresses takes {many} instructions, between 10 it takes {few}")
            is_kept = False
    return lines, is_kept


if __name__ == "__main__":
    sys.exit(main())
