"""The asyncio face: takes the place of `grpc.aio` for clients."""

from __future__ import annotations

from linkspan import _grpcio
from linkspan._errors import RpcContext
from linkspan.aio._calls import Call, UnaryUnaryCall
from linkspan.aio._channel import Channel, connect, insecure_channel, secure_channel
from linkspan.aio._errors import AioRpcError, BaseError, InternalError, UsageError
from linkspan.aio._intercepted import (
    InterceptedCall,
    InterceptedStreamStreamCall,
    InterceptedStreamUnaryCall,
    InterceptedUnaryStreamCall,
    InterceptedUnaryUnaryCall,
)
from linkspan.aio._interceptors import (
    ClientCallDetails,
    ClientInterceptor,
    StreamStreamClientInterceptor,
    StreamUnaryClientInterceptor,
    UnaryStreamClientInterceptor,
    UnaryUnaryClientInterceptor,
)
from linkspan.aio._metadata import Metadata
from linkspan.aio._multicallables import (
    StreamStreamMultiCallable,
    StreamUnaryMultiCallable,
    UnaryStreamMultiCallable,
    UnaryUnaryMultiCallable,
)
from linkspan.aio._streams import StreamStreamCall, StreamUnaryCall, UnaryStreamCall, end_of_stream


def init_grpc_aio() -> None:
    """Nothing to do; there for programs that call it."""


def shutdown_grpc_aio() -> None:
    """Nothing to do; there for programs that call it."""


def __getattr__(name: str):
    # Looked up each time, because it is grpcio's own object once grpcio is loaded: programs compare it with `is`.
    if name == "EOF":
        _grpcio.notice()
        return end_of_stream()
    raise AttributeError(f"module 'linkspan.aio' has no attribute {name!r}")


__all__ = (
    "EOF",
    "AioRpcError",
    "BaseError",
    "Call",
    "Channel",
    "ClientCallDetails",
    "ClientInterceptor",
    "InterceptedUnaryUnaryCall",
    "InternalError",
    "Metadata",
    "RpcContext",
    "StreamStreamCall",
    "StreamStreamClientInterceptor",
    "StreamStreamMultiCallable",
    "StreamUnaryCall",
    "StreamUnaryClientInterceptor",
    "StreamUnaryMultiCallable",
    "UnaryStreamCall",
    "UnaryStreamClientInterceptor",
    "UnaryStreamMultiCallable",
    "UnaryUnaryCall",
    "UnaryUnaryClientInterceptor",
    "UnaryUnaryMultiCallable",
    "UsageError",
    "connect",
    "init_grpc_aio",
    "insecure_channel",
    "secure_channel",
    "shutdown_grpc_aio",
)

for _cls in (Channel, UnaryUnaryMultiCallable, UnaryStreamMultiCallable, StreamUnaryMultiCallable, StreamStreamMultiCallable):
    _grpcio.counterpart(_cls, f"aio.{_cls.__name__}")
for _kinds in (
    (UnaryUnaryCall, InterceptedUnaryUnaryCall),
    (UnaryStreamCall, InterceptedUnaryStreamCall),
    (StreamUnaryCall, InterceptedStreamUnaryCall),
    (StreamStreamCall, InterceptedStreamStreamCall),
):
    for _cls in _kinds:
        _grpcio.counterpart(_cls, f"aio.{_kinds[0].__name__}")
for _cls in (Call, InterceptedCall):
    _grpcio.counterpart(_cls, "aio.Call")
