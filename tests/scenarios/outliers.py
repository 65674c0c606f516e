"""One of five grpcio servers fails every second call: it is ejected and gets no call for its ejection time, returns, and is ejected for
twice that time.

In the short form outlier detection looks every second, in the long one it has A50's defaults.
"""

import json
import time

from faults.caller import Caller
from server.scripted import GrpcioServers

NAME = "outliers"
SERVERS = 5
FAILING = 4
CALLS_PER_SECOND = 100
LOOK_SECONDS = 0.02

# With its defaults a look needs 100 calls of a server, and such a second has 20.
SHORT = {"interval": "1s", "baseEjectionTime": "3s", "successRateEjection": {"requestVolume": 10}}
LONG = {"successRateEjection": {}}
SHORT_TIMES, LONG_TIMES = (1, 3), (10, 30)

# A look that comes late, a server that is slow to count.
SLACK_SECONDS = 0.5


def run(findings, is_long):
    detection = LONG if is_long else SHORT
    interval, ejection = LONG_TIMES if is_long else SHORT_TIMES
    config = {"loadBalancingConfig": [{"outlier_detection_experimental": {**detection, "childPolicy": [{"round_robin": {}}]}}]}
    with GrpcioServers(SERVERS) as servers:
        servers.let_fail_every_second_call(FAILING)
        settings = {"rate": CALLS_PER_SECOND, "options": {"grpc.service_config": json.dumps(config)}}
        with Caller(f"ipv4:{servers.address}", **settings) as caller:
            rests = [until_it_rests(servers, ejection), until_it_rests(servers, 2 * ejection)]
            history = caller.finish()
        served = servers.counts()["servers"]
    judge(findings, rests, interval, ejection)
    calls, failed = [sum(server[what] for server in served) for what in ("calls", "failed")]
    findings.must(calls == len(history.calls), f"the servers got {calls} calls of {len(history.calls)}")
    findings.must(failed == len(history.failed), f"the servers failed {failed} calls, the caller saw {len(history.failed)}")
    findings.must({call.code for call in history.failed} == {"UNAVAILABLE"}, history.told())
    findings.figure("calls", calls)
    findings.figure("calls failed", failed)


class Rest:
    """A time in which the failing server got no call."""

    def __init__(self, seconds, before, meanwhile):
        self.seconds = seconds
        # What it got since the rest before, and what the others got in this one.
        self.calls_before = before
        self.calls_of_others = meanwhile


def until_it_rests(servers, seconds):
    """Waits until the failing server had no call for about so long, and has one again."""
    first = last = servers.calls()
    since = time.monotonic()
    end = since + 20 * seconds
    while True:
        time.sleep(LOOK_SECONDS)
        now, calls = time.monotonic(), servers.calls()
        if calls[FAILING] != last[FAILING]:
            if now - since > seconds / 2:
                others = sum(calls) - calls[FAILING] - sum(last) + last[FAILING]
                return Rest(now - since, last[FAILING] - first[FAILING], others)
            since, last = now, calls
        if now > end:
            raise TimeoutError(f"the failing server was not ejected for {seconds} s; calls: {calls}")


def judge(findings, rests, interval, ejection):
    for number, rest in enumerate(rests, 1):
        due = number * ejection
        # The look that ends it is the first one after its time.
        findings.figure(f"ejection {number}", round(rest.seconds, 1), due + interval + SLACK_SECONDS, "s")
        findings.must(rest.seconds >= due - SLACK_SECONDS, f"ejection {number} took {rest.seconds:.1f} s of {due}")
        wanted = (due - SLACK_SECONDS) * CALLS_PER_SECOND / 2
        findings.must(rest.calls_of_others >= wanted, f"ejection {number}: the others got {rest.calls_of_others} calls, not {wanted:.0f}")
        findings.must(rest.calls_before > 0, f"ejection {number}: the server had no chance before")
        findings.figure(f"calls to the failing server before ejection {number}", rest.calls_before)
