"""Errors, and the calls that are errors.

In gRPC for Python a failed call *is* the exception its caller sees, so calls and exceptions are one family. They are
Python classes because a native exception base needs a newer stable ABI than the oldest supported Python has.
"""

from __future__ import annotations

import sys
from collections import namedtuple

from linkspan._enums import CANCELLED, code_of
from linkspan._grpcio import Variant, counterpart
from linkspan.metadata import received

LOCALLY_CANCELLED = "Locally cancelled by application!"
GARBAGE_COLLECTED = "Cancelled upon garbage collection!"
SERIALIZING = "Exception serializing request!"
DESERIALIZING = "Exception deserializing response!"
ITERATING = "Exception iterating requests!"

Outcome = namedtuple("Outcome", ("code", "details", "initial", "trailing", "trail", "peer", "sent", "local"))
Outcome.__doc__ = "How a call ended, in the order of the native outcome's `unpack`."


def decided_here(code: int, details: str, sent: bool = False) -> Outcome:
    """An end of this side's making."""
    return Outcome(code, details, None, [], "", None, sent, True)


class RpcError(Exception):
    """A call failed. `except grpc.RpcError` catches it too, once grpcio is loaded."""


class FutureTimeoutError(Exception):
    """A future's result did not come in time."""


class FutureCancelledError(Exception):
    """A future's result was asked for after the call was cancelled here."""


class RpcContext:
    """What is common to running and ended calls."""


class Call(RpcContext):
    """A call as its caller sees it."""


class Future:
    """A call whose result comes later."""


class OutcomeMethods:
    """What can be asked of an ended call; `_end()` gives its outcome."""

    def code(self):
        """The status code."""
        return code_of(self._end().code)

    def details(self) -> str:
        """The status text; empty when OK."""
        return self._end().details

    def trailing_metadata(self):
        """The trailing metadata, never None."""
        return received(self._end().trailing)

    def debug_error_string(self) -> str:
        """The details and what else is known of the failure; the format is not promised. Empty when OK."""
        return debug_text(self._end())

    @property
    def trail(self) -> str:
        """What the engine did for the call: phases, addresses, attempts. Empty when the server ended it."""
        return self._end().trail

    @property
    def sent(self) -> bool:
        """Whether a server may have processed the request."""
        return self._end().sent

    def cancelled(self) -> bool:
        """Whether the call was cancelled here before its end."""
        return self.done() and is_local_cancel(self._end())


class FinishedCall(OutcomeMethods, RpcError, Call, Future):
    """An ended call: what a failed unary call raises, and what `with_call` gives beside the response."""

    def __init__(self, outcome: Outcome, response: object = None):
        super().__init__()
        self._outcome = outcome
        self._response = response

    def _end(self) -> Outcome:
        return self._outcome

    @property
    def peer(self) -> str | None:
        """The address of the server, when one was reached."""
        return self._outcome.peer

    def initial_metadata(self):
        return received(self._outcome.initial)

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return None

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback) -> bool:
        return False

    def done(self) -> bool:
        return True

    def running(self) -> bool:
        return False

    def result(self, timeout=None):
        if self._outcome.code == 0:
            return self._response
        if is_local_cancel(self._outcome):
            raise future_cancelled.current()
        raise self

    def exception(self, timeout=None):
        if is_local_cancel(self._outcome):
            raise future_cancelled.current()
        return None if self._outcome.code == 0 else self

    def traceback(self, timeout=None):
        return traceback_of(self.exception(timeout))

    def add_done_callback(self, fn) -> None:
        fn(self)

    def __str__(self) -> str:
        return describe(self, self._outcome)

    __repr__ = __str__

    def __reduce__(self):
        return restore_finished, (tuple(self._outcome), self._response, self.__cause__)


def is_local_cancel(outcome: Outcome) -> bool:
    """Whether the application ended the call."""
    return outcome.local and outcome.code == CANCELLED and outcome.details == LOCALLY_CANCELLED


def failed(outcome: Outcome, cause: BaseException | None = None) -> RpcError:
    """The exception for a call that ended so."""
    error = finished_call.current(outcome)
    if cause is not None:
        error.__cause__ = cause
    return error


def restore_finished(outcome, response, cause):
    """Undoes a pickle."""
    call = finished_call.current(Outcome._make(outcome), response)
    if cause is not None:
        call.__cause__ = cause
    return call


def debug_text(outcome: Outcome) -> str:
    """See `OutcomeMethods.debug_error_string`."""
    if outcome.code == 0:
        return ""
    parts = [outcome.details]
    if outcome.trail and outcome.trail not in outcome.details:
        parts.append(outcome.trail)
    if not outcome.local:
        parts.append(f"sent by {outcome.peer}" if outcome.peer else "sent by the server")
    return "; ".join(part for part in parts if part)


def describe(call: object, outcome: Outcome) -> str:
    """A call's text, in grpcio's shape."""
    lines = [
        f"<{type(call).__name__} of RPC that terminated with:",
        f"\tstatus = {code_of(outcome.code)}",
        f'\tdetails = "{outcome.details}"',
    ]
    if outcome.code != 0:
        lines.append(f'\tdebug_error_string = "{debug_text(outcome)}"')
    return "\n".join([*lines, ">"])


def traceback_of(error: BaseException | None):
    """The traceback of an error that may not have been raised yet."""
    if error is None:
        return None
    try:
        raise error
    except BaseException:
        return sys.exc_info()[2]


finished_call = Variant(FinishedCall, "RpcError")
future_timeout = Variant(FutureTimeoutError, "FutureTimeoutError")
future_cancelled = Variant(FutureCancelledError, "FutureCancelledError")
counterpart(Call, "Call")
counterpart(Future, "Future")
