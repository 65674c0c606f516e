#!/usr/bin/env python3
"""gRPC's interop cases with the client of one language: `tests/interop/run.py LANGUAGE`, against every server of servers.py.

One line for each server: how many cases passed, and which were left out and why. A server that cannot be started here is said to be
skipped; with LINKSPAN_REQUIRE_PEERS=1 that is a failure.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from interop import cases, http2  # noqa: E402
from interop.clients import LANGUAGES, Client  # noqa: E402
from interop.servers import SERVERS  # noqa: E402
from server.running import RunningServer  # noqa: E402

# [SOAK-7]: with two workers. The long form is tests/interop/soak.py. Other programs may have the machine meanwhile, so only what fails counts here.
SHORT_SOAK = {"soak_iterations": 100, "soak_num_threads": 2, "soak_per_iteration_max_acceptable_latency_ms": 10_000}

# [SOAK-3], [SOAK-4], [SOAK-5]: so paced, they take 2.5 s, and there is one.
TOO_SHORT_SOAK = {
    "soak_iterations": 50,
    "soak_min_time_ms_between_rpcs": 50,
    "soak_overall_timeout_seconds": 1,
    "soak_request_size": 1,
    "soak_response_size": 1,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("language", choices=LANGUAGES)
    parser.add_argument("--server", action="append", choices=[server.name for server in SERVERS], help="only this one")
    arguments = parser.parse_args()
    # SIGTERM must end the servers too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    client = Client(arguments.language)
    is_good = True
    for server in SERVERS:
        if arguments.server and server.name not in arguments.server:
            continue
        missing = server.missing()
        if missing:
            print(f"skipped: {server.name}: {missing}", flush=True)
            is_good &= os.environ.get("LINKSPAN_REQUIRE_PEERS") != "1"
            continue
        passed, failures = against(server, client)
        is_good &= told(server.name, passed, failures, f"; left out: {server.told_lacks}" if server.lacks else "")
    if not arguments.server:
        is_good &= told("a soak without enough time", *too_short_soak(client))
        is_good &= told("HTTP/2 broken on purpose", *http2.run_all(client))
    return 0 if is_good else 1


def against(server, client):
    """Every case the server serves; how many passed, and what was wrong."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flags, at_start = {}, []
        if server.host:
            flags = {"ca_file": folder / "ca.pem", "server_host_override": server.host}
            at_start = ["-cert-out", flags["ca_file"]]
        first = stack.enter_context(server.start(*at_start))
        group = cases.ON_ONE
        runs = [client.run(first.address, server.serves(group), **flags, **SHORT_SOAK, soak_log=folder / "soak")]
        limited = server.serves(cases.ON_LIMITED) + server.serves(cases.ON_TWO)
        if limited:
            second = stack.enter_context(server.start("--name", "the second", "--max-streams", "2"))
            runs.append(client.run(second.address, server.serves(cases.ON_LIMITED)))
            runs.append(client.run(f"ipv4:{first.address},{second.address}", server.serves(cases.ON_TWO)))
    return sum(said.passed for said in runs), [failure for said in runs for failure in said.failures]


def too_short_soak(client):
    """A soak that cannot run all of its iterations must say so."""
    with RunningServer.grpcio() as server, tempfile.TemporaryDirectory() as folder:
        said = client.run(server.address, ["rpc_soak"], **TOO_SHORT_SOAK, soak_log=pathlib.Path(folder) / "soak")
    refused = sum("of 50 iterations ran and 0 of them failed" in failure for failure in said.failures)
    return refused, [] if refused == client.faces else [f"it passed, or failed for another reason: {said.failures}"]


def told(name, passed, failures, more=""):
    """Says how it went; whether it went well."""
    print(f"{name}: {passed} passed, {len(failures)} failed{more}", flush=True)
    for failure in failures:
        print(f"    FAILED {failure}", flush=True)
    return not failures


if __name__ == "__main__":
    sys.exit(main())
