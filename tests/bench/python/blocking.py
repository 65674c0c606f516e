"""What a blocking client does for each workload: the same code for linkspan and for grpcio."""

import itertools
import time

import client
from client import NEVER, METHODS, STREAM_MESSAGE_SIZE, Progress, Window, between, check_count, check_size, sample


class Blocking:
    """Makes calls through `library.insecure_channel` and `library.secure_channel`."""

    def __init__(self, library, arguments):
        self._library = library
        self._arguments = arguments
        self._kept = {}
        self.workloads = {
            "unary": self._unary,
            "unary_threads": self._unary_threads,
            "unary_tls": self._unary_tls,
            "server_stream": self._server_stream,
            "ping_pong": self._ping_pong,
            "blast": self._blast,
            "memory": self._memory,
            "idle": self._idle,
            "pick": self._pick,
        }

    def first_call(self):
        return unary_method(self._channel("echo"))(bytes(client.START_SIZE))

    def run(self, workload, command):
        return workload(command)

    def close(self):
        for channel in self._kept.values():
            channel.close()

    def _open(self, target, more_options=()):
        return self._library.insecure_channel(target, (*client.CHANNEL_OPTIONS, *more_options))

    def _open_tls(self, target):
        credentials = client.trusting(self._library, self._arguments)
        return self._library.secure_channel(target, credentials, client.CHANNEL_OPTIONS)

    def _channel(self, port):
        """The one channel to a port of the server; it stays for later commands."""
        if port not in self._kept:
            target = getattr(self._arguments, port)
            self._kept[port] = self._open_tls(target) if port == "tls" else self._open(target)
        return self._kept[port]

    def _unary(self, command):
        if command["in_flight"] != 1:
            raise client.Unsupported("one thread makes one blocking call at a time; see unary_threads")
        return one_by_one(unary_method(self._channel("echo")), command)

    def _unary_threads(self, command):
        return in_threads(unary_method(self._channel("echo")), command)

    def _unary_tls(self, command):
        return callers(unary_method(self._channel("tls")), command)

    def _pick(self, command):
        with self._open(client.many_addresses(self._library, self._arguments, command)) as channel:
            return callers(unary_method(channel), command)

    def _server_stream(self, command):
        method = self._channel("stream").unary_stream(METHODS + "Stream")
        request = str(command["messages"]).encode()
        return one_stream_after_the_other(lambda: method(request), STREAM_MESSAGE_SIZE, command)

    def _blast(self, command):
        method = self._channel("echo").stream_stream(METHODS + "Bidi")
        request, messages = bytes(command["size"]), command["messages"]
        return one_stream_after_the_other(
            lambda: method(itertools.repeat(request, messages)), command["size"], command
        )

    def _ping_pong(self, command):
        from queue import SimpleQueue

        requests = SimpleQueue()
        responses = self._channel("echo").stream_stream(METHODS + "Bidi")(iter(requests.get, None))
        try:
            return back_and_forth(requests, responses, command)
        finally:
            requests.put(None)
            # The stream's end, which raises when it was not a good one.
            check_count(sum(1 for _ in responses), 0)

    def _memory(self, command):
        began, resident = sample(0), client.resident()
        channels = self._connected(command["channels"])
        answer = {**between(began, sample(len(channels))), "bytes": client.resident() - resident}
        close_all(channels)
        return answer

    def _idle(self, command):
        began, resident = time.perf_counter(), client.resident()
        channels = self._connected(command["channels"], keepalive_options(command))
        opened = {"bytes": client.resident() - resident, "open_s": time.perf_counter() - began}
        time.sleep(command["warmup_s"])
        quiet = sample(0)
        time.sleep(command["seconds"])
        answer = {**between(quiet, sample(len(channels))), **opened}
        close_all(channels)
        return answer

    def _connected(self, count, more_options=()):
        """New channels, each of which has made a call."""
        request = bytes(client.START_SIZE)
        channels = []
        for _ in range(count):
            channel = self._open(self._arguments.echo, more_options)
            channels.append(channel)
            check_size(unary_method(channel)(request), client.START_SIZE)
        return channels


def unary_method(channel):
    return channel.unary_unary(METHODS + "Unary")


def keepalive_options(command):
    seconds = command.get("keepalive_s")
    if seconds is None:
        return ()
    # The third makes C-core ping on while no data flows.
    return (
        ("grpc.keepalive_time_ms", seconds * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )


def close_all(channels):
    for channel in channels:
        channel.close()


def callers(call, command):
    return one_by_one(call, command) if command["in_flight"] == 1 else in_threads(call, command)


# The measured loops.


def one_by_one(call, command):
    size = command["size"]
    request = bytes(size)
    check_size(call(request), size)
    clock = time.perf_counter
    operations = 0
    window = Window(command)
    until = window.until
    while until != NEVER:
        if len(call(request)) != size:
            raise client.WrongAnswer("an answer of another size")
        operations += 1
        if clock() >= until:
            until = window.look(operations)
    return window.figures()


def in_threads(call, command):
    import threading

    size = command["size"]
    request = bytes(size)
    check_size(call(request), size)
    progress = Progress()
    # A place for each thread: two threads that add to one number lose some.
    completed = [0] * command["in_flight"]
    failures = []

    def keep_calling(place):
        try:
            while progress.is_open:
                if len(call(request)) != size:
                    raise client.WrongAnswer("an answer of another size")
                completed[place] += 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=keep_calling, args=(place,)) for place in range(len(completed))]
    for thread in threads:
        thread.start()
    time.sleep(command["warmup_s"])
    before = sample(sum(completed))
    time.sleep(command["seconds"])
    after = sample(sum(completed))
    progress.is_open = False
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return between(before, after)


def one_stream_after_the_other(start, size, command):
    messages = command["messages"]
    clock = time.perf_counter
    operations = 0
    window = Window(command)
    until = window.until
    while until != NEVER:
        before = operations
        for message in start():
            if len(message) != size:
                raise client.WrongAnswer("a message of another size")
            operations += 1
            if clock() >= until:
                until = window.look(operations)
        check_count(operations - before, messages)
    return window.figures()


def back_and_forth(requests, responses, command):
    size = command["size"]
    request = bytes(size)
    clock = time.perf_counter
    operations = 0
    window = Window(command)
    until = window.until
    while until != NEVER:
        requests.put(request)
        if len(next(responses)) != size:
            raise client.WrongAnswer("a message of another size")
        operations += 1
        if clock() >= until:
            until = window.look(operations)
    return window.figures()
