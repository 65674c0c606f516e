"""One address before several grpcio servers: HAProxy gives each connection the next of two servers, then of four. Long form only.

With two connections of at most five seconds each the new servers are found although nobody tells the client of them, and no call fails.
"""

import contextlib
import pathlib
import socket
import subprocess
import tempfile
import time

from faults.caller import Caller
from server import balancers
from server.running import end_group
from server.scripted import GrpcioServers

NAME = "virtual-ip"
SERVERS, SERVERS_AT_FIRST = 4, 2
CALLS_PER_SECOND = 100
AGE_MS = 5_000
# The balancer's address is one of this machine, which has one connection by default.
OPTIONS = {"linkspan.connections_per_subchannel": 2, "linkspan.max_connection_age_ms": AGE_MS}
# Connections differ in age by 10 %.
SERVED_BAR_SECONDS = 2 * AGE_MS * 1.1 / 1000
SECONDS_BEFORE, SECONDS_AFTER = 30, 60
LOOK_SECONDS = 0.02
GUARD_SECONDS = 60

CONFIG = """
global
    stats socket {control} mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen virtual
    bind fd@{listener}
    balance roundrobin
"""


def run(findings, is_long):
    del is_long
    with GrpcioServers(SERVERS) as servers, running_balancer(balancers.program("haproxy"), servers.addresses) as balancer:
        with Caller(f"ipv4:{balancer.address}", rate=CALLS_PER_SECOND, options=OPTIONS) as caller:
            time.sleep(SECONDS_BEFORE)
            before = servers.calls()
            for number in range(SERVERS_AT_FIRST, SERVERS):
                balancer.take_in(number)
            served_after = first_served(servers, before)
            time.sleep(SECONDS_AFTER)
            history = caller.finish()
        calls = servers.calls()
    judge(findings, before, calls, served_after, history)


def judge(findings, before, calls, served_after, history):
    at_first = [count > 0 for count in before]
    findings.must(at_first == [number < SERVERS_AT_FIRST for number in range(SERVERS)], f"calls to each server at first: {before}")
    findings.must(sum(calls) == len(history.calls), f"the servers got {sum(calls)} calls of {len(history.calls)}")
    for number, seconds in enumerate(served_after):
        findings.figure(f"server {number + 1} serves after the change", seconds, SERVED_BAR_SECONDS, "s")
    findings.figure("calls", len(history.calls))
    findings.figure("calls failed", len(history.failed), 0)
    findings.must(not history.failed, history.told())
    for number, (early, all_of_them) in enumerate(zip(before, calls)):
        findings.figure(f"server {number + 1}: calls before the change, and after it", [early, all_of_them - early])
    findings.figure("connections made", history.done["connect_attempts"])


def first_served(servers, before):
    """How many seconds each server takes to get a call."""
    started = time.monotonic()
    after = [None] * SERVERS
    while None in after and time.monotonic() < started + GUARD_SECONDS:
        time.sleep(LOOK_SECONDS)
        for number, (count, early) in enumerate(zip(servers.calls(), before)):
            if after[number] is None and count > early:
                after[number] = round(time.monotonic() - started, 2)
    return after


@contextlib.contextmanager
def running_balancer(haproxy, addresses):
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        control = pathlib.Path(folder) / "control"
        config = pathlib.Path(folder) / "haproxy.cfg"
        states = ["" if number < SERVERS_AT_FIRST else " disabled" for number in range(SERVERS)]
        servers = [f"    server s{number} {address}{state}\n" for number, (address, state) in enumerate(zip(addresses, states))]
        config.write_text(CONFIG.format(control=control, listener=listener.fileno()) + "".join(servers))
        command = [haproxy, "-db", "-q", "-f", str(config)]
        process = subprocess.Popen(
            command, env=balancers.environment(), stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()], start_new_session=True
        )
        try:
            yield Balancer(control, "127.0.0.1:{}".format(listener.getsockname()[1]))
        finally:
            end_group(process)


class Balancer:
    def __init__(self, control, address):
        self.address = address
        self._control = control

    def take_in(self, number):
        """Connections are given to this server too from now on."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(GUARD_SECONDS)
            connection.connect(str(self._control))
            connection.sendall(f"set server virtual/s{number} state ready\n".encode())
            answer = connection.makefile().read().strip()
        if answer:
            raise RuntimeError(f"HAProxy says {answer!r}")
