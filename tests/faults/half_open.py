"""The peer is gone and nobody said so: the connection stays open and acknowledges everything, and nothing ever comes back.

Ten calls a second with deadlines of 2 s and no option set. A call that meets its deadline while nothing was read is evidence
enough: the connection is pinged and given up, and calls go over a new one.

The caller is the Rust one, which tells of the log: it alone says why a connection is replaced.
"""

import time

from faults.caller import RUST, Caller
from server.scripted import FaultServer, Proxy

NAME = "half-open"
DEADLINE_MS = 2000
CALLS_BEFORE = 20
# So many good calls in a row are no chance.
CALLS_AFTER = 30
LAST_FAILURE_SECONDS = 5
WATCHED_SECONDS = 20
# What the log says of it.
REPLACED = ": the connection is in doubt, because a call had reached its deadline in silence"


def run(findings, is_long):
    with FaultServer() as server, Proxy(server.address) as proxy:
        with Caller(f"ipv4:{proxy.address}", RUST, rate=10, deadline_ms=DEADLINE_MS) as caller:
            caller.history.wait_until(lambda told: told.good_since(0) >= CALLS_BEFORE, "calls before the hole")
            opened = proxy.counts()["now_ms"]
            proxy.do("black_hole")
            relayed = proxy.wait_until(lambda counts: counts["connections"][0]["ended_ms"], "the dead connection is given up")
            given_up = relayed["connections"][0]["ended_ms"]
            caller.history.wait_until(lambda told: told.good_since(given_up) >= CALLS_AFTER, "calls after it")
            if is_long:
                time.sleep(WATCHED_SECONDS)
            history = caller.finish()
        judge(findings, history, opened, given_up, server.counts(), proxy.counts())


def judge(findings, history, opened, given_up, served, relayed):
    failed = history.failed
    findings.must(all(call.ended >= opened for call in failed), f"a call failed before the hole opened: {history.told()}")
    strange = {call.code for call in failed} - {"DEADLINE_EXCEEDED", "UNAVAILABLE"}
    findings.must(not strange, f"calls failed with {strange}")
    findings.must(not served["repeated"], f"calls ran twice: {served['repeated']}")
    findings.must(len(relayed["connections"]) >= 2, "no second connection was made")
    findings.must(history.says(REPLACED), f"nothing says why the connection was replaced: {history.logs}")
    last_failure = max((call.ended for call in failed), default=opened)
    findings.figure("last failed call after the hole opened", (last_failure - opened) / 1000, LAST_FAILURE_SECONDS, "s")
    findings.figure("connection given up after", (given_up - opened) / 1000, LAST_FAILURE_SECONDS, "s")
    findings.figure("failed calls", len(failed))
