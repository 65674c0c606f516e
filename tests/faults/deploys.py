"""Three servers restarted in turn, as a deploy does it, while every connection has a maximum age of 5 s: no unary call fails.

500 calls a second of one program, and beside it the demo's clients in C and Node with four calls in flight each. The long form
does it first with the fault servers, then with grpc-go's.
"""

import contextlib
import statistics
import time

from faults.caller import PYTHON, RUST, Caller
from faults.demo_client import DemoClient
from server.running import RunningServer
from server.scripted import FaultServer

NAME = "deploys"
SERVERS = 3
LANGUAGES = ("c", "node")
CALLS_PER_SECOND = 500
DEADLINE_MS = 5000
MAX_AGE_SECONDS = 5
DOWN_SECONDS = 1
# The first calls connect and warm up the programs; the next are what is normal.
WARM_UP_CALLS = CALLS_PER_SECOND
NORMAL_CALLS = CALLS_PER_SECOND
P99_TIMES_NORMAL = 3
# Calls are told in whole milliseconds, of which a normal one takes one or two.
P99_FLOOR_MS = 10


def run(findings, is_long):
    seconds, restart_every = (300, 10) if is_long else (16, 3)
    kinds = ("fault-server", "grpc-go") if is_long else ("fault-server",)
    for kind in kinds:
        with contextlib.ExitStack() as cleanup:
            deploy(findings, kind, seconds, restart_every, cleanup)


def deploy(findings, kind, seconds, restart_every, cleanup):
    servers = [cleanup.enter_context(SERVER_KINDS[kind](number)) for number in range(SERVERS)]
    target = "ipv4:" + ",".join(server.address for server in servers)
    callers = {
        name: cleanup.enter_context(Caller(target, program, rate=CALLS_PER_SECOND, deadline_ms=DEADLINE_MS))
        for name, program in (("python", PYTHON), ("rust", RUST))
    }
    demo_clients = [cleanup.enter_context(DemoClient(language, target, seconds)) for language in LANGUAGES]
    for name, caller in callers.items():
        caller.history.wait_until(lambda told: told.good_since(0) >= WARM_UP_CALLS + NORMAL_CALLS, f"{name} calls before the first restart")
    end = time.monotonic() + seconds
    restarts = 0
    while time.monotonic() + restart_every < end:
        server = servers[restarts % SERVERS]
        server.shut_down()
        time.sleep(DOWN_SECONDS)
        server.restart()
        restarts += 1
        time.sleep(max(0, restart_every - DOWN_SECONDS))
    histories = {name: caller.finish() for name, caller in callers.items()}
    for name, history in histories.items():
        judge_caller(findings, f"{kind}, {name}", history)
    for client in demo_clients:
        told = client.finish()
        findings.must(told["failed"] == 0 and told["ok"] > 0, f"{kind}, {client.language}: {told}; {client.errors[:3]}")
        findings.figure(f"{kind}, {client.language}: calls", told["ok"])
    findings.figure(f"{kind}: restarts", restarts)
    if kind == "fault-server":
        judge_servers(findings, servers, sum(len(history.calls) for history in histories.values()))


def judge_caller(findings, title, history):
    failed = history.failed
    findings.must(not failed, f"{title}: {history.told()}")
    findings.figure(f"{title}: calls", len(history.calls))
    findings.figure(f"{title}: failed calls", len(failed), 0)
    warm = history.calls[WARM_UP_CALLS:]
    normal = p99(warm[:NORMAL_CALLS])
    findings.figure(f"{title}: p99 before the first restart", normal, unit="ms")
    bar = max(P99_TIMES_NORMAL * normal, P99_FLOOR_MS)
    findings.figure(f"{title}: p99 afterwards", p99(warm[NORMAL_CALLS:]), bar, "ms")


def p99(calls):
    return round(statistics.quantiles((call.ended - call.started for call in calls), n=100)[98], 1)


def judge_servers(findings, servers, made):
    """Every server was used, connections were drained for their age, and no call ran twice, of as many as were made with an id."""
    all_counts = [server.counts() for server in servers]
    # Each server tells its own repetitions; an id that two of them saw is in this sum twice.
    taken_on = sum(counts["call_ids"] for counts in all_counts)
    findings.must(taken_on == made, f"{made} calls were made, and servers took on {taken_on}")
    for number, counts in enumerate(all_counts):
        findings.must(not counts["repeated"], f"server {number}: calls ran twice: {counts['repeated']}")
        # A drain for a restart says something else.
        aged = [each for each in counts["connections"] if [0, "max_age"] in each["goaways"]]
        told = f"{len(aged)} connections were drained for their age: {counts['connections']}"
        findings.must(len(aged) >= 2, f"server {number}: {told}")


def fault_server(number):
    return FaultServer(f"server-{number}", max_connection_age_ms=MAX_AGE_SECONDS * 1000)


def grpc_go(number):
    return RunningServer.interop("-max-connection-age", f"{MAX_AGE_SECONDS}s")


SERVER_KINDS = {"fault-server": fault_server, "grpc-go": grpc_go}
