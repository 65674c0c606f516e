"""Calls of the asyncio face that stream requests, responses or both."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque

from linkspan import _callbacks, _grpcio
from linkspan._enums import CANCELLED, INTERNAL, UNKNOWN
from linkspan._errors import DESERIALIZING, GARBAGE_COLLECTED, ITERATING, SERIALIZING
from linkspan._linkspan import FIRST_CREDIT
from linkspan.aio._calls import Call, UnaryResponseMixin, wake
from linkspan.aio._errors import usage_error
from linkspan.aio._loop import HEADERS, MESSAGES, STATUS, WRITABLE

MIXED = "The iterator and read/write APIs may not be mixed on a single RPC."
FINISHED = "RPC already finished."
HALF_CLOSED = 'RPC is half closed after calling "done_writing".'


class _End:
    """No further message: falsy, and equal to grpcio's."""

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        grpc = _grpcio.loaded()
        return grpc is not None and other is grpc.aio.EOF

    def __hash__(self) -> int:
        return hash(_End)

    def __repr__(self) -> str:
        return "<grpc.aio.EOF>"


_EOF = _End()


def end_of_stream() -> object:
    """What `read` gives at the end: grpcio's own object once it is loaded."""
    grpc = _grpcio.loaded()
    return _EOF if grpc is None else grpc.aio.EOF


class _Inbox:
    """Where a stream's completions go. It does not keep the call: one that nobody refers to is collected and cancelled."""

    __slots__ = ("_call", "kept")

    def __init__(self, call: _StreamCall):
        self._call = weakref.ref(call)
        # The call itself while it has done callbacks to run.
        self.kept: _StreamCall | None = None

    def on_completion(self, what: int, first, second) -> None:
        call = self._call()
        if call is not None:
            call.on_completion(what, first, second)


class _StreamCall(Call):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.inbox = _Inbox(self)

    def on_completion(self, what: int, first, second) -> None:
        if self._outcome is not None:
            return
        if what == MESSAGES:
            self._on_messages(first)
        elif what == HEADERS:
            self._initial = first
            if self._header_waiters:
                wake(self._header_waiters)
        elif what == WRITABLE:
            self._on_writable()
        elif what == STATUS:
            self._on_status(second)

    def _on_writable(self) -> None:
        """Only a call that sends is told."""

    def _on_status(self, outcome) -> None:
        self._finish(outcome)

    def _finish(self, outcome) -> None:
        super()._finish(outcome)
        self.inbox.kept = None

    def add_done_callback(self, callback) -> None:
        super().add_done_callback(callback)
        if self._outcome is None:
            self.inbox.kept = self

    def __del__(self):
        # Any thread may collect garbage, so only what is safe on any thread is done here.
        native = self.__dict__.get("_native")
        if native is not None:
            native.cancel(CANCELLED, GARBAGE_COLLECTED)
            self._channel._running.discard(self._tag)
            self._channel._tell_if_idle()


class _StreamResponseMixin:
    """`async for`, or `read` until EOF."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._messages: deque[bytes] = deque()
        # Messages that are asked for or wait, and how many of them are few enough to ask for more.
        self._held = FIRST_CREDIT
        self._few = FIRST_CREDIT // 2
        self._readers: list[asyncio.Future] = []
        self._reads_by: str | None = None

    def _on_messages(self, messages: list[bytes]) -> None:
        self._messages.extend(messages)
        # All of them: who finds nothing waits again, and one that was cancelled meanwhile takes nothing.
        wake(self._readers)

    def _finish(self, outcome) -> None:
        super()._finish(outcome)
        wake(self._readers)

    def _end_here(self, code: int, details: str, cause: BaseException | None = None) -> bool:
        ended = super()._end_here(code, details, cause)
        if ended:
            self._messages.clear()
        return ended

    async def _next_response(self) -> object:
        """The next response, or None at a good end; raises at a bad one."""
        messages = self._messages
        while not messages:
            if self._outcome is not None:
                if self._outcome.code != 0:
                    raise self._error()
                return None
            try:
                await self._wait(self._readers)
            except asyncio.CancelledError:
                self.cancel()
                raise
        message = messages.popleft()
        self._held -= 1
        if self._held <= self._few:
            self._ask_for_more(len(message))
        return message if self._deserialize is None else self._deserialized(message)

    def _ask_for_more(self, size: int) -> None:
        """After a message of this size was taken."""
        if self._native is not None:
            sizes = [len(message) for message in self._messages]
            self._held += self._native.read(self._held, sum(sizes), max(sizes, default=size))
            self._few = self._held // 2

    def _deserialized(self, message: bytes) -> object:
        try:
            response = self._deserialize(message)
            if response is None:
                raise TypeError("the deserializer returned None")
        except Exception as error:
            if not self._end_here(INTERNAL, DESERIALIZING, error):
                self._cause = error
                self._outcome = self._unpacked()._replace(code=INTERNAL, details=DESERIALIZING, local=True)
                self._messages.clear()
            raise self._error() from error
        return response

    def _read_by(self, style: str) -> None:
        if self._reads_by not in (None, style):
            raise usage_error.current(MIXED)
        self._reads_by = style

    async def read(self) -> object:
        """The next response; EOF at the end."""
        self._read_by("read")
        response = await self._next_response()
        return end_of_stream() if response is None else response

    def __aiter__(self):
        self._read_by("iteration")
        return _Responses(self)


class _Responses:
    """One iteration over a call's responses."""

    __slots__ = ("_call",)

    def __init__(self, call: _StreamResponseMixin):
        self._call = call

    def __aiter__(self):
        return self

    async def __anext__(self) -> object:
        response = await self._call._next_response()
        if response is None:
            raise StopAsyncIteration
        return response


