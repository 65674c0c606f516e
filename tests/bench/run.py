#!/usr/bin/env python3
"""Measures linkspan and its peers side by side: `tests/bench/run.py trial`, `quick`, `bench` or `full`.

Prints the plan, then the table. Exits 1 when a client failed; a bar that was missed is a finding, no failure. With
LINKSPAN_REQUIRE_PEERS=1 a client that is missing is a failure too. `make bench` builds what this needs.
"""

import argparse
import os
import pathlib
import signal
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench import pinned  # noqa: E402
from bench.clients import BY_NAME  # noqa: E402
from bench.echo_server import EchoServer  # noqa: E402
from bench.machine import machine_facts, versions  # noqa: E402
from bench.plan import LEAST_ROUNDS, MODES, make_plan  # noqa: E402
from bench.report import readme  # noqa: E402
from bench.report.chart import chart  # noqa: E402
from bench.report.record import as_json  # noqa: E402
from bench.report.table import table  # noqa: E402
from bench.turns import take_turns  # noqa: E402
from bench.workloads import WORKLOADS  # noqa: E402

OUT = ROOT / "target" / "bench"
MEASUREMENTS = ROOT / "core" / "docs" / "measurements"


def main():
    arguments = parsed()
    plan = make_plan(MODES[arguments.mode], arguments.only, arguments.workloads, arguments.rounds, arguments.seconds)
    if not plan.cells:
        raise SystemExit(f"{plan.mode} has none of these workloads for these clients")
    tell(plan)
    # SIGTERM must end server and clients too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    server_core, client_core = pinned.cores()
    facts = machine_facts(server_core, client_core)
    with EchoServer(server_core) as server:
        results = take_turns(plan, server, client_core)
    facts["versions"] = versions(results)
    if plan.rounds < LEAST_ROUNDS:
        facts["warnings"].append(f"fewer than {LEAST_ROUNDS} rounds: a trial, no measurement")
    print(table(plan, results, facts))
    keep(plan, results, facts, arguments.json)
    if arguments.readme:
        publish(plan, results, facts)
    return verdict(results)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--only", type=names_of(BY_NAME), default=(), metavar="CLIENT,..", help=", ".join(BY_NAME))
    parser.add_argument(
        "--workloads", type=names_of(WORKLOADS), default=(), metavar="WORKLOAD,..", help=", ".join(WORKLOADS)
    )
    parser.add_argument("--rounds", type=int, help=f"{LEAST_ROUNDS} or more, else it is a trial")
    parser.add_argument("--seconds", type=float, help="the window of one turn; the mode's time decides otherwise")
    parser.add_argument("--json", type=pathlib.Path, default=OUT / "results.json", metavar="PATH")
    parser.add_argument("--readme", action="store_true", help="write the README's table and chart (full only)")
    arguments = parser.parse_args()
    for name in ("rounds", "seconds"):
        if getattr(arguments, name) is not None and not getattr(arguments, name) > 0:
            parser.error(f"--{name} must be more than 0")
    if arguments.readme:
        refuse_readme(parser, arguments)
    return arguments


def names_of(known):
    def parse(text):
        names = tuple(name for name in text.split(",") if name)
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def refuse_readme(parser, arguments):
    """What would make the README's table wrong is refused before the run, not after half an hour."""
    if arguments.mode != "full" or arguments.only or arguments.workloads:
        parser.error("--readme needs a full run of all clients")
    if (arguments.rounds or LEAST_ROUNDS) < LEAST_ROUNDS:
        parser.error(f"--readme needs {LEAST_ROUNDS} rounds or more")
    try:
        readme.split(readme.README.read_text())
    except readme.NoMarkers as error:
        parser.error(str(error))


def tell(plan):
    present = [client.name for client in plan.clients if not client.missing]
    cells = [f"{cell.name} ({sum(not client.missing for client in cell.clients)})" for cell in plan.cells]
    lines = [
        f"{plan.mode}: about {plan.minutes:.1f} minutes; {plan.rounds} rounds, a window of {plan.seconds:g} s",
        f"  clients: {' '.join(present) or 'none'}",
        *(f"  left out: {client.name}: {client.missing}" for client in plan.clients if client.missing),
        f"  workloads (clients): {' '.join(cells)}",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


def keep(plan, results, facts, path):
    """What every run leaves behind."""
    write(path, as_json(plan, results, facts))
    picture = chart(results, facts)
    if picture:
        write(OUT / "chart.svg", picture)


def publish(plan, results, facts):
    """What the repository keeps of a run."""
    if results.failures:
        print("README.md and core/docs/measurements stay as they are: a client failed", file=sys.stderr)
        return
    write(MEASUREMENTS / "bench.json", as_json(plan, results, facts))
    write(ROOT / readme.CHART, chart(results, facts))
    write(readme.README, readme.rewritten(readme.README.read_text(), results, facts, "make bench-full"))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"written: {path}", file=sys.stderr)


def verdict(results):
    failures = {}
    for series in results.failures:
        failures.setdefault((series.client.name, series.failed), []).append(series.cell.name)
    for (client, reason), cells in failures.items():
        print(f"failed: {client} in {', '.join(cells)}: {reason}", file=sys.stderr)
    if results.failures:
        return 1
    missing = {name: why for name, why in results.missing_clients.items() if not BY_NAME[name].is_optional}
    if missing and os.environ.get("LINKSPAN_REQUIRE_PEERS") == "1":
        for name, reason in missing.items():
            print(f"missing although LINKSPAN_REQUIRE_PEERS=1: {name}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
