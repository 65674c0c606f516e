"""Many unary calls, one after another and 64 at a time, must leave memory, threads and file descriptors as they were.

    .tools/venv/bin/python tests/python/endurance.py HOST:PORT CALLS [blocking|asyncio]

One JSON line per phase. Exit code 1 when a call failed or something grew.
"""

import asyncio
import collections
import gc
import json
import os
import pathlib
import resource
import signal
import sys
import time

from generated import messages, services

import linkspan
from linkspan import aio

HANG_GUARD_SECONDS = 600
WARM_UP_CALLS = 2_000
IN_FLIGHT = 64
# Allocators keep and split what they once got, so a flat program still moves by a few MiB; a leak of only 100 bytes
# per call passes this within a hundred thousand calls.
MOST_GROWTH_KB = 8 * 1024

REQUEST = messages.SimpleRequest(response_size=64, payload=messages.Payload(body=bytes(64)))


def main(arguments):
    if len(arguments) not in (2, 3) or arguments[2:] not in ([], ["blocking"], ["asyncio"]):
        print("usage: endurance.py HOST:PORT CALLS [blocking|asyncio]", file=sys.stderr)
        return 2
    signal.alarm(HANG_GUARD_SECONDS)
    address, calls = arguments[0], int(arguments[1])
    is_good = True
    for face in arguments[2:] or ("blocking", "asyncio"):
        for report in FACES[face](address, calls):
            print(json.dumps(report), flush=True)
            is_good &= is_flat(report)
    return 0 if is_good else 1


def blocking(address, calls):
    with linkspan.insecure_channel(address) as channel:
        stub = services.TestServiceStub(channel)

        def one_by_one(count):
            return sum(not is_whole(stub.UnaryCall(REQUEST)) for _ in range(count))

        def at_a_time(count):
            failed = 0
            in_flight = collections.deque()
            for _ in range(count):
                if len(in_flight) == IN_FLIGHT:
                    failed += not is_whole(in_flight.popleft().result())
                in_flight.append(stub.UnaryCall.future(REQUEST))
            return failed + sum(not is_whole(future.result()) for future in in_flight)

        for phase, run in (("blocking sequential", one_by_one), ("blocking concurrent", at_a_time)):
            run(WARM_UP_CALLS)
            yield measured(phase, calls, run)


def asynchronous(address, calls):
    loop = asyncio.new_event_loop()
    channel = aio.insecure_channel(address)
    stub = services.TestServiceStub(channel)

    async def one_by_one(count):
        return sum([not is_whole(await stub.UnaryCall(REQUEST)) for _ in range(count)])

    async def at_a_time(count):
        shares = [count // IN_FLIGHT + (place < count % IN_FLIGHT) for place in range(IN_FLIGHT)]
        return sum(await asyncio.gather(*map(one_by_one, shares)))

    try:
        for phase, run in (("asyncio sequential", one_by_one), ("asyncio concurrent", at_a_time)):
            loop.run_until_complete(run(WARM_UP_CALLS))
            yield measured(phase, calls, lambda count, run=run: loop.run_until_complete(run(count)))
    finally:
        loop.run_until_complete(channel.close())
        loop.close()


FACES = {"blocking": blocking, "asyncio": asynchronous}


def is_whole(response):
    return len(response.payload.body) == 64


def measured(phase, calls, run):
    """Runs the phase between two looks at what this process holds."""
    before = held()
    started = time.monotonic()
    failed = run(calls)
    seconds = time.monotonic() - started
    after = held()
    report = {"language": "python", "phase": phase, "calls": calls, "failed": failed, "seconds": round(seconds, 3)}
    return {**report, **{what: [before[what], after[what]] for what in before}}


def held():
    """Resident memory, file descriptors and threads of this process, garbage aside."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_kb": pages * resource.getpagesize() // 1024,
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def is_flat(report):
    before, after = report["rss_kb"]
    return (
        report["failed"] == 0
        and after - before < MOST_GROWTH_KB
        and report["fds"][0] == report["fds"][1]
        and report["threads"][0] == report["threads"][1]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
