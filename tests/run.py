#!/usr/bin/env python3
"""Runs groups of suites one by one and counts them: `tests/run.py test`, `ready`, `lint`, `soak` or suite names.

A suite is a command. It passes with exit code 0, is skipped with 77 or when a tool it needs is missing, and fails
otherwise or when it exceeds its hang guard. With LINKSPAN_REQUIRE_PEERS=1 a skip counts as a failure: a machine
that is meant to prove something must not pass by leaving it out. Exit code 78 is a skip that stays one: the kernel
forbids what the suite needs, and nothing that could be installed would change that.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from server.running import RunningServer, end_group  # noqa: E402
from suites import GROUPS, SUITES  # noqa: E402

SKIPPED_EXIT_CODE = 77
FORBIDDEN_EXIT_CODE = 78
COLOURS = {"passed": "32", "failed": "31", "skipped": "33", "forbidden": "33"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"groups ({', '.join(GROUPS)}) or suites; none lists them")
    arguments = parser.parse_args()
    if not arguments.names:
        list_suites()
        return 0
    # SIGTERM must end the running suite and the server too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    outcomes = run_all(selected(parser, arguments.names))
    return report(outcomes)


def list_suites():
    for group, names in GROUPS.items():
        print(f"{group}: {' '.join(names)}")


def selected(parser, names):
    """The suites meant by groups and names, each once, in the order given."""
    chosen = {}
    for name in names:
        if name not in GROUPS and name not in SUITES:
            parser.error(f"no suite or group is called {name!r}; run without arguments to list them")
        for suite_name in GROUPS.get(name, [name]):
            chosen[suite_name] = SUITES[suite_name]
    return chosen.values()


def run_all(suites):
    """Runs the suites in order and returns [(suite name, outcome)]. A failed foundation ends the run."""
    outcomes = []
    server = None
    try:
        for suite in suites:
            started = time.monotonic()
            announce(suite)
            missing = missing_tool(suite)
            if missing:
                outcome, text = "skipped", missing
            else:
                if suite.wants_server and server is None:
                    server = RunningServer.interop()
                outcome, text = run_suite(suite, server)
            outcome = strict(outcome)
            show(suite, outcome, text, time.monotonic() - started)
            outcomes.append((suite.name, outcome))
            if suite.is_foundation and outcome == "failed":
                break
    finally:
        if server:
            server.stop()
    return outcomes


def missing_tool(suite):
    for path, what in suite.needs:
        if not (ROOT / path).exists():
            return f"{path} is missing: {what}"
    return None


def run_suite(suite, server):
    """Runs one suite; its output goes to the terminal for a foundation, else into the text returned."""
    command = [part.replace("{server}", server.address) if server else part for part in suite.command]
    with tempfile.TemporaryFile() as log:
        output = None if suite.is_foundation else log
        try:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output and subprocess.STDOUT,
                start_new_session=True, env=environment(),
            )
        except OSError as error:
            return "failed", f"cannot be started: {error}"
        try:
            code = process.wait(timeout=suite.guard_minutes * 60)
            verdict = ""
        except subprocess.TimeoutExpired:
            code, verdict = 1, f"\nended after its hang guard of {suite.guard_minutes} minutes"
        finally:
            end_group(process)
        log.seek(0)
        text = log.read().decode("utf-8", "replace").rstrip() + verdict
    if code == SKIPPED_EXIT_CODE:
        return "skipped", text.strip().rpartition("\n")[2]
    if code == FORBIDDEN_EXIT_CODE:
        return "forbidden", text.strip().rpartition("\n")[2]
    return ("passed" if code == 0 else "failed"), text


def environment():
    """This process's, without the proxies a machine may have: they are for downloads, and no server of a test is behind one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_ADDRESS_")}
    # Set to nothing they hide http_proxy and no_proxy from gRPC alone.
    return {**kept, "grpc_proxy": "", "no_grpc_proxy": ""}


def strict(outcome):
    return "failed" if outcome == "skipped" and os.environ.get("LINKSPAN_REQUIRE_PEERS") == "1" else outcome


def announce(suite):
    end = "\n" if suite.is_foundation or not sys.stdout.isatty() else ""
    print(f"{suite.name} ... {'running' if end else ''}", end=end, flush=True)


def show(suite, outcome, text, seconds):
    line = f"{painted(outcome)} ({seconds:.1f} s)"
    if suite.is_foundation or not sys.stdout.isatty():
        line = f"{suite.name} ... {line}"
    print(line, flush=True)
    if outcome != "passed":
        print("".join(f"    {row}\n" for row in text.splitlines()[-LOG_LINES_SHOWN:]), end="", flush=True)
    else:
        rows = text.splitlines() if suite.shows_output else left_out(text)
        print("".join(f"    {row}\n" for row in rows), end="", flush=True)


LOG_LINES_SHOWN = 300


def left_out(text):
    """The lines in which a suite that passed says what it did not test: its own, pytest's and node's way of saying it."""
    return [row for row in text.splitlines() if re.match(r"\s*skipped\b[: ]", row, re.IGNORECASE) or "# SKIP" in row]


def painted(outcome):
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\x1b[{COLOURS[outcome]}m{outcome}\x1b[0m"
    return outcome


def report(outcomes):
    by_outcome = {outcome: [name for name, is_outcome in outcomes if is_outcome == outcome] for outcome in COLOURS}
    print()
    for outcome in ("skipped", "forbidden", "failed"):
        if by_outcome[outcome]:
            print(f"{painted(outcome)}: {' '.join(by_outcome[outcome])}")
    print(f"{len(by_outcome['passed'])} passed, {len(by_outcome['failed'])} failed")
    return 1 if by_outcome["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
