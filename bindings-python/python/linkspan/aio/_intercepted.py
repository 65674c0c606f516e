"""Calls that go through interceptors: a task runs the chain, and what it gives in the end is the call."""

from __future__ import annotations

import asyncio
import time

from linkspan import _grpcio
from linkspan._calls import deadline_of
from linkspan._enums import CANCELLED
from linkspan._errors import LOCALLY_CANCELLED, Outcome, RpcContext, decided_here
from linkspan.aio._calls import Call, UnaryUnaryCall
from linkspan.aio._errors import AioRpcError, usage_error
from linkspan.aio._streams import FINISHED, HALF_CLOSED, MIXED, end_of_stream

_NO_MORE = object()


class InterceptedCall(RpcContext):
    """A call on its way through interceptors. `_started` is the one on the wire, once the last of them asked for it."""

    _intercept: str

    def __init__(self, multicallable, loop: asyncio.AbstractEventLoop, interceptors: list, details, request):
        self._multicallable = multicallable
        self._loop = loop
        self._deadline = deadline_of(details.timeout)
        self._started: Call | None = None
        self._is_finished = False
        self._done_callbacks: list = []
        self._task = loop.create_task(self._run(interceptors, details, request))
        self._task.add_done_callback(self._on_chain_end)

    async def _run(self, interceptors: list, details, request):
        if not interceptors:
            self._started = self._multicallable.begin(details, request)
            return self._started
        first, *others = interceptors

        async def continuation(details, request):
            return await self._run(others, details, request)

        return self._as_call(await getattr(first, self._intercept)(continuation, details, request))

    def _as_call(self, answer):
        """What an interceptor returned: a call of ours or of grpcio's, or a bare response."""
        grpc = _grpcio.loaded()
        kinds = (RpcContext,) if grpc is None else (RpcContext, grpc.aio.Call)
        return answer if isinstance(answer, kinds) else self._answered(answer)

    def _answered(self, response) -> Call:
        """A call that ended OK with this response."""
        call = UnaryUnaryCall(self._multicallable._channel, self._loop, None, None)
        call._response = response
        call._outcome = decided_here(0, "", sent=True)
        return call

    def _ended_as(self, outcome: Outcome, initial, cause: BaseException | None) -> Call:
        call = UnaryUnaryCall(self._multicallable._channel, self._loop, None, None)
        call._initial = list(initial or ())
        call._cause = cause
        call._outcome = outcome
        return call

    async def _call(self):
        """The chain's call. A waiter that is cancelled here leaves the chain alone."""
        try:
            return await asyncio.shield(self._task)
        except AioRpcError as error:
            trailing = list(error.trailing_metadata() or ())
            outcome = Outcome(
                error.code().value[0], error.details(), None, trailing, error.trail, error.peer, error.sent, False
            )
            return self._ended_as(outcome, error.initial_metadata(), error.__cause__)
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise
            return self._ended_as(decided_here(CANCELLED, LOCALLY_CANCELLED), None, None)

    async def _call_or_cancel(self):
        """The same for those whose cancellation cancels the call."""
        try:
            return await self._call()
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def code(self):
        return await (await self._call()).code()

    async def details(self):
        return await (await self._call()).details()

    async def debug_error_string(self):
        return await (await self._call()).debug_error_string()

    async def initial_metadata(self):
        return await (await self._call()).initial_metadata()

    async def trailing_metadata(self):
        return await (await self._call()).trailing_metadata()

    async def wait_for_connection(self) -> None:
        await (await self._call()).wait_for_connection()

    def cancel(self) -> bool:
        if not self._task.done():
            cancelled = self._task.cancel()
            if self._started is not None:
                self._started.cancel()
            return cancelled
        call = self._chain_result()
        return call is not None and call.cancel()

    def cancelled(self) -> bool:
        if not self._task.done():
            return False
        call = self._chain_result()
        return self._task.cancelled() or (call is not None and call.cancelled())

    def done(self) -> bool:
        if not self._task.done():
            return False
        call = self._chain_result()
        return call is None or call.done()

    def _chain_result(self):
        """The call a finished chain gave; None when it raised or was cancelled."""
        if self._task.cancelled() or self._task.exception() is not None:
            return None
        return self._task.result()

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    def add_done_callback(self, callback) -> None:
        if self._is_finished:
            callback(self)
        else:
            self._done_callbacks.append(callback)

    def _on_chain_end(self, task: asyncio.Task) -> None:
        call = self._chain_result()
        if call is None:
            self._on_end(self)
        else:
            call.add_done_callback(self._on_end)

    def _on_end(self, _call) -> None:
        self._is_finished = True
        for callback in self._done_callbacks:
            self._loop.call_soon(callback, self)
        self._done_callbacks.clear()


class _UnaryResponseMixin:
    def __await__(self):
        call = yield from self._call_or_cancel().__await__()
        return (yield from call.__await__())


class _Iterated(RpcContext):
    """An async iterator an interceptor returned, with the answers of the call it reads from."""

    def __init__(self, call, responses):
        self._call = call
        self._responses = responses.__aiter__()

    def __aiter__(self):
        return self._responses

    async def read(self):
        try:
            return await self._responses.__anext__()
        except StopAsyncIteration:
            return end_of_stream()

    def __getattr__(self, name):
        return getattr(self._call, name)


class _StreamResponseMixin:
    def _answered(self, response):
        call = self._started or super()._answered(None)
        return _Iterated(call, response)

    async def read(self):
        return await (await self._call_or_cancel()).read()

    async def __aiter__(self):
        async for response in await self._call_or_cancel():
            yield response


class _StreamRequestMixin:
    """Writes go through the chain as an async iterator does: one waits here until the call asks for the next."""

    def __init__(self, multicallable, loop, interceptors, details, request_iterator):
        self._written: asyncio.Queue | None = None
        self._is_half_closed = False
        if request_iterator is None:
            self._written = asyncio.Queue(maxsize=1)
            request_iterator = self._requests()
        self._end = loop.create_future()
        super().__init__(multicallable, loop, interceptors, details, request_iterator)

    async def _requests(self):
        while (request := await self._written.get()) is not _NO_MORE:
            yield request

    def _on_end(self, call) -> None:
        if not self._end.done():
            self._end.set_result(None)
        super()._on_end(call)

    async def write(self, request) -> None:
        if self._written is None:
            raise usage_error.current(MIXED)
        if self._end.done():
            raise asyncio.InvalidStateError(FINISHED)
        if self._is_half_closed:
            raise asyncio.InvalidStateError(HALF_CLOSED)
        await self._put(request)
        if self._end.done():
            raise asyncio.InvalidStateError(FINISHED)

    async def done_writing(self) -> None:
        if self._written is None:
            raise usage_error.current(MIXED)
        if not self._is_half_closed:
            self._is_half_closed = True
            await self._put(_NO_MORE)

    async def _put(self, request) -> None:
        put = self._loop.create_task(self._written.put(request))
        try:
            await asyncio.wait((put, self._end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Harmless when it is done; after the call's end nobody takes what it would put.
            put.cancel()


class InterceptedUnaryUnaryCall(_UnaryResponseMixin, InterceptedCall):
    _intercept = "intercept_unary_unary"


class InterceptedUnaryStreamCall(_StreamResponseMixin, InterceptedCall):
    _intercept = "intercept_unary_stream"


class InterceptedStreamUnaryCall(_StreamRequestMixin, _UnaryResponseMixin, InterceptedCall):
    _intercept = "intercept_stream_unary"


class InterceptedStreamStreamCall(_StreamRequestMixin, _StreamResponseMixin, InterceptedCall):
    _intercept = "intercept_stream_stream"
