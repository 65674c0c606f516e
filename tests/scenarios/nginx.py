"""Behind nginx (grpc_pass)."""

from faults.caller import Caller
from scenarios import behind
from server.balancers import Nginx
from server.running import RunningServer

NAME = "nginx"
MOST_REQUESTS = 100
SECONDS = {False: 5, True: 60}
LARGEST_BODY_BYTES = 1_000_000
# What the cases and the calls at a steady rate must not meet.
WITHOUT_LIMITS = {"most_requests": 1_000_000, "largest_body_bytes": 100_000_000}


def run(findings, is_long):
    behind.play(findings, Nginx, is_long, WITHOUT_LIMITS)
    settings = {"idle_seconds": behind.IDLE_SECONDS, "silence_seconds": behind.SILENCE_SECONDS, "largest_body_bytes": LARGEST_BODY_BYTES}
    with RunningServer.interop() as server, Nginx(server.address, most_requests=MOST_REQUESTS, **settings) as nginx:
        connections_of_few_requests(findings, nginx, SECONDS[is_long])
        too_large = bytes(2 * LARGEST_BODY_BYTES)
        behind.tells(findings, nginx.address, "too large a request", ("UNKNOWN", "HTTP 413"), lambda channel: behind.unary(channel, too_large))


def connections_of_few_requests(findings, nginx, seconds):
    """nginx ends each connection after so many requests; no call may notice."""
    wanted = seconds * behind.CALLS_PER_SECOND
    with Caller(f"ipv4:{nginx.address}", rate=behind.CALLS_PER_SECOND) as caller:
        caller.history.wait_until(lambda told: len(told.calls) >= wanted, "calls over many connections", 10 * seconds + behind.GUARD_SECONDS)
        history = caller.finish()
    findings.figure(f"calls over connections of {MOST_REQUESTS}", len(history.calls))
    findings.figure("connections made", history.done["connect_attempts"])
    findings.figure("calls failed there", len(history.failed), 0)
    findings.must(not history.failed, history.told())
    findings.must(history.done["connect_attempts"] >= wanted / MOST_REQUESTS / 2, "nginx did not end its connections")
