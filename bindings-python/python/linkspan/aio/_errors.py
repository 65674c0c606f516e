"""Errors of the asyncio face."""

from __future__ import annotations

from linkspan._enums import CANCELLED, code_of
from linkspan._errors import Outcome, RpcError, debug_text
from linkspan._grpcio import Variant
from linkspan._linkspan import CANCELLED_BY_FORK
from linkspan.aio._metadata import Metadata


class BaseError(Exception):
    """Base of what is raised for a misuse or a bug."""


class UsageError(BaseError):
    """This may not be done, or not now."""


class InternalError(BaseError):
    """A bug in linkspan."""


class AioRpcError(RpcError):
    """A call failed. `except grpc.aio.AioRpcError` catches it too, once grpcio is loaded."""

    # What only an error made by the engine knows.
    trail: str = ""
    peer: str | None = None
    sent: bool = False

    def __init__(self, code, initial_metadata, trailing_metadata, details=None, debug_error_string=None):
        # Not super(): grpcio's class, which may come next, would set its own fields.
        Exception.__init__(self)
        self._code = code
        self._initial_metadata = initial_metadata
        self._trailing_metadata = trailing_metadata
        self._details = details
        self._debug_error_string = debug_error_string

    def code(self):
        return self._code

    def details(self) -> str | None:
        return self._details

    def initial_metadata(self):
        return self._initial_metadata

    def trailing_metadata(self):
        return self._trailing_metadata

    def debug_error_string(self) -> str:
        return self._debug_error_string or ""

    def __str__(self) -> str:
        return "\n".join(
            [
                f"<{type(self).__name__} of RPC that terminated with:",
                f"\tstatus = {self._code}",
                f'\tdetails = "{self._details}"',
                f'\tdebug_error_string = "{self._debug_error_string}"',
                ">",
            ]
        )

    __repr__ = __str__

    def __reduce__(self):
        stated = (self._code.value[0], tuple(self._initial_metadata or ()), tuple(self._trailing_metadata or ()))
        texts = (self._details, self._debug_error_string)
        return _restore, (*stated, *texts, self.trail, self.peer, self.sent, self.__cause__)


def _restore(code, initial, trailing, details, debug_error_string, trail, peer, sent, cause):
    error = aio_rpc_error.current(code_of(code), Metadata(*initial), Metadata(*trailing), details, debug_error_string)
    error.trail, error.peer, error.sent = trail, peer, sent
    if cause is not None:
        error.__cause__ = cause
    return error


def aio_failed(outcome: Outcome, initial: Metadata, cause: BaseException | None) -> AioRpcError:
    """The exception for a call that ended so."""
    error = aio_rpc_error.current(
        code_of(outcome.code), initial, Metadata(*outcome.trailing), outcome.details, debug_text(outcome)
    )
    error.trail, error.peer, error.sent = outcome.trail, outcome.peer, outcome.sent
    if cause is not None:
        error.__cause__ = cause
    return error


def is_cancelled_here(outcome: Outcome) -> bool:
    """Whether this process, and not the server, cancelled the call: its waiters get CancelledError then.

    A fork is nobody's wish to cancel, so its waiters get an error that says what happened.
    """
    return outcome.local and outcome.code == CANCELLED and outcome.details != CANCELLED_BY_FORK


aio_rpc_error = Variant(AioRpcError, "aio.AioRpcError")
base_error = Variant(BaseError, "aio.BaseError")
usage_error = Variant(UsageError, "aio.UsageError")
internal_error = Variant(InternalError, "aio.InternalError")
