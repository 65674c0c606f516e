"""More calls than a grpcio server allows streams on one connection: 250 at once, and 100 allowed.

With further connections none waits, and they go again when they are not needed; without, those in the queue obey their deadlines and say
what they waited for.
"""

import asyncio
import collections
import time

import linkspan
from server.scripted import GrpcioServers

NAME = "stream-limit"
LIMIT = 100
CALLS = 250
# Has its answer when the server is told so: a machine that stalls must not end calls before they were counted.
SLOW = "/test.Service/Hold"
SMALL = "/test.Service/Small"
# One right behind the 250 calls, and so many after it while they run.
SMALL_CALLS = 20
SMALL_BAR_MS = 50
SHRINK_AFTER_MS = 500
# A connection goes after once to twice that time.
SHRINK_BAR_SECONDS = 2 * SHRINK_AFTER_MS / 1000 + 0.5
GUARD_SECONDS = 60
LONG_SECONDS = 6
# Of the calls in the queue; long enough for each to be seen there.
PATIENCE_SECONDS = 10
LATE_BAR_MS = 100


def run(findings, is_long):
    with GrpcioServers(1, max_streams=LIMIT) as server:
        asyncio.run(with_further_connections(findings, server, LONG_SECONDS if is_long else 0))
    with GrpcioServers(1, max_streams=LIMIT) as server:
        asyncio.run(on_one_connection(findings, server))


async def with_further_connections(findings, server, seconds):
    """The calls last so long at least."""
    options = {"linkspan.max_connections_per_subchannel": 10, "linkspan.connection_shrink_after_ms": SHRINK_AFTER_MS}
    async with channel_to(server, options) as channel:
        first_ms = await small_call(channel)
        await expect(findings, "before", channel, in_flight=0, queued=0, on_each=[0])
        started = time.monotonic()
        calls = [slow_call(channel, GUARD_SECONDS) for _ in range(CALLS)]
        behind_ms, placed = await asyncio.gather(small_call(channel), all_have_a_stream(channel))
        beside_ms = [await small_call(channel) for _ in range(SMALL_CALLS)]
        await expect(findings, "with further connections", channel, in_flight=CALLS, queued=0, on_each=[100, 100, 50])
        await asyncio.sleep(max(0, started + seconds - time.monotonic()))
        server.let_go()
        ends = collections.Counter([code for code, _, _ in await asyncio.gather(*calls)])
        ended = time.monotonic()
        findings.must(ends == {"OK": CALLS}, f"{CALLS} calls ended {dict(ends)}")
        await until(lambda: len(connections(channel)) == 1, "one connection is left")
        findings.figure("one connection is left after", round(time.monotonic() - ended, 2), SHRINK_BAR_SECONDS, "s")
        await expect(findings, "after", channel, in_flight=0, queued=0, on_each=[0])
        counted = channel.metrics()["calls"]
    small = SMALL_CALLS + 2
    findings.must((counted["succeeded"], counted["failed"]) == (CALLS + small, 0), f"the channel counts {counted}")
    [served] = server.counts()["servers"]
    findings.must(served["calls"] == CALLS + small, f"the server counts {served}")
    # The small calls were beside the others.
    most = served["most_at_once"]
    findings.must(len(most) == 3 and all(each <= LIMIT for each in most), f"calls at once on each connection: {most}")
    findings.figure("all calls have a stream after", round((placed - started) * 1000), unit="ms")
    findings.figure("small call, the first", first_ms, unit="ms")
    # The server, which is written in Python, takes in the others before it.
    findings.figure("small call right behind 250", behind_ms, unit="ms")
    findings.figure("small calls beside 250, the slowest", max(beside_ms), SMALL_BAR_MS, "ms")


