"""A made-up run for the tests of this folder."""

from bench.clients import BY_NAME
from bench.plan import Plan
from bench.report.summary import Results, Series
from bench.workloads import WORKLOADS, Cell

FACTS = {
    "machine": "a machine", "date": "2030-01-01", "commit": "abc", "pinning": "server on core 0, clients in turns on core 1",
    "versions": {"grpcio": "1.2"}, "warnings": [],
}


def steady(cpu_us, operations=1000, **more):
    """The answer of a client to which an operation costs so much."""
    seconds = cpu_us * operations / 1e6
    return {"operations": operations, "wall_s": 0.5, "user_s": seconds * 0.75, "system_s": seconds * 0.25, **more}


def series(workload, client, rounds=(), parameters=None, **settings):
    cell = Cell(WORKLOADS[workload], parameters or {}, (BY_NAME[client],))
    return Series(cell, BY_NAME[client], rounds=list(rounds), **settings)


def unary(client, *cpu_us, in_flight=16, **settings):
    return series("unary", client, [steady(each) for each in cpu_us], {"in_flight": in_flight}, **settings)


def a_run(*all_series):
    """(plan, results) of these series."""
    cells = {each.cell.name: each.cell for each in all_series}
    return Plan("quick", 5, 0.5, tuple(cells.values())), Results(all_series)
