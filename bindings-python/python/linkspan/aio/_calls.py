"""Calls of the asyncio face: what all have in common, and the call with one request and one response.

A call belongs to one loop and is touched on that loop's thread only. Who waits for it waits on a future of that loop, one
per waiter, so that waiters are independent of each other.
"""

from __future__ import annotations

import asyncio
import time

from linkspan._calls import deadline_of
from linkspan._enums import CANCELLED, INTERNAL, READY, code_of
from linkspan._errors import (
    DESERIALIZING,
    LOCALLY_CANCELLED,
    Outcome,
    RpcContext,
    debug_text,
    decided_here,
    describe,
)
from linkspan.aio._errors import aio_failed, is_cancelled_here
from linkspan.aio._metadata import Metadata


class Call(RpcContext):
    """A started call."""

    def __init__(self, channel, loop: asyncio.AbstractEventLoop, deserialize, timeout: float | None):
        self._channel = channel
        self._loop = loop
        self._deserialize = deserialize
        self._deadline = None if timeout is None else deadline_of(timeout)
        # The native call from its start to its end, and the tag of its completions.
        self._native = None
        self._tag: int | None = None
        # The native outcome, or one this side decided on; unpacked when asked for.
        self._outcome = None
        self._initial: list | None = None
        self._cause: BaseException | None = None
        # Futures of those who wait for the end, and of those who wait for the initial metadata; lists once somebody does.
        self._end_waiters: list[asyncio.Future] | None = None
        self._header_waiters: list[asyncio.Future] | None = None
        self._done_callbacks: list | None = None

    # How it ends.

    def _finish(self, outcome) -> None:
        self._outcome = outcome
        self._native = None
        if self._tag is not None:
            channel = self._channel
            channel._running.discard(self._tag)
            if channel._idle_waiters:
                channel._tell_if_idle()
        if self._header_waiters:
            wake(self._header_waiters)
        if self._end_waiters:
            wake(self._end_waiters)
        if self._done_callbacks:
            for callback in self._done_callbacks:
                self._loop.call_soon(callback, self)
            self._done_callbacks.clear()

    def _end_here(self, code: int, details: str, cause: BaseException | None = None) -> bool:
        """Ends the call from this side; false when it had ended."""
        if self._outcome is not None:
            return False
        native = self._native
        self._cause = cause
        self._finish(decided_here(code, details, sent=native is not None))
        if native is not None:
            native.cancel(code, details)
        return True

    def _unpacked(self) -> Outcome:
        if not isinstance(self._outcome, Outcome):
            self._outcome = Outcome._make(self._outcome.unpack())
        return self._outcome

    def _error(self) -> BaseException:
        """What a waiter of a call that did not end OK gets."""
        outcome = self._unpacked()
        if is_cancelled_here(outcome):
            return asyncio.CancelledError()
        return aio_failed(outcome, self._initial_now(), self._cause)

    def _initial_now(self) -> Metadata:
        initial = self._initial
        if initial is None and self._outcome is not None:
            initial = self._unpacked().initial
        return Metadata(*(initial or ()))

    # Waiting.

    async def _wait(self, waiters: list[asyncio.Future]) -> None:
        waiter = self._loop.create_future()
        waiters.append(waiter)
        try:
            await waiter
        except BaseException as error:
            if waiter in waiters:
                waiters.remove(waiter)
            self._check_loop(error)
            raise

    def _check_loop(self, error: BaseException) -> None:
        """A task refuses to wait for another loop's future; asked only then, because asking costs every call a look."""
        if isinstance(error, RuntimeError) and asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("a call is awaited in another event loop than the one it was made in") from None

    async def _ended(self) -> Outcome:
        if self._outcome is None:
            if self._end_waiters is None:
                self._end_waiters = []
            await self._wait(self._end_waiters)
        return self._unpacked()

    async def initial_metadata(self) -> Metadata:
        """The initial metadata; empty when the call ended without any."""
        if self._initial is None and self._outcome is None:
            if self._header_waiters is None:
                self._header_waiters = []
            await self._wait(self._header_waiters)
        return self._initial_now()

    async def trailing_metadata(self) -> Metadata:
        return Metadata(*(await self._ended()).trailing)

    async def code(self):
        """The status code, once the call has ended."""
        return code_of((await self._ended()).code)

    async def details(self) -> str:
        return (await self._ended()).details

    async def debug_error_string(self) -> str:
        return debug_text(await self._ended())

    async def wait_for_connection(self) -> None:
        """Waits until the channel is connected; raises when the call failed before."""
        while self._outcome is None and (state := self._channel._native.state(False)) != READY:
            changed = self._loop.create_future()
            if self._end_waiters is None:
                self._end_waiters = []
            self._end_waiters.append(changed)
            try:
                await self._channel._change_of(state, changed)
            finally:
                if changed in self._end_waiters:
                    self._end_waiters.remove(changed)
        if self._outcome is not None and self._outcome.code != 0:
            raise self._error()

    # Without waiting.

    def cancel(self) -> bool:
        """Cancels the call; false when it has ended."""
        return self._end_here(CANCELLED, LOCALLY_CANCELLED)

    def cancelled(self) -> bool:
        return self._outcome is not None and self._outcome.code == CANCELLED

    def done(self) -> bool:
        return self._outcome is not None

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    def add_done_callback(self, callback) -> None:
        """Calls `callback(call)` at the end; at once when that was."""
        if self._outcome is not None:
            callback(self)
        elif self._done_callbacks is None:
            self._done_callbacks = [callback]
        else:
            self._done_callbacks.append(callback)

    def __repr__(self) -> str:
        if self._outcome is None:
            return f"<{type(self).__name__} of RPC in flight>"
        return describe(self, self._unpacked())


