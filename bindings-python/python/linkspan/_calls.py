"""Running calls of the blocking face: the future of a unary response, and the stream of responses."""

from __future__ import annotations

import time

from linkspan import _callbacks, _fork, _linkspan
from linkspan._enums import CANCELLED, INTERNAL
from linkspan._errors import (
    DESERIALIZING,
    GARBAGE_COLLECTED,
    LOCALLY_CANCELLED,
    Call,
    Future,
    Outcome,
    OutcomeMethods,
    RpcError,
    describe,
    future_cancelled,
    future_timeout,
    is_local_cancel,
    restore_finished,
    traceback_of,
)
from linkspan._grpcio import Variant
from linkspan._requests import Feed
from linkspan.metadata import received


class RunningCall(OutcomeMethods, RpcError, Call, Future):
    """A call that may still run. When it fails it is itself the exception its caller gets."""

    def __init__(self, native: _linkspan.ActiveCall, deserialize, timeout: float | None, feed: Feed | None = None):
        super().__init__()
        self._native = native
        self._deserialize = deserialize
        self._deadline = deadline_of(timeout)
        self._feed = feed
        self._outcome: Outcome | None = None
        self._settling = _fork.Lock()

    def _end(self) -> Outcome:
        if self._outcome is None:
            self._native.wait_end()
            with self._settling:
                if self._outcome is None:
                    self._outcome = self._settled()
        return self._outcome

    def _settled(self) -> Outcome:
        outcome = Outcome._make(self._native.outcome())
        if self._feed is not None and self._feed.failure is not None and outcome.code != 0:
            self.__cause__ = self._feed.failure
        return outcome

    def initial_metadata(self):
        """The initial metadata; waits for it, and is empty when the call ended without any."""
        return received(self._native.initial())

    @property
    def peer(self) -> str | None:
        """The address of the server, once it answered."""
        return self._native.peer or (self._end().peer if self._native.ended else None)

    def is_active(self) -> bool:
        return not self._native.ended

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    def cancel(self) -> bool:
        return self._native.cancel(CANCELLED, LOCALLY_CANCELLED)

    def add_callback(self, callback) -> bool:
        return _callbacks.at_end(self._native, callback)

    def done(self) -> bool:
        return self._native.ended

    def running(self) -> bool:
        return not self._native.ended

    def add_done_callback(self, fn) -> None:
        if not _callbacks.at_end(self._native, fn, self):
            fn(self)

    def _end_within(self, timeout: float | None) -> Outcome:
        if not self._native.wait_end(timeout):
            raise future_timeout.current()
        outcome = self._end()
        if is_local_cancel(outcome):
            raise future_cancelled.current()
        return outcome

    def result(self, timeout: float | None = None):
        """The response, None for a finished stream; raises the call itself when it failed."""
        if self._end_within(timeout).code != 0:
            raise self
        return self._response()

    def _response(self) -> object:
        return None

    def exception(self, timeout: float | None = None):
        return self if self._end_within(timeout).code != 0 else None

    def traceback(self, timeout: float | None = None):
        return traceback_of(self.exception(timeout))

    def __str__(self) -> str:
        if not self._native.ended:
            return f"<{type(self).__name__} of RPC in flight>"
        return describe(self, self._end())

    __repr__ = __str__

    def __reduce__(self):
        if not self._native.ended:
            raise TypeError("a running call cannot be pickled; wait for its end first")
        return restore_finished, (tuple(self._end()), self._response(), self.__cause__)

    def __del__(self):
        # Absent when the constructor failed.
        native = self.__dict__.get("_native")
        if native is not None:
            native.cancel(CANCELLED, GARBAGE_COLLECTED)


class ResponseFuture(RunningCall):
    """A call with one response that is asked for later."""

    _deserialized: object = None

    def _settled(self) -> Outcome:
        outcome = super()._settled()
        if outcome.code != 0:
            return outcome
        message = self._native.next_message()
        try:
            self._deserialized = message if self._deserialize is None else self._deserialize(message)
            if self._deserialized is None:
                raise TypeError("the deserializer returned None")
        except Exception as error:
            self.__cause__ = error
            return outcome._replace(code=INTERNAL, details=DESERIALIZING, local=True)
        return outcome

    def _response(self) -> object:
        return self._deserialized


class ResponseStream(RunningCall):
    """A call with any number of responses; iterate over it."""

    def __iter__(self):
        return self

    def __next__(self):
        message = self._native.next_message()
        if message is None:
            if self._end().code == 0:
                raise StopIteration
            raise self
        if self._deserialize is None:
            return message
        try:
            response = self._deserialize(message)
            if response is None:
                raise TypeError("the deserializer returned None")
        except Exception as error:
            self.__cause__ = error
            self._native.cancel(INTERNAL, DESERIALIZING)
            raise self from error
        return response

    next = __next__


def deadline_of(timeout: float | None) -> float | None:
    """The moment a timeout ends, on the monotonic clock."""
    if timeout is None:
        return None
    try:
        return time.monotonic() + timeout
    except TypeError:
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}") from None


response_future = Variant(ResponseFuture, "RpcError")
response_stream = Variant(ResponseStream, "RpcError")
