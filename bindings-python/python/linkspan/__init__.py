"""linkspan: a gRPC client for Python on linkspan's engine.

`insecure_channel` and `secure_channel` take the place of grpcio's functions of the same name, `linkspan.aio` that of
`grpc.aio`; stubs generated for grpcio work on either. `connect` makes the same channel with linkspan's own defaults.
"""

from __future__ import annotations

from linkspan import _linkspan
from linkspan._channel import Channel, connect, insecure_channel, secure_channel
from linkspan._enums import ChannelConnectivity, Compression, StatusCode
from linkspan._errors import Call, Future, FutureCancelledError, FutureTimeoutError, RpcContext, RpcError
from linkspan._multicallables import (
    StreamStreamMultiCallable,
    StreamUnaryMultiCallable,
    UnaryStreamMultiCallable,
    UnaryUnaryMultiCallable,
)
from linkspan._ready import channel_ready_future
from linkspan.credentials import ChannelCredentials, insecure_channel_credentials, ssl_channel_credentials
from linkspan.interceptors import (
    ClientCallDetails,
    StreamStreamClientInterceptor,
    StreamUnaryClientInterceptor,
    UnaryStreamClientInterceptor,
    UnaryUnaryClientInterceptor,
    intercept_channel,
)
from linkspan.metadata import Metadatum

__version__ = "0.1.0"

if _linkspan.VERSION != __version__:
    raise ImportError(
        f"linkspan's Python files are {__version__} but its native module is {_linkspan.VERSION}; install linkspan again"
    )

__all__ = (
    "Call",
    "Channel",
    "ChannelConnectivity",
    "ChannelCredentials",
    "ClientCallDetails",
    "Compression",
    "Future",
    "FutureCancelledError",
    "FutureTimeoutError",
    "Metadatum",
    "RpcContext",
    "RpcError",
    "StatusCode",
    "StreamStreamClientInterceptor",
    "StreamStreamMultiCallable",
    "StreamUnaryClientInterceptor",
    "StreamUnaryMultiCallable",
    "UnaryStreamClientInterceptor",
    "UnaryStreamMultiCallable",
    "UnaryUnaryClientInterceptor",
    "UnaryUnaryMultiCallable",
    "channel_ready_future",
    "connect",
    "insecure_channel",
    "insecure_channel_credentials",
    "intercept_channel",
    "secure_channel",
    "ssl_channel_credentials",
)


def __getattr__(name: str):
    # asyncio costs more to import than everything here together, and most programs need no stand-in for grpcio.
    if name in ("aio", "stubs"):
        import importlib

        return importlib.import_module(f"linkspan.{name}")
    raise AttributeError(f"module 'linkspan' has no attribute {name!r}")
