"""Which client does what in which mode, how often and how long."""

import dataclasses

from bench.clients import CLIENTS
from bench.workloads import WARMUP_SECONDS, WORKLOADS, Cell

LEAST_ROUNDS = 5
# Opening ten thousand channels takes long, and nothing is what they do.
IDLE_ROUNDS = 3
IDLE_CLIENTS = ("h2", "core-loop", "tonic", "grpcio-blocking", "grpc-js")
KEPT_ALIVE_CLIENTS = ("core-loop", "tonic", "linkspan-blocking", "grpcio-blocking")
# What a turn costs beside warm-up and window, and what a process costs until it said what it is.
TURN_SECONDS = 0.05
PROCESS_SECONDS = 0.5
SHORTEST_WINDOW, LONGEST_WINDOW = 0.2, 1.5
# Of the warm-up round, for JavaScript: grpc-js got five times faster within its first 3,000 calls.
NODE_WARMUP_WINDOW = 2.0


@dataclasses.dataclass(frozen=True)
class Mode:
    name: str
    # The time the windows are made to fill.
    minutes: float
    rounds: int
    workloads: tuple
    in_flight: tuple = (1, 16, 128)
    # The JavaScript peers are usually quoted at these.
    node_in_flight: tuple = (1, 10, 100)


MODES = {
    mode.name: mode
    for mode in (
        # Every client does everything once: whether they work, not what they cost.
        Mode("trial", 1.5, 1, tuple(name for name in WORKLOADS if WORKLOADS[name].kind != "idle")),
        Mode("quick", 1.4, 5, ("unary", "unary_threads"), (16,), (16,)),
        Mode("bench", 9.5, 7, ("unary", "unary_threads", "server_stream")),
        Mode("full", 28, 5, tuple(WORKLOADS)),
    )
}


@dataclasses.dataclass(frozen=True)
class Plan:
    mode: str
    rounds: int
    # The window of one turn.
    seconds: float
    cells: tuple

    @property
    def clients(self):
        """Every client of the plan once, in the order of their turns."""
        planned = {client.name for cell in self.cells for client in cell.clients}
        return [client for client in CLIENTS if client.name in planned]

    @property
    def minutes(self):
        return (_fixed_seconds(self.cells, self.rounds) + _turns(self.cells, self.rounds) * self.seconds) / 60

    def cell(self, name):
        return next((cell for cell in self.cells if cell.name == name), None)

    def rounds_of(self, cell):
        return rounds_of(cell, self.rounds)

    def window(self, round_number, client):
        """The window of a client's turn; round 0 is the warm-up."""
        return NODE_WARMUP_WINDOW if round_number == 0 and client.family == "Node" else self.seconds


def make_plan(mode, only=(), workloads=(), rounds=None, seconds=None):
    """The plan of a mode, of these clients and workloads only when any are named."""
    rounds = rounds or mode.rounds
    cells = []
    for cell in _cells(mode):
        clients = tuple(client for client in cell.clients if not only or client.name in only)
        if clients and (not workloads or cell.workload.name in workloads):
            cells.append(dataclasses.replace(cell, clients=clients))
    return Plan(mode.name, rounds, seconds or _window(mode, cells, rounds), tuple(cells))


def rounds_of(cell, rounds):
    return min(rounds, IDLE_ROUNDS) if cell.workload.kind == "idle" else rounds


def warms_up(cell):
    """True for what an unrecorded first round makes faster: just-in-time compilers, and files not yet in memory."""
    return cell.workload.is_resident or cell.workload.kind == "start"


def _cells(mode):
    for name in mode.workloads:
        workload = WORKLOADS[name]
        if name == "unary":
            for in_flight in sorted({*mode.in_flight, *mode.node_in_flight}):
                yield Cell(workload, {"in_flight": in_flight}, _unary_clients(mode, in_flight))
        elif name == "unary_threads":
            yield Cell(workload, {"in_flight": 16}, _those(lambda client: client.is_blocking))
        elif name == "unary_tls":
            yield Cell(workload, {"in_flight": 16}, CLIENTS)
        elif name == "pick":
            for addresses in (1, 10, 100):
                yield Cell(workload, {"addresses": addresses}, _those(_takes_many_addresses))
        elif name == "start":
            yield Cell(workload, {}, _those(lambda client: client.family not in ("Rust", "C") and not client.is_uvloop))
        elif name == "memory":
            yield Cell(workload, {}, _those(lambda client: not client.is_uvloop))
        elif name == "idle":
            yield Cell(workload, {}, _those(lambda client: client.name in IDLE_CLIENTS))
        elif name == "idle_keepalive":
            yield Cell(workload, {}, _those(lambda client: client.name in KEPT_ALIVE_CLIENTS))
        else:
            yield Cell(workload, {}, CLIENTS)


def _unary_clients(mode, in_flight):
    def takes_part(client):
        steps = mode.node_in_flight if client.family == "Node" else mode.in_flight
        return in_flight in steps and (in_flight == 1 or not client.is_blocking)

    return _those(takes_part)


def _takes_many_addresses(client):
    """Ours, and the one peer whose program for this is the same."""
    return client.is_linkspan or client.name == "grpc-js"


def _those(condition):
    return tuple(client for client in CLIENTS if condition(client))


def _window(mode, cells, rounds):
    """The window that fills the mode's minutes; rounded, so that a plan can be told and repeated."""
    turns = _turns(cells, rounds)
    if not turns:
        return SHORTEST_WINDOW
    seconds = (mode.minutes * 60 - _fixed_seconds(cells, rounds)) / turns
    return round(min(max(seconds, SHORTEST_WINDOW), LONGEST_WINDOW), 2)


def _turns(cells, rounds):
    """The turns of resident clients with the plan's window; those that are missing take none."""
    residents = [client for cell in cells if cell.workload.is_resident for client in _present(cell)]
    return sum(rounds if client.family == "Node" else rounds + 1 for client in residents)


def _fixed_seconds(cells, rounds):
    """All that takes its time whatever the window is."""
    residents = [client for cell in cells if cell.workload.is_resident for client in _present(cell)]
    seconds = len({client.name for client in residents}) * PROCESS_SECONDS
    seconds += len(residents) * (rounds + 1) * (WARMUP_SECONDS + TURN_SECONDS)
    seconds += sum(client.family == "Node" for client in residents) * NODE_WARMUP_WINDOW
    for cell in cells:
        if not cell.workload.is_resident:
            runs = rounds_of(cell, rounds) + warms_up(cell)
            seconds += len(_present(cell)) * runs * cell.workload.fresh_seconds
    return seconds


def _present(cell):
    return [client for client in cell.clients if not client.missing]
