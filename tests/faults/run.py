#!/usr/bin/env python3
"""Real clients through real faults: `tests/faults/run.py [--long] [--keep] SCENARIO ...`.

Short runs hold what must hold on any machine; long ones also hold the figures to their bars. --keep writes the figures of a long
run to core/docs/measurements, with the commit they belong to. `make build` builds what this needs.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.machine import machine_facts  # noqa: E402
from faults import deploys, half_open, pings, restart, silent_peer  # noqa: E402
from faults.figures import Findings  # noqa: E402

SCENARIOS = {each.NAME: each for each in (deploys, half_open, pings, restart, silent_peer)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="+", choices=SCENARIOS)
    parser.add_argument("--long", action="store_true", help="the long form, whose figures are held to their bars")
    parser.add_argument("--keep", action="store_true", help="keep the figures in core/docs/measurements")
    arguments = parser.parse_args()
    if arguments.keep and not arguments.long:
        parser.error("--keep is for the figures of a --long run")
    # SIGTERM must end servers and clients too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    facts = {**machine_facts(None, None), "commit": engine_commit()}
    build_caller()
    return 0 if all([play(name, arguments, facts) for name in arguments.scenarios]) else 1


def engine_commit():
    """The commit that last changed the engine: evidence stays good while that one is the last."""

    def git(*arguments):
        return subprocess.run(["git", *arguments, "--", "core/src"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain")
    return git("log", "-1", "--format=%h", "--abbrev=12") + (" with changes" if changed else "")


def build_caller():
    """The caller in Rust is an example of core, which no other build makes."""
    command = ("cargo", "build", "--quiet", "--release", "-p", "linkspan-core", "--example", "caller")
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def play(name, arguments, facts):
    findings = Findings(name, arguments.long)
    try:
        SCENARIOS[name].run(findings, arguments.long)
    except (OSError, RuntimeError, TimeoutError, ValueError) as error:
        traceback.print_exc()
        findings.must(False, str(error))
    print("\n".join(findings.lines()), flush=True)
    if arguments.keep:
        findings.keep(facts)
    return findings.is_good


if __name__ == "__main__":
    sys.exit(main())
