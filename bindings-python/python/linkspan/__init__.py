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
from linkspan.credentials import (
    AuthMetadataPlugin,
    CallCredentials,
    ChannelCredentials,
    LocalConnectionType,
    access_token_call_credentials,
    composite_call_credentials,
    composite_channel_credentials,
    file_channel_credentials,
    insecure_channel_credentials,
    local_channel_credentials,
    metadata_call_credentials,
    ssl_channel_credentials,
)
from linkspan.metadata import Metadatum

__version__ = "0.1.0"

if _linkspan.VERSION != __version__:
    raise ImportError(
        f"linkspan's Python files are {__version__} but its native module is {_linkspan.VERSION}; install linkspan again"
    )

__all__ = (
    "AuthMetadataPlugin",
    "Call",
    "CallCredentials",
    "Channel",
    "ChannelConnectivity",
    "ChannelCredentials",
    "ClientCallDetails",
    "Compression",
    "Future",
    "FutureCancelledError",
    "FutureTimeoutError",
    "LocalConnectionType",
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
    "access_token_call_credentials",
    "channel_ready_future",
    "composite_call_credentials",
    "composite_channel_credentials",
    "connect",
    "file_channel_credentials",
    "insecure_channel",
    "insecure_channel_credentials",
    "intercept_channel",
    "logging_bridge",
    "local_channel_credentials",
    "metadata_call_credentials",
    "secure_channel",
    "set_logger",
    "snapshot",
    "ssl_channel_credentials",
)


# Loaded by their first use, because most programs use none of them and all pay for an import. asyncio costs more than
# everything here together.
_LATER_MODULES = ("aio", "interceptors", "stubs")
_LATER_NAMES = {
    "ClientCallDetails": "interceptors",
    "StreamStreamClientInterceptor": "interceptors",
    "StreamUnaryClientInterceptor": "interceptors",
    "UnaryStreamClientInterceptor": "interceptors",
    "UnaryUnaryClientInterceptor": "interceptors",
    "channel_ready_future": "_ready",
    "intercept_channel": "interceptors",
    "logging_bridge": "_logging",
    "set_logger": "_logging",
    "snapshot": "_snapshot",
}

# Type checkers know the variable by its name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from linkspan._logging import logging_bridge, set_logger
    from linkspan._ready import channel_ready_future
    from linkspan._snapshot import snapshot
    from linkspan.interceptors import (
        ClientCallDetails,
        StreamStreamClientInterceptor,
        StreamUnaryClientInterceptor,
        UnaryStreamClientInterceptor,
        UnaryUnaryClientInterceptor,
        intercept_channel,
    )


def __getattr__(name: str):
    module = name if name in _LATER_MODULES else _LATER_NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'linkspan' has no attribute {name!r}")
    import importlib

    found = importlib.import_module(f"linkspan.{module}")
    if module != name:
        found = globals()[name] = getattr(found, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER_MODULES, *_LATER_NAMES})
