"""A client that calls at a steady rate through whatever happens, and tells of every call: what tests/faults drives.

    caller.py --target TARGET [--channels N] [--rate CALLS/S] [--deadline-ms N] [--option KEY=VALUE ...] [--holds-streams true] [--stream-deadline-ms N]
        [--tls-files FOLDER]

One JSON line for each call when it has ended, for each state change, and for the end. It calls until its standard input
closes, then waits for the calls in flight. Channels have linkspan's own defaults.
"""

import argparse
import asyncio
import json
import os
import sys
import time

import linkspan

CALL = "/grpc.testing.TestService/UnaryCall"
STREAM = "/grpc.testing.TestService/FullDuplexCall"
# SimpleRequest { response_size: 16, fill_server_id: true }
REQUEST = bytes((0x10, 16, 0x48, 1))
LOOK_AT_EVENTS_SECONDS = 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--rate", type=float, default=10, help="calls per second, all channels together, in turn")
    parser.add_argument("--deadline-ms", type=int, default=2000)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--holds-streams", choices=("true", "false"), default="false", help="an open, silent stream on each channel")
    parser.add_argument("--stream-deadline-ms", type=int, help="ends each silent stream, which the next one follows")
    parser.add_argument("--tls-files", help="the folder with ca.crt, tls.crt and tls.key; without it there is no TLS")
    arguments = parser.parse_args()
    asyncio.run(Caller(arguments).run())


def option(text):
    key, _, value = text.partition("=")
    return key, int(value) if value.lstrip("-").isdigit() else value


class Caller:
    def __init__(self, arguments):
        options = [option(text) for text in arguments.option]
        credentials = linkspan.insecure_channel_credentials()
        if arguments.tls_files:
            roots, chain, key = [os.path.join(arguments.tls_files, name) for name in ("ca.crt", "tls.crt", "tls.key")]
            credentials = linkspan.file_channel_credentials(roots=roots, key=key, chain=chain)
        self._channels = [
            linkspan.connect(arguments.target, credentials=credentials, options=options)
            for _ in range(arguments.channels)
        ]
        self._deadline_seconds = arguments.deadline_ms / 1000
        self._rate = arguments.rate
        self._stream_timeout = arguments.stream_deadline_ms and arguments.stream_deadline_ms / 1000
        self._holds_streams = arguments.holds_streams == "true"
        self._events_seen = [0] * arguments.channels
        self._in_flight = set()

    async def run(self):
        is_over = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, self._on_input, is_over)
        telling = asyncio.ensure_future(self._keep_telling())
        holding = [asyncio.ensure_future(self._hold(channel)) for channel in self._channels if self._holds_streams]
        await self._call_until(is_over)
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        for task in (telling, *holding):
            task.cancel()
        self._tell_events()
        attempts = sum(channel.metrics()["connect_attempts"] for channel in self._channels)
        for channel in self._channels:
            channel.close()
        tell("done", connect_attempts=attempts)

    @staticmethod
    def _on_input(is_over):
        if not os.read(0, 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin)
            is_over.set()

    async def _call_until(self, is_over):
        """Starts calls at their times, whatever became of those before."""
        methods = [channel.aio.unary_unary(CALL) for channel in self._channels]
        started, number = time.monotonic(), 0
        while not is_over.is_set():
            due = started + number / self._rate if self._rate else float("inf")
            wait = due - time.monotonic()
            if wait > 0:
                try:
                    await asyncio.wait_for(is_over.wait(), None if wait == float("inf") else wait)
                except asyncio.TimeoutError:
                    pass
                continue
            task = asyncio.ensure_future(self._call(methods[number % len(methods)], number))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
            number += 1

    async def _call(self, method, number):
        started = milliseconds()
        metadata = (("x-call-id", f"{os.getpid()}-{number}"),)
        code, text = "OK", ""
        try:
            await method(REQUEST, timeout=self._deadline_seconds, metadata=metadata)
        except linkspan.RpcError as error:
            code, text = error.code().name, error.details()
        tell("call", t=started, ended=milliseconds(), code=code, text=text)

    async def _hold(self, channel):
        """Keeps a stream open; tells when it ended and opens the next."""
        while True:
            stream = channel.aio.stream_stream(STREAM)(timeout=self._stream_timeout)
            try:
                await stream.read()
                code, text = "OK", ""
            except linkspan.RpcError as error:
                code, text = error.code().name, error.details()
            tell("stream", ended=milliseconds(), code=code, text=text)
            await asyncio.sleep(0.1)

    async def _keep_telling(self):
        while True:
            self._tell_events()
            await asyncio.sleep(LOOK_AT_EVENTS_SECONDS)

    def _tell_events(self):
        for number, channel in enumerate(self._channels):
            for event in channel.events(self._events_seen[number]):
                self._events_seen[number] = event.sequence
                tell("state", t=milliseconds(), channel=number, text=str(event))


def milliseconds():
    return time.time_ns() // 1_000_000


def tell(kind, **what):
    print(json.dumps({"kind": kind, **what}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
