"""The block of README.md that a full run writes."""

import pathlib

from bench.report.text import number, ratio

ROOT = pathlib.Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
CHART = "core/docs/measurements/bench.svg"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

RUST, C = ("Rust", "core-loop", "tonic"), ("C", "c-queue", "c-core")
BLOCKING = ("Python, blocking", "linkspan-blocking", "grpcio-blocking")
ASYNCIO = ("Python, asyncio", "linkspan-asyncio", "grpcio-asyncio")
NODE = ("Node, grpc-js clients", "linkspan-grpc-js", "grpc-js")

# (title, figure, unit, divisor, [(cell, pair)])
PARTS = (
    ("unary call, 16 in flight", "cpu_us", "µs", 1, [("unary@16", RUST), ("unary@16", C), ("unary@16", ASYNCIO)]),
    ("unary call, 16 threads", "cpu_us", "µs", 1, [("unary_threads@16", BLOCKING)]),
    ("unary call, 10 in flight", "cpu_us", "µs", 1, [("unary@10", NODE)]),
    ("message of a server stream", "cpu_us", "µs", 1,
     [("server_stream", pair) for pair in (RUST, C, BLOCKING, ASYNCIO, NODE)]),
    ("unary call of 1 MiB", "cpu_us", "ms", 1000, [("unary_1mib", pair) for pair in (RUST, C, BLOCKING, ASYNCIO, NODE)]),
    ("start and first call (wall time)", "start_ms", "ms", 1, [("start", pair) for pair in (BLOCKING, ASYNCIO, NODE)]),
    ("memory of a connected channel", "bytes", "KiB", 1024, [("memory", pair) for pair in (RUST, C, BLOCKING, NODE)]),
)


class NoMarkers(Exception):
    """The README has no place for the block."""


def split(text):
    """What is before the block and what is after it, markers included."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoMarkers(f"README.md has no block between {BEGIN} and {END}; put both markers where the table belongs")
    return before + begin, end + after


def rewritten(text, results, facts, command):
    before, after = split(text)
    return f"{before}\n{block(results, facts, command)}\n{after}"


def block(results, facts, command):
    rows = [_row(results, part, cell, pair) for part in PARTS for cell, pair in part[4]]
    return "\n".join([
        f"![CPU per unary call, linkspan and its peers]({CHART})",
        "",
        "| | client CPU, if not said otherwise | linkspan | peer | ratio |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"{facts['machine']}; {facts['pinning']}; {facts['date']}, commit {facts['commit']}; medians of `{command}`.",
    ])


def _row(results, part, cell, pair):
    title, figure, unit, divisor, _ = part
    family, ours, theirs = pair
    mine, other = results.series(cell, ours), results.series(cell, theirs)
    peer_label = other.client.label if other else theirs
    return (
        f"| {family} | {title} | {_value(mine, figure, unit, divisor)} "
        f"| {peer_label} {_value(other, figure, unit, divisor)} | {_ratio(mine, other, figure)} |"
    )


def _value(series, figure, unit, divisor):
    median = series.median(figure) if series else None
    return "–" if median is None else f"{number(median, divisor)} {unit}"


def _ratio(mine, other, figure):
    value = mine.ratio(other, figure) if mine else None
    return "–" if value is None else f"**{ratio(value)}**"