async def on_one_connection(findings, server):
    async with channel_to(server, {"linkspan.max_connections_per_subchannel": 1}) as channel:
        await small_call(channel)
        running = [slow_call(channel, GUARD_SECONDS) for _ in range(LIMIT)]
        await expect(findings, "the connection is full", channel, in_flight=LIMIT, queued=0, on_each=[LIMIT])
        waiting = [slow_call(channel, PATIENCE_SECONDS) for _ in range(CALLS - LIMIT)]
        await expect(findings, "on one connection", channel, in_flight=CALLS, queued=CALLS - LIMIT, on_each=[LIMIT])
        ended = await asyncio.gather(*waiting)
        await expect(findings, "after their deadlines", channel, in_flight=LIMIT, queued=0, on_each=[LIMIT])
        server.let_go()
        good = await asyncio.gather(*running)
    words = f"waiting for a stream to {server.address}: {LIMIT} of {LIMIT} in use on 1 connection"
    wrong = [(code, text) for code, text, _ in ended if code != "DEADLINE_EXCEEDED" or words not in text]
    findings.must(not wrong, f"{len(wrong)} calls in the queue did not end as they should, the first one {wrong[:1]}")
    findings.must({code for code, _, _ in good} == {"OK"}, f"calls that had a stream ended {good}")
    took = [took for _, _, took in ended]
    findings.must(min(took) >= PATIENCE_SECONDS - 0.01, f"a call ended after {min(took)} s, before its deadline of {PATIENCE_SECONDS} s")
    findings.figure("calls in the queue ended after their deadline by", round((max(took) - PATIENCE_SECONDS) * 1000), LATE_BAR_MS, "ms")
    [served] = server.counts()["servers"]
    findings.must((served["calls"], served["most_at_once"]) == (LIMIT + 1, [LIMIT]), f"the server counts {served}")


def channel_to(server, options):
    credentials = linkspan.insecure_channel_credentials()
    return linkspan.aio.connect(f"ipv4:{server.address}", credentials=credentials, options=list(options.items()))


def slow_call(channel, timeout):
    """A call under way: how it ended, and how long that took."""

    async def outcome():
        started = time.monotonic()
        code, text = "OK", ""
        try:
            await call
        except linkspan.RpcError as error:
            code, text = error.code().name, error.details()
        return code, text, time.monotonic() - started

    call = channel.unary_unary(SLOW)(b"", timeout=timeout)
    return asyncio.ensure_future(outcome())


async def small_call(channel):
    """How many milliseconds it took."""
    started = time.monotonic()
    await channel.unary_unary(SMALL)(b"", timeout=GUARD_SECONDS)
    return round((time.monotonic() - started) * 1000, 1)


async def all_have_a_stream(channel):
    """When the queue was empty."""
    await until(lambda: sum(used(channel)) >= CALLS, "every call has a stream")
    return time.monotonic()


def connections(channel):
    return channel.metrics()["connections"]


def used(channel):
    """How many streams each connection has, the oldest one first."""
    return [connection["streams"]["active"] for connection in connections(channel)]


async def expect(findings, when, channel, in_flight, queued, on_each):
    """Waits until the channel shows this, while nothing else changes. So every call is on a connection or in the queue."""
    expected = (in_flight, queued, on_each)
    try:
        await until(lambda: shown(channel) == expected, expected)
    except TimeoutError:
        findings.must(False, f"{when}: in flight, queued and on each connection should be {expected}, not {shown(channel)}")
    findings.must(in_flight == queued + sum(on_each), f"{when}: {expected} do not add up")
    limits = [connection["streams"].get("limit") for connection in connections(channel)]
    findings.must(set(limits) == {LIMIT}, f"{when}: the limits are {limits}")


def shown(channel):
    calls = channel.metrics()["calls"]
    return calls["in_flight"], calls["queued"], used(channel)


async def until(is_so, what):
    """Waits for what the channel is to show; the guard only ends what hangs."""
    end = time.monotonic() + GUARD_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {GUARD_SECONDS} s: {what}")
        await asyncio.sleep(0.005)
