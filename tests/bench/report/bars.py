"""The bars: what we want to have reached, measured against what a run has found. A bar missed is a finding, no error."""

import dataclasses

BLOCKING_PAIR = ("linkspan-blocking", "grpcio-blocking")
ASYNCIO_PAIRS = (("linkspan-asyncio", "grpcio-asyncio"), ("linkspan-uvloop", "grpcio-uvloop"))
PYTHON_PAIRS = (BLOCKING_PAIR, *ASYNCIO_PAIRS)
NODE_OURS = ("linkspan-grpc-js", "linkspan-native")
# Libraries for gRPC of the same language and the same way of calling; bare h2 is none.
PEERS = {
    "core-loop": ("tonic",),
    "core-queue": ("tonic",),
    "c-queue": ("c-core",),
    "c-callback": ("c-core",),
    "linkspan-blocking": ("grpcio-blocking",),
    "linkspan-asyncio": ("grpcio-asyncio", "grpclib-asyncio"),
    "linkspan-uvloop": ("grpcio-uvloop",),
    "linkspan-grpc-js": ("grpc-js", "connect-node"),
    "linkspan-native": ("grpc-js", "connect-node"),
}
# A channel may take this much more than a bare HTTP/2 connection.
MEMORY_ABOVE_H2_BYTES = 6 * 1024
# Of a second, for a thousand channels with keepalive: half a percent of a core.
KEPT_ALIVE_US = 5_000


@dataclasses.dataclass(frozen=True)
class Bar:
    cell: str
    client: str
    limit: float
    # Without one the figure itself is limited.
    reference: str | None = None
    figure: str = "cpu_us"
    # How much more than the reference, instead of how many times as much.
    is_difference: bool = False


@dataclasses.dataclass(frozen=True)
class Verdict:
    bar: Bar
    # None when it was not measured; `reason` says why.
    measured: float | None
    reason: str = ""

    @property
    def word(self):
        if self.measured is None:
            return "–"
        return "ok" if self.measured <= self.bar.limit else "missed"


def all_bars():
    for in_flight, limit in ((1, 1.35), (16, 1.5), (128, 1.5)):
        yield Bar(f"unary@{in_flight}", "core-loop", limit, "h2")
    for in_flight in (16, 128):
        yield Bar(f"unary@{in_flight}", "core-loop", 0.85, "tonic")
    for client in ("c-queue", "c-callback"):
        for in_flight in (16, 128):
            yield Bar(f"unary@{in_flight}", client, 0.6, "c-core")
    for cell, limit in (("unary@1", 0.33), ("unary_threads@16", 0.22)):
        client, reference = BLOCKING_PAIR
        yield Bar(cell, client, limit, reference)
    for client, reference in ASYNCIO_PAIRS:
        for in_flight in (16, 128):
            yield Bar(f"unary@{in_flight}", client, 0.30, reference)
    for in_flight in (1, 10, 100):
        yield Bar(f"unary@{in_flight}", "linkspan-grpc-js", 0.25, "grpc-js", figure="main_us")
        yield Bar(f"unary@{in_flight}", "linkspan-grpc-js", 0.4, "grpc-js")
    for client, _ in PYTHON_PAIRS:
        yield Bar("server_stream", client, 3.0)
    for client in NODE_OURS:
        yield Bar("server_stream", client, 1.0, "grpc-js")
    for client, peers in PEERS.items():
        for peer in peers:
            yield Bar("unary_1mib", client, 0.7, peer)
    for client, reference in (*PYTHON_PAIRS[:2], *((client, "grpc-js") for client in NODE_OURS)):
        yield Bar("start", client, 0.4, reference, figure="start_ms")
    yield Bar("memory", "core-loop", MEMORY_ABOVE_H2_BYTES, "h2", figure="bytes", is_difference=True)
    yield Bar("idle_keepalive", "core-loop", KEPT_ALIVE_US, figure="cpu_share_us")


def verdicts(results):
    """One verdict for every bar whose cell and clients were planned."""
    for bar in all_bars():
        series = results.series(bar.cell, bar.client)
        reference = results.series(bar.cell, bar.reference) if bar.reference else None
        if series and (reference or not bar.reference):
            yield _judged(bar, series, reference)


def _judged(bar, series, reference):
    for each in filter(None, (series, reference)):
        if not each.is_measured:
            return Verdict(bar, None, f"{each.client.name}: {each.failed or each.absent or 'no rounds'}")
    if bar.is_difference:
        measured = series.difference(reference, bar.figure)
    elif reference:
        measured = series.ratio(reference, bar.figure)
    else:
        measured = series.median(bar.figure)
    return Verdict(bar, measured, "" if measured is not None else f"no answer had {bar.figure}")
