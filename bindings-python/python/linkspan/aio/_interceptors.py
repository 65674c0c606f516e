"""Interceptors of the asyncio face: the four kinds, and what they are given."""

from __future__ import annotations

from collections import namedtuple

from linkspan import _grpcio


class ClientCallDetails(
    namedtuple("ClientCallDetails", ("method", "timeout", "metadata", "credentials", "wait_for_ready"))
):
    """What is asked of a call besides its request. `method` is bytes."""

    __slots__ = ()


class ClientInterceptor:
    """Base of the four kinds."""


class UnaryUnaryClientInterceptor(ClientInterceptor):
    """Define `async def intercept_unary_unary(self, continuation, client_call_details, request)`."""


class UnaryStreamClientInterceptor(ClientInterceptor):
    """Define `async def intercept_unary_stream(self, continuation, client_call_details, request)`."""


class StreamUnaryClientInterceptor(ClientInterceptor):
    """Define `async def intercept_stream_unary(self, continuation, client_call_details, request_iterator)`."""


class StreamStreamClientInterceptor(ClientInterceptor):
    """Define `async def intercept_stream_stream(self, continuation, client_call_details, request_iterator)`."""


_KINDS = (
    UnaryUnaryClientInterceptor,
    UnaryStreamClientInterceptor,
    StreamUnaryClientInterceptor,
    StreamStreamClientInterceptor,
)


def sorted_by_kind(interceptors) -> tuple[list, list, list, list]:
    """One list per kind. As in grpcio, one that is of several kinds serves the first only."""
    lists = ([], [], [], [])
    for interceptor in interceptors or ():
        lists[_kind_of(interceptor)].append(interceptor)
    return lists


def _kind_of(interceptor: object) -> int:
    grpc = _grpcio.loaded()
    for place, kind in enumerate(_KINDS):
        if isinstance(interceptor, kind) or (grpc is not None and isinstance(interceptor, getattr(grpc.aio, kind.__name__))):
            return place
    raise ValueError(
        f"an interceptor must derive from one of the four client interceptor classes of linkspan.aio or grpc.aio; "
        f"{type(interceptor).__name__} does not"
    )


for _kind in (ClientInterceptor, *_KINDS):
    _grpcio.counterpart(_kind, f"aio.{_kind.__name__}")
