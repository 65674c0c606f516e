"""gRPC's enumerations, equal to grpcio's members of the same name in both directions."""

from __future__ import annotations

import enum


class _Twin(enum.Enum):
    """Members compare and hash equal to those of grpcio's enum of the same name.

    grpcio's members compare by identity and hash their name; Python asks the right-hand side when the left does not know,
    so one `__eq__` here covers both directions.
    """

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, enum.Enum) and type(other).__name__ == type(self).__name__:
            return other.name == self.name and other.value == self.value
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._name_)


class StatusCode(_Twin):
    """The status of a call. Compare with `==`, never with `is`: a call may answer grpcio's equal member."""

    OK = (0, "ok")
    CANCELLED = (1, "cancelled")
    UNKNOWN = (2, "unknown")
    INVALID_ARGUMENT = (3, "invalid argument")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    NOT_FOUND = (5, "not found")
    ALREADY_EXISTS = (6, "already exists")
    PERMISSION_DENIED = (7, "permission denied")
    RESOURCE_EXHAUSTED = (8, "resource exhausted")
    FAILED_PRECONDITION = (9, "failed precondition")
    ABORTED = (10, "aborted")
    OUT_OF_RANGE = (11, "out of range")
    UNIMPLEMENTED = (12, "unimplemented")
    INTERNAL = (13, "internal")
    UNAVAILABLE = (14, "unavailable")
    DATA_LOSS = (15, "data loss")
    UNAUTHENTICATED = (16, "unauthenticated")


class ChannelConnectivity(_Twin):
    """A channel's connectivity state. Compare with `==`, never with `is`."""

    IDLE = (0, "idle")
    CONNECTING = (1, "connecting")
    READY = (2, "ready")
    TRANSIENT_FAILURE = (3, "transient failure")
    SHUTDOWN = (4, "shutdown")


class Compression(enum.IntEnum):
    """How request messages are compressed."""

    NoCompression = 0
    Deflate = 1
    Gzip = 2


# By number; grpcio's own members take their places once it is loaded.
_codes: list[StatusCode] = sorted(StatusCode, key=lambda code: code.value[0])
_states: list[ChannelConnectivity] = sorted(ChannelConnectivity, key=lambda state: state.value[0])


def code_of(number: int) -> StatusCode:
    """The status code with this number."""
    return _codes[number]


def state_of(number: int) -> ChannelConnectivity:
    """The connectivity state with this number."""
    return _states[number]


def adopt(codes: type[enum.Enum], states: type[enum.Enum]) -> None:
    """Answers these members from now on."""
    for ours, theirs in ((_codes, codes), (_states, states)):
        ours[:] = [theirs[member.name] for member in ours]


CANCELLED = 1
UNKNOWN = 2
INTERNAL = 13
UNAUTHENTICATED = 16

IDLE = 0
READY = 2
SHUTDOWN = 4