class UnaryResponseMixin:
    """`await call` gives the one response, any number of times."""

    _response: object = None

    def _finish_with(self, message: bytes | None, outcome) -> None:
        """The engine's report of the end."""
        if self._outcome is not None:
            return
        if message is None:
            self._finish(outcome)
            return
        try:
            self._response = message if self._deserialize is None else self._deserialize(message)
            if self._response is None:
                raise TypeError("the deserializer returned None")
        except BaseException as error:
            self._cause = error
            outcome = Outcome._make(outcome.unpack())._replace(code=INTERNAL, details=DESERIALIZING, local=True)
            # A KeyboardInterrupt is for the program, but the call has ended all the same.
            if not isinstance(error, Exception):
                self._finish(outcome)
                raise
        self._finish(outcome)

    def __await__(self):
        if self._outcome is None:
            waiter = self._loop.create_future()
            if self._end_waiters is None:
                self._end_waiters = [waiter]
            else:
                self._end_waiters.append(waiter)
            try:
                yield from waiter
            except BaseException as error:
                if waiter in self._end_waiters:
                    self._end_waiters.remove(waiter)
                if isinstance(error, asyncio.CancelledError):
                    self.cancel()
                self._check_loop(error)
                raise
        # A good response is never None, but for what an interceptor gave.
        if self._response is None and self._outcome.code != 0:
            raise self._error()
        return self._response


class UnaryUnaryCall(UnaryResponseMixin, Call):
    """A call with one request and one response."""

    def on_completion(self, what: int, message: bytes | None, outcome) -> None:
        if self._outcome is None:
            if self._deserialize is None:
                self._response = message
                self._finish(outcome)
            else:
                self._finish_with(message, outcome)


class StateChange:
    """One wait for a channel's state to change."""

    __slots__ = ("_waiter",)

    def __init__(self, waiter: asyncio.Future):
        self._waiter = waiter

    def on_completion(self, what: int, state: int, timed_out: bool) -> None:
        if not self._waiter.done():
            self._waiter.set_result(state)


def wake(waiters: list[asyncio.Future]) -> None:
    """Wakes all of them."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()

