"""The demo's Python client: four calls in flight over a generated stub, and what the channel saw, as JSON lines.

    demo_client.py --face blocking|asyncio --name NAME --target TARGET --seconds N [--wait-for-ready]
"""

import argparse
import collections
import json
import signal
import sys
import threading
import time

from generated import messages, services

IN_FLIGHT = 4
PAUSE_SECONDS = 0.01
CALL_TIMEOUT_SECONDS = 5
# Three backoffs in a row may take longer than the other calls have.
WAITING_CALL_TIMEOUT_SECONDS = 20
EVENTS_EVERY_SECONDS = 0.05
TOTALS_EVERY_SECONDS = 0.5
HANG_GUARD_SECONDS = 120

REQUEST = messages.SimpleRequest(fill_server_id=True, response_size=16)


class Record:
    """What happened so far; every line it tells is whole and at once on stdout."""

    def __init__(self, name):
        self._name = name
        self._lock = threading.Lock()
        self._codes = collections.Counter()
        self._servers = collections.Counter()
        self._last_event = 0

    def call_succeeded(self, server):
        with self._lock:
            self._codes["OK"] += 1
            self._servers[server] += 1

    def call_failed(self, error):
        with self._lock:
            self._codes[error.code().name] += 1
            self._tell("error", code=error.code().name, text=error.details())

    def tell_events(self, channel):
        for event in channel.events(self._last_event):
            self._last_event = event.sequence
            states = {"from": event.from_state.name, "to": event.to_state.name}
            with self._lock:
                self._tell("state", **states, cause=event.cause, address=event.address)

    def tell_totals(self):
        with self._lock:
            self._tell("calls", **self._totals(), servers=dict(self._servers))

    def tell_end(self):
        with self._lock:
            self._tell("done", **self._totals(), codes=dict(self._codes), servers=dict(self._servers))

    def _totals(self):
        return {"ok": self._codes["OK"], "failed": self._codes.total() - self._codes["OK"]}

    def _tell(self, kind, **what):
        line = {"t": int(time.time() * 1000), "client": self._name, "kind": kind, **what}
        print(json.dumps(line, ensure_ascii=False), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face", choices=("blocking", "asyncio"), required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--wait-for-ready", action="store_true")
    arguments = parser.parse_args()
    signal.alarm(int(arguments.seconds) + HANG_GUARD_SECONDS)

    record = Record(arguments.name)
    face = {"blocking": run_blocking, "asyncio": run_asyncio}[arguments.face]
    if arguments.wait_for_ready:
        asked = {"timeout": WAITING_CALL_TIMEOUT_SECONDS, "wait_for_ready": True}
    else:
        asked = {"timeout": CALL_TIMEOUT_SECONDS}
    face(arguments.target, time.monotonic() + arguments.seconds, asked, record)
    record.tell_end()
    return 0


def run_blocking(target, end, asked, record):
    import linkspan

    def keep_calling(stub):
        while time.monotonic() < end:
            try:
                response = stub.UnaryCall(REQUEST, **asked)
                record.call_succeeded(response.server_id)
            except linkspan.RpcError as error:
                record.call_failed(error)
            time.sleep(PAUSE_SECONDS)

    with linkspan.insecure_channel(target) as channel:
        stub = services.TestServiceStub(channel)
        callers = [threading.Thread(target=keep_calling, args=(stub,)) for _ in range(IN_FLIGHT)]
        for caller in callers:
            caller.start()
        next_totals = time.monotonic()
        while any(caller.is_alive() for caller in callers):
            next_totals = tell(record, channel, next_totals)
            time.sleep(EVENTS_EVERY_SECONDS)
    record.tell_events(channel)
    record.tell_totals()


def run_asyncio(target, end, asked, record):
    import asyncio

    from linkspan import RpcError, aio

    async def keep_calling(stub):
        while time.monotonic() < end:
            try:
                response = await stub.UnaryCall(REQUEST, **asked)
                record.call_succeeded(response.server_id)
            except RpcError as error:
                record.call_failed(error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def keep_telling(channel):
        next_totals = time.monotonic()
        while True:
            next_totals = tell(record, channel, next_totals)
            await asyncio.sleep(EVENTS_EVERY_SECONDS)

    async def run():
        async with aio.insecure_channel(target) as channel:
            stub = services.TestServiceStub(channel)
            telling = asyncio.ensure_future(keep_telling(channel))
            await asyncio.gather(*(keep_calling(stub) for _ in range(IN_FLIGHT)))
            telling.cancel()
        record.tell_events(channel)
        record.tell_totals()

    asyncio.run(run())


def tell(record, channel, next_totals):
    """New events, and the totals when they are due; when they are due next."""
    record.tell_events(channel)
    if time.monotonic() < next_totals:
        return next_totals
    record.tell_totals()
    return next_totals + TOTALS_EVERY_SECONDS


if __name__ == "__main__":
    sys.exit(main())
