"""A thousand addresses of grpcio servers, of which every second for a minute a hundred are replaced by others. Long form only.

The caller is the Rust one, which is told the addresses, as a registry of services would tell a resolver. No call may fail, and
neither sockets nor memory may pile up; what a simulated world sees of subchannels and tasks is seen here from outside the process.
"""

import dataclasses
import os
import pathlib
import time

from faults.caller import RUST, Caller, build_rust
from server.scripted import GrpcioServers

NAME = "churn"
ADDRESSES = 1_000
REPLACED = 100
SECONDS = 60
CALLS_PER_SECOND = 300
DEADLINE_MS = 10_000
# An address comes back after as many seconds as it takes to replace the others.
SERVERS, PORTS = 20, 100
LOOK_SECONDS = 0.05
GUARD_SECONDS = 60
# Those that were replaced in the last second may still be open while the others are opened.
SOCKETS_BAR = ADDRESSES + 2 * REPLACED
# Connections grow with the headers that their first calls leave in HPACK's tables; half a minute of calls has done that.
GROWTH_BAR = 1.1


def run(findings, is_long):
    del is_long
    build_rust()
    settings = {"rate": CALLS_PER_SECOND, "deadline_ms": DEADLINE_MS, "options": {"linkspan.lb_policy": "round_robin"}}
    with GrpcioServers(SERVERS, ports=PORTS) as servers, Caller("told:all", RUST, **settings) as caller:
        own_sockets = sockets(caller)
        in_use = Window(servers.addresses)
        caller.tell(in_use.addresses())
        wait_until_open(caller, own_sockets + ADDRESSES)
        first_half, second_half = churn(caller, in_use, SECONDS // 2), churn(caller, in_use, SECONDS // 2)
        wait_until_open(caller, own_sockets + ADDRESSES)
        busy = processor_seconds(caller)
        history = caller.finish()
        calls = servers.calls()
    findings.must(not history.failed, history.told())
    findings.must(sum(calls) == len(history.calls), f"the servers got {sum(calls)} calls of {len(history.calls)}")
    findings.figure("calls", len(history.calls))
    findings.figure("calls failed", len(history.failed), 0)
    findings.figure("connections made", history.done["connect_attempts"])
    findings.figure("most sockets at once", max(first_half.sockets, second_half.sockets) - own_sockets, SOCKETS_BAR)
    findings.figure("most memory in the first half", first_half.memory_kib, unit="KiB")
    findings.figure("most memory in the second half, times that", round(second_half.memory_kib / first_half.memory_kib, 3), GROWTH_BAR)
    findings.figure("processor time of the caller", busy, unit="s")
    took = sorted(call.ended - call.started for call in history.calls)
    findings.figure("calls, the 99th percentile", took[len(took) * 99 // 100], unit="ms")


class Window:
    """A thousand of the addresses there are."""

    def __init__(self, addresses):
        self._addresses = addresses
        self._first = 0

    def addresses(self):
        return [self._addresses[(self._first + number) % len(self._addresses)] for number in range(ADDRESSES)]

    def move_on(self):
        self._first += REPLACED


@dataclasses.dataclass
class Most:
    sockets: int = 0
    memory_kib: int = 0


def churn(caller, in_use, seconds):
    """The most that was seen in so many seconds."""
    most = Most()
    started = time.monotonic()
    for second in range(seconds):
        in_use.move_on()
        caller.tell(in_use.addresses())
        while time.monotonic() < started + second + 1:
            most.sockets = max(most.sockets, sockets(caller))
            most.memory_kib = max(most.memory_kib, memory_kib(caller))
            time.sleep(LOOK_SECONDS)
    return most


def wait_until_open(caller, count):
    """Waits for as many sockets; the guard only ends what hangs."""
    end = time.monotonic() + GUARD_SECONDS
    while sockets(caller) != count:
        if time.monotonic() > end:
            raise TimeoutError(f"{sockets(caller)} sockets are open, not {count}; {caller.history.told()}")
        time.sleep(LOOK_SECONDS)


def sockets(caller):
    count = 0
    for each in pathlib.Path(f"/proc/{caller.process.pid}/fd").iterdir():
        try:
            count += each.readlink().name.startswith("socket:")
        except FileNotFoundError:
            # It was closed in between.
            continue
    return count


def memory_kib(caller):
    lines = pathlib.Path(f"/proc/{caller.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def processor_seconds(caller):
    # What follows the name, which is in brackets, begins with the third field.
    fields = pathlib.Path(f"/proc/{caller.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
