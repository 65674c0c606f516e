#!/usr/bin/env python3
"""The long form of gRPC's soak cases: `tests/interop/soak.py KIND[,KIND] LANGUAGE[,LANGUAGE] [--iterations N] [--keep]`, against grpc-go.

KIND is rpc, many large calls on one channel, or channel, each on a channel of its own. Rust's client and C's library are optimized.
Every iteration must succeed; how long they took is told. --keep writes the figures to core/docs/measurements.
"""

import argparse
import pathlib
import re
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.machine import machine_facts  # noqa: E402
from faults.figures import Findings  # noqa: E402
from faults.playing import engine_commit  # noqa: E402
from interop.clients import LANGUAGES, Client  # noqa: E402
from server.running import RunningServer  # noqa: E402

ITERATIONS = 10_000
# [SOAK-6]
LINE = re.compile(r"soak iteration: \d+ elapsed_ms: (\d+) peer: \S+ server_uri: \S+ succeeded")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", type=lambda text: text.split(","))
    parser.add_argument("languages", type=lambda text: text.split(","))
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    if set(arguments.kinds) - {"rpc", "channel"} or set(arguments.languages) - set(LANGUAGES):
        parser.error(f"kinds are rpc and channel, languages {', '.join(LANGUAGES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    facts = {**machine_facts(None, None), "commit": engine_commit()}
    findings = Findings("interop-soak", True)
    for language in arguments.languages:
        client = Client(language, is_optimized=True)
        for kind in arguments.kinds:
            with RunningServer.interop() as server:
                soak(findings, client, kind, server.address, arguments.iterations)
    print("\n".join(findings.lines()), flush=True)
    if arguments.keep:
        findings.keep(facts)
    return 0 if findings.is_good else 1


def soak(findings, client, kind, address, iterations):
    """[SOAK-1] to [SOAK-5]: as many iterations with each face, none of them failed."""
    name = f"{client.language}, {kind}_soak"
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "soak"
        started = time.monotonic()
        said = client.run(address, [f"{kind}_soak"], soak_iterations=iterations, soak_log=log)
        seconds = time.monotonic() - started
        # A program that died at once has written none, and said why.
        lines = log.read_text() if log.exists() else ""
        times = sorted(int(match[1]) for match in LINE.finditer(lines))
    for failure in said.failures:
        findings.must(False, f"{name}: {failure}")
    wanted = iterations * client.faces
    findings.figure(f"{name}: iterations that did not succeed", wanted - len(times), bar=0)
    findings.figure(f"{name}: iterations", wanted)
    findings.figure(f"{name}: all of them", round(seconds, 1), unit="s")
    for part in (0.5, 0.99, 1):
        value = times[min(int(part * len(times)), len(times) - 1)] if times else None
        findings.figure(f"{name}: {'the slowest' if part == 1 else f'{part:.0%} took at most'}", value, unit="ms")


if __name__ == "__main__":
    sys.exit(main())
