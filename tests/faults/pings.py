"""Servers that count PINGs: none ever says `too_many_pings` to a client with default options, and to one that asks for a
keepalive of 1 s at most once, because it is warned and gets 10 s, and once a server has complained its PINGs are as rare as servers want.

The caller is the Rust one, which tells of the log. In the short form the fault server judges, of a keepalive in tenths of seconds what
servers judge in minutes. In the long form the servers are grpc-go's, grpcio's and tonic's with their defaults, for 15 minutes, and the
fault server with the same rule, because it can tell how many PINGs came.
"""

import contextlib
import time

from faults.caller import RUST, Caller
from server.running import RunningServer
from server.scripted import FaultServer

NAME = "too-many-pings"
LONG_SECONDS = 15 * 60
# What the log says then, and what it says of the option.
TOO_MANY = "says too_many_pings"
WARNING = "keepalive time of"

SERVERS = {
    "grpc-go": RunningServer.interop,
    "grpcio": lambda: RunningServer.identity("pinged"),
    "tonic": RunningServer.tonic,
    "fault-server": lambda: FaultServer(ping_policy={}),
}

# What clients do: (title, options, settings, the most GOAWAYs it may get).
DEFAULTS = (
    # A pause longer than linkspan.reuse_check_after_ms before each call.
    ("defaults, a call every 40 s", {}, {"rate": 1 / 40}, 0),
    ("defaults, a call every 2 s", {}, {"rate": 0.5}, 0),
    # Deadlines that pass in silence are the evidence on which connections are pinged.
    ("defaults, silent streams that meet their deadline", {}, {"rate": 0, "holds_streams": "true", "stream_deadline_ms": 2000}, 0),
    ("defaults, a silent stream", {}, {"rate": 0, "holds_streams": "true"}, 0),
)
ASKED_1_S = {"grpc.keepalive_time_ms": 1000, "grpc.keepalive_permit_without_calls": 1}
KEEPALIVE = (
    ("keepalive of 1 s asked, a call every 25 s", ASKED_1_S, {"rate": 1 / 25, "holds_streams": "true"}, 1),
    ("keepalive of 1 s asked, a silent stream", ASKED_1_S, {"rate": 0, "holds_streams": "true"}, 1),
    ("keepalive of 1 s asked, one call", ASKED_1_S, {"rate": 1 / 600}, 1),
)


def run(findings, is_long):
    if is_long:
        against_real_servers(findings)
    else:
        evidence_in_plenty(findings)
        keepalive_too_short(findings)


def against_real_servers(findings):
    with contextlib.ExitStack() as cleanup:
        servers = {name: cleanup.enter_context(start()) for name, start in SERVERS.items()}
        running = []
        for name, server in servers.items():
            for title, options, settings, most in DEFAULTS + KEEPALIVE:
                caller = cleanup.enter_context(Caller(f"ipv4:{server.address}", RUST, options=options, **settings))
                running.append((f"{name}, {title}", options, caller, most))
        time.sleep(LONG_SECONDS)
        for title, options, caller, most in running:
            try:
                history = caller.finish()
            except RuntimeError as error:
                # One caller's end says nothing of the others, which took as long.
                findings.must(False, f"{title}: {error}")
            else:
                judge(findings, title, options, history, most)
        connections = servers["fault-server"].counts()["connections"]
        findings.figure("PINGs the fault server got", sum(each["pings"] for each in connections))


def judge(findings, title, options, history, most):
    findings.must(not history.failed, f"{title}: {history.told()}")
    findings.figure(f"{title}: too_many_pings", len(history.says(TOO_MANY)), most)
    if options:
        findings.must(history.says(WARNING), f"{title}: no warning in the log: {history.logs}")


# The fault server judges PINGs closer than this; keepalive may ask for less, as 10 s are less than the 5 minutes of real servers.
SHORT_MIN_TIME_MS = 600
SHORT_CLAMP_MS = 400
DEADLINES_MET = 20
# More than it takes to be punished, if they were too close.
PINGS_BORNE = 5
# Silence between two calls is long enough for keepalive to be punished.
CALLS_PER_SECOND = 0.4


def evidence_in_plenty(findings):
    """Streams that meet their deadline in silence again and again, before a server that judges as all do by default."""
    with FaultServer(ping_policy={}) as server:
        settings = {"rate": 0, "holds_streams": "true", "stream_deadline_ms": 100}
        with Caller(f"ipv4:{server.address}", RUST, **settings) as caller:
            caller.history.wait_until(lambda told: len(told.streams) >= DEADLINES_MET, "deadlines that are met in silence")
            caller.finish()
        counts = server.counts()
    pings = [each["pings"] for each in counts["connections"]]
    findings.must(goaways(counts) == [], f"GOAWAYs: {goaways(counts)}")
    findings.must(sum(pings) > 0, "no PING came, so nothing was tried")
    findings.figure("deadlines met in silence: PINGs on each connection", pings)


def keepalive_too_short(findings):
    """Asked for 1 ms it is clamped to 400 ms, which is punished; from then on one PING, 800 ms after it, follows each answer."""
    options = {
        "grpc.keepalive_time_ms": 1,
        "grpc.keepalive_permit_without_calls": 1,
        "linkspan.keepalive_min_time_ms": SHORT_CLAMP_MS,
    }
    with FaultServer(ping_policy={"min_time_ms": SHORT_MIN_TIME_MS, "without_calls": True}) as server:
        with Caller(f"ipv4:{server.address}", RUST, rate=CALLS_PER_SECOND, options=options, holds_streams="true") as caller:
            server.wait_until(goaways, "GOAWAY")
            pinged = server.wait_until(lambda counts: counts["connections"][-1]["pings"] >= PINGS_BORNE, "more PINGs than are borne")
            history = caller.finish()
    findings.must(goaways(pinged) == [[11, "too_many_pings"]], f"GOAWAYs: {goaways(pinged)}")
    findings.must(len(history.says(TOO_MANY)) == 1, f"told of them: {history.logs}")
    findings.must(pinged["connections"][-1]["strikes"] == 0, f"strikes: {pinged['connections'][-1]}")
    findings.must(history.says(WARNING), f"no warning in the log: {history.logs}")
    findings.figure("PINGs until GOAWAY, and after it until the end", [each["pings"] for each in pinged["connections"]])


def goaways(counts):
    return [goaway for each in counts["connections"] for goaway in each["goaways"]]
