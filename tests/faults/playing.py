"""Plays scenarios from the command line, shows what they found, and keeps the figures of those that are to be kept."""

import argparse
import pathlib
import signal
import subprocess
import sys
import traceback

from bench.machine import machine_facts
from faults.figures import Findings
from server.running import Missing

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED_EXIT_CODE = 77


def main(about, scenarios, prepare=lambda: None):
    """The exit code: 1 when a scenario went wrong, 77 when one was left out. `scenarios` are modules with a NAME and `run(findings, is_long)`."""
    by_name = {each.NAME: each for each in scenarios}
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("scenarios", nargs="+", choices=by_name)
    parser.add_argument("--long", action="store_true", help="the long form, whose figures are held to their bars")
    parser.add_argument("--keep", action="store_true", help="keep the figures in core/docs/measurements")
    arguments = parser.parse_args()
    if arguments.keep and not arguments.long:
        parser.error("--keep is for the figures of a --long run")
    # SIGTERM must end servers and clients too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    facts = {**machine_facts(None, None), "commit": engine_commit()}
    prepare()
    codes = {play(by_name[name], arguments, facts) for name in arguments.scenarios}
    return 1 if 1 in codes else max(codes)


def engine_commit():
    """The commit that last changed the engine: evidence stays good while that one is the last."""

    def git(*arguments):
        return subprocess.run(["git", *arguments, "--", "core/src"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain")
    return git("log", "-1", "--format=%h", "--abbrev=12") + (" with changes" if changed else "")


def play(scenario, arguments, facts):
    findings = Findings(scenario.NAME, arguments.long)
    try:
        scenario.run(findings, arguments.long)
    except Missing as missing:
        print(f"{scenario.NAME}: {missing}", flush=True)
        return SKIPPED_EXIT_CODE
    except (OSError, RuntimeError, TimeoutError, ValueError) as error:
        traceback.print_exc()
        findings.must(False, str(error))
    print("\n".join(findings.lines()), flush=True)
    if arguments.keep:
        findings.keep(facts)
    return 0 if findings.is_good else 1