class _StreamRequestMixin:
    """Requests from an iterator, or by `write` and `done_writing`."""

    def __init__(self, serialize, *arguments):
        super().__init__(*arguments)
        self._serialize = serialize
        self._writers: list[asyncio.Future] = []
        self._is_half_closed = False
        self._feeder: asyncio.Task | None = None

    def feed_from(self, requests: object) -> None:
        """Sends what the iterator gives; a sync one, an async one or None for `write`."""
        if requests is not None and self._outcome is None:
            self._feeder = self._loop.create_task(self._feed(requests))

    async def _feed(self, requests: object) -> None:
        try:
            if hasattr(requests, "__aiter__"):
                async for request in requests:
                    if not await self._feed_one(request):
                        return
            else:
                for request in requests:
                    if not await self._feed_one(request):
                        return
        except Exception as error:
            if self._outcome is None:
                _callbacks.log_exception(ITERATING)
                self._end_here(UNKNOWN, ITERATING, error)
        else:
            self._half_close()

    async def _feed_one(self, request: object) -> bool:
        message = self._message(request)
        return message is not None and await self._send(message)

    def _message(self, request: object) -> object | None:
        """The serialized request; None, and the call is ended, when there is none."""
        if self._serialize is None:
            return request
        try:
            message = self._serialize(request)
            if message is None:
                raise TypeError("the serializer returned None")
        except Exception as error:
            if self._outcome is None:
                _callbacks.log_exception(SERIALIZING)
                self._end_here(INTERNAL, SERIALIZING, error)
            return None
        return message

    async def _send(self, message: object) -> bool:
        """False when the call or its request stream ended before the engine took the message."""
        while self._native is not None:
            taken = self._native.send(message)
            if taken:
                return True
            if taken is None:
                return False
            await self._wait(self._writers)
        return False

    def _on_writable(self) -> None:
        wake(self._writers)

    def _finish(self, outcome) -> None:
        super()._finish(outcome)
        wake(self._writers)
        feeder = self._feeder
        if feeder is not None and not feeder.done() and feeder is not asyncio.current_task(self._loop):
            feeder.cancel()

    def _half_close(self) -> None:
        self._is_half_closed = True
        if self._native is not None:
            self._native.half_close()

    async def write(self, request: object) -> None:
        """Sends one request; waits while there is no room for it."""
        if self._feeder is not None:
            raise usage_error.current(MIXED)
        if self._outcome is not None:
            raise asyncio.InvalidStateError(FINISHED)
        if self._is_half_closed:
            raise asyncio.InvalidStateError(HALF_CLOSED)
        message = self._message(request)
        try:
            if message is not None and await self._send(message):
                return
            await self._ended()
        except asyncio.CancelledError:
            self.cancel()
            raise
        raise asyncio.InvalidStateError(FINISHED) if self._outcome.code == 0 else self._error()

    async def done_writing(self) -> None:
        """Ends the requests; harmless when that was done before."""
        if self._feeder is not None:
            raise usage_error.current(MIXED)
        if not self._is_half_closed:
            self._half_close()


class UnaryStreamCall(_StreamResponseMixin, _StreamCall):
    """A call with one request and any number of responses."""


class StreamUnaryCall(_StreamRequestMixin, UnaryResponseMixin, _StreamCall):
    """A call with any number of requests and one response."""

    _message_received: bytes | None = None

    def _on_messages(self, messages: list[bytes]) -> None:
        self._message_received = messages[-1]

    def _on_status(self, outcome) -> None:
        self._finish_with(self._message_received if outcome.code == 0 else None, outcome)


class StreamStreamCall(_StreamRequestMixin, _StreamResponseMixin, _StreamCall):
    """A call with any number of requests and responses."""
