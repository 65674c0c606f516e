"""What an asyncio client does for each workload: the same code for linkspan and for grpcio, and most of it for grpclib.

The loop runs while a command does, and stands still in between.
"""

# Here, and so before `--start` takes the time: a program on asyncio has imported it itself.
import asyncio
import itertools
import time

import client
from client import METHODS, STREAM_MESSAGE_SIZE, Progress, between, check_count, check_size, sample


class Asynchronous:
    """The workloads over a library that opens a channel, and calls on it, in coroutines."""

    def __init__(self, library, arguments):
        self._library = library
        self._arguments = arguments
        self._loop = new_loop(arguments)
        self._kept = {}
        self.workloads = {
            "unary": self._unary,
            "unary_tls": self._unary_tls,
            "server_stream": self._server_stream,
            "ping_pong": self._ping_pong,
            "blast": self._blast,
            "memory": self._memory,
            "idle": self._idle,
            "pick": self._pick,
        }

    # What is different from library to library.

    def _open(self, target):
        """A channel; called in the loop."""
        raise NotImplementedError

    def _open_tls(self, target):
        raise NotImplementedError

    async def _close(self, channel):
        raise NotImplementedError

    def _unary_method(self, channel):
        """Something to call with a request; awaiting what it returns gives the response."""
        raise NotImplementedError

    async def _streams_from_server(self, channel, request, messages, progress):
        """One server stream after the other."""
        raise NotImplementedError

    async def _back_and_forth(self, channel, request, progress):
        raise NotImplementedError

    async def _blasts(self, channel, request, messages, progress):
        raise NotImplementedError

    # What is the same.

    def first_call(self):
        async def call():
            return await self._unary_method(self._channel("echo"))(bytes(client.START_SIZE))

        return self._loop.run_until_complete(call())

    def run(self, workload, command):
        return self._loop.run_until_complete(workload(command))

    def close(self):
        for channel in self._kept.values():
            self._loop.run_until_complete(self._close(channel))
        self._loop.close()

    def _channel(self, port):
        """The one channel to a port of the server; it stays for later commands."""
        if port not in self._kept:
            target = getattr(self._arguments, port)
            self._kept[port] = self._open_tls(target) if port == "tls" else self._open(target)
        return self._kept[port]

    async def _unary(self, command):
        return await self._call_on(self._channel("echo"), command)

    async def _unary_tls(self, command):
        return await self._call_on(self._channel("tls"), command)

    async def _pick(self, command):
        channel = self._open(client.many_addresses(self._library, self._arguments, command))
        try:
            return await self._call_on(channel, command)
        finally:
            await self._close(channel)

    async def _call_on(self, channel, command):
        size = command["size"]
        request = bytes(size)
        call = self._unary_method(channel)
        check_size(await call(request), size)
        progress = Progress()
        callers = [one_by_one(call, request, progress) for _ in range(command["in_flight"])]
        return await measured(callers, progress, command)

    async def _server_stream(self, command):
        channel, progress = self._channel("stream"), Progress()
        messages = command["messages"]
        streams = self._streams_from_server(channel, str(messages).encode(), messages, progress)
        return await measured([streams], progress, command)

    async def _ping_pong(self, command):
        channel, progress = self._channel("echo"), Progress()
        stream = self._back_and_forth(channel, bytes(command["size"]), progress)
        return await measured([stream], progress, command)

    async def _blast(self, command):
        channel, progress = self._channel("echo"), Progress()
        streams = self._blasts(channel, bytes(command["size"]), command["messages"], progress)
        return await measured([streams], progress, command)

    async def _memory(self, command):
        began, resident = sample(0), client.resident()
        channels = await self._connected(command["channels"])
        answer = {**between(began, sample(len(channels))), "bytes": client.resident() - resident}
        await self._close_all(channels)
        return answer

    async def _idle(self, command):
        began, resident = time.perf_counter(), client.resident()
        channels = await self._connected(command["channels"])
        opened = {"bytes": client.resident() - resident, "open_s": time.perf_counter() - began}
        await asyncio.sleep(command["warmup_s"])
        quiet = sample(0)
        await asyncio.sleep(command["seconds"])
        answer = {**between(quiet, sample(len(channels))), **opened}
        await self._close_all(channels)
        return answer

    async def _connected(self, count):
        """New channels, each of which has made a call."""
        request = bytes(client.START_SIZE)
        channels = []
        for _ in range(count):
            channel = self._open(self._arguments.echo)
            channels.append(channel)
            check_size(await self._unary_method(channel)(request), client.START_SIZE)
        return channels

    async def _close_all(self, channels):
        for channel in channels:
            await self._close(channel)


class GrpcAio(Asynchronous):
    """`grpc.aio`, or what takes its place."""

    def _open(self, target):
        return self._library.aio.insecure_channel(target, client.CHANNEL_OPTIONS)

    def _open_tls(self, target):
        credentials = client.trusting(self._library, self._arguments)
        return self._library.aio.secure_channel(target, credentials, client.CHANNEL_OPTIONS)

    async def _close(self, channel):
        await channel.close()

    def _unary_method(self, channel):
        return channel.unary_unary(METHODS + "Unary")

    async def _streams_from_server(self, channel, request, messages, progress):
        method = channel.unary_stream(METHODS + "Stream")
        await one_stream_after_the_other(lambda: method(request), STREAM_MESSAGE_SIZE, messages, progress)

    async def _blasts(self, channel, request, messages, progress):
        method = channel.stream_stream(METHODS + "Bidi")
        await one_stream_after_the_other(
            lambda: method(itertools.repeat(request, messages)), len(request), messages, progress
        )

    async def _back_and_forth(self, channel, request, progress):
        size = len(request)
        stream = channel.stream_stream(METHODS + "Bidi")()
        while progress.is_open:
            await stream.write(request)
            if len(await stream.read()) != size:
                raise client.WrongAnswer("a message of another size")
            progress.operations += 1
        await stream.done_writing()
        # EOF has no length; a bad end raises.
        check_size(await stream.read(), 0)


def new_loop(arguments):
    if arguments.uvloop:
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


# The measured loops.


async def measured(callers, progress, command):
    running = [asyncio.ensure_future(caller) for caller in callers]
    await asyncio.sleep(command["warmup_s"])
    before = sample(progress.operations)
    await asyncio.sleep(command["seconds"])
    after = sample(progress.operations)
    progress.is_open = False
    ends = await asyncio.gather(*running, return_exceptions=True)
    for failure in filter(None, ends):
        raise failure
    return between(before, after)


async def one_by_one(call, request, progress):
    size = len(request)
    while progress.is_open:
        if len(await call(request)) != size:
            raise client.WrongAnswer("an answer of another size")
        progress.operations += 1


async def one_stream_after_the_other(start, size, messages, progress):
    while progress.is_open:
        before = progress.operations
        async for message in start():
            if len(message) != size:
                raise client.WrongAnswer("a message of another size")
            progress.operations += 1
        check_count(progress.operations - before, messages)
