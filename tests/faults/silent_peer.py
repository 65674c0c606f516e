"""A peer falls silent while the connection is idle, and only keepalive can tell: 10 s after the last byte a PING, 5 s later the end.

Real seconds; the same in virtual time, a thousand times over, is the engine's own test. Long form only.
"""

import time

from faults.caller import Caller
from server.scripted import FaultServer, Proxy

NAME = "silent-peer"
TIME_MS, TIMEOUT_MS = 10_000, 5_000
EXPECTED_SECONDS = (TIME_MS + TIMEOUT_MS) / 1000
TOLERANCE = 0.1
OPTIONS = {
    "grpc.keepalive_time_ms": TIME_MS,
    "grpc.keepalive_timeout_ms": TIMEOUT_MS,
    "grpc.keepalive_permit_without_calls": 1,
}


def run(findings, is_long):
    del is_long
    with FaultServer() as server, Proxy(server.address) as proxy:
        # One call, and then none for longer than this lasts.
        with Caller(f"ipv4:{proxy.address}", rate=0.001, options=OPTIONS) as caller:
            caller.history.wait_until(lambda told: told.good_since(0) == 1, "the one call")
            last_byte = last_byte_ms(proxy)
            proxy.do("black_hole")
            relayed = proxy.wait_until(lambda counts: counts["connections"][0]["ended_ms"], "the silence is found")
            found = relayed["connections"][0]["ended_ms"]
            caller.history.wait_until(lambda told: told.says("keepalive"), "its cause is told")
            history = caller.finish()
    seconds = (found - last_byte) / 1000
    findings.must(not history.failed, f"the call failed: {history.told()}")
    findings.figure("found after the last byte", seconds, EXPECTED_SECONDS * (1 + TOLERANCE), "s")
    findings.figure("earlier than keepalive allows by", max(0, EXPECTED_SECONDS * (1 - TOLERANCE) - seconds), 0, "s")


def last_byte_ms(proxy):
    """When the server's last byte passed: the moment from which nothing more has come for half a second."""
    passed, since = None, None
    while True:
        counts = proxy.counts()
        sent = sum(each["to_client"] for each in counts["connections"])
        if sent != passed:
            passed, since = sent, counts["now_ms"]
        elif counts["now_ms"] - since > 500:
            return since
        time.sleep(0.01)
