"""A headless service of Kubernetes is scaled: its name leads to two addresses, then to ten, then to three, and nothing fails meanwhile.

No connection is lost, so that nothing but the name tells of the new servers. In the short form the name is asked for every second.
"""

import time

from faults.caller import Caller
from server.scripted import GrpcioServers

NAME = "dns-scaling"
HOSTS = [f"127.0.0.{number}" for number in range(2, 12)]
FEW, LEFT = 2, 3
CALLS_PER_SECOND = 100
# At first, from a change until calls are spread as they should be, and counted after that.
SHORT_SECONDS, LONG_SECONDS = (2, 4, 5), (40, 45, 60)
SHORT_OPTIONS = {"linkspan.dns_refresh_ms": 1000, "grpc.dns_min_time_between_resolutions_ms": 500}
SHARE_PERCENT, SHARE_BAR_PERCENT = 10, 3
LOOK_SECONDS = 0.05


def run(findings, stage, is_long):
    at_first, settling, counted = LONG_SECONDS if is_long else SHORT_SECONDS
    options = {} if is_long else SHORT_OPTIONS
    with GrpcioServers(hosts=HOSTS) as servers:
        port = servers.addresses[0].rpartition(":")[2]
        stage.dns.tell("headless.test", A=HOSTS[:FEW], ttl=5)
        with Caller(f"dns:///headless.test:{port}", rate=CALLS_PER_SECOND, options=options) as caller:
            few = calls_in(servers, at_first)
            stage.dns.tell("headless.test", A=HOSTS, ttl=5)
            all_serve_after = until_all_serve(servers, settling)
            many = calls_in(servers, counted)
            stage.dns.tell("headless.test", A=HOSTS[:LEFT], ttl=5)
            time.sleep(settling)
            left = calls_in(servers, counted / 2)
            history = caller.finish()
    findings.must(not history.failed, f"calls failed: {history.told()}")
    findings.must([calls > 0 for calls in few] == [number < FEW for number in range(len(HOSTS))], f"calls at first: {few}")
    findings.must([calls > 0 for calls in left] == [number < LEFT for number in range(len(HOSTS))], f"calls at last: {left}")
    findings.must(sum(many) >= counted * CALLS_PER_SECOND / 2, f"too few calls: {many}")
    shares = [round(calls * 100 / max(1, sum(many)), 2) for calls in many]
    findings.figure("calls", len(history.calls))
    findings.figure("calls failed", len(history.failed), 0)
    findings.figure("every new server serves after", all_serve_after, settling, "s")
    findings.figure(f"share of each server, counted from {settling} s after the change", shares, unit="%")
    farthest = max(abs(share - SHARE_PERCENT) for share in shares)
    findings.figure(f"farthest share from {SHARE_PERCENT} %", round(farthest, 2), SHARE_BAR_PERCENT, "%")
    findings.figure("calls of each server, from two addresses, from ten and from three", [few, many, left])
    findings.figure("connections made", history.done["connect_attempts"], len(HOSTS))


def calls_in(servers, seconds):
    """How many calls each server gets in so many seconds."""
    before = servers.calls()
    time.sleep(seconds)
    return [now - then for now, then in zip(servers.calls(), before)]


def until_all_serve(servers, seconds):
    """Takes so many seconds; after how many of them every server had a call, or None."""
    started, after = time.monotonic(), None
    while time.monotonic() < started + seconds:
        time.sleep(LOOK_SECONDS)
        if after is None and min(servers.calls()) > 0:
            after = round(time.monotonic() - started, 2)
    return after
