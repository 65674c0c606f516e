"""Interceptors of the blocking face: `intercept_channel` and the four kinds."""

from __future__ import annotations

from collections import namedtuple

from linkspan import _grpcio
from linkspan._channel import Channel
from linkspan._errors import FinishedCall, RpcError


class ClientCallDetails:
    """What is asked of a call besides its request: method, timeout, metadata, credentials, wait_for_ready, compression."""


class UnaryUnaryClientInterceptor:
    """Derive from it and define `intercept_unary_unary(continuation, client_call_details, request)`."""


class UnaryStreamClientInterceptor:
    """Derive from it and define `intercept_unary_stream(continuation, client_call_details, request)`."""


class StreamUnaryClientInterceptor:
    """Derive from it and define `intercept_stream_unary(continuation, client_call_details, request_iterator)`."""


class StreamStreamClientInterceptor:
    """Derive from it and define `intercept_stream_stream(continuation, client_call_details, request_iterator)`."""


_FIELDS = ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
_KINDS = {
    "unary_unary": UnaryUnaryClientInterceptor,
    "unary_stream": UnaryStreamClientInterceptor,
    "stream_unary": StreamUnaryClientInterceptor,
    "stream_stream": StreamStreamClientInterceptor,
}


class _Details(namedtuple("_Details", _FIELDS), ClientCallDetails):
    __slots__ = ()

    def overridden(self, given: object) -> _Details:
        """What an interceptor passed on; what its object lacks stays as it was."""
        return _Details(*(getattr(given, field, getattr(self, field)) for field in _FIELDS))


def intercept_channel(channel, *interceptors) -> Channel:
    """A channel whose calls go through these interceptors, the first listed first."""
    _grpcio.notice()
    for interceptor in interceptors:
        if not any(_is_of(interceptor, kind) for kind in _KINDS):
            raise TypeError(
                f"an interceptor must derive from one of the four client interceptor classes; "
                f"{type(interceptor).__name__} does not"
            )
    for interceptor in reversed(interceptors):
        channel = _InterceptedChannel(channel, interceptor)
    return channel


def _is_of(interceptor: object, kind: str) -> bool:
    ours = _KINDS[kind]
    grpc = _grpcio.loaded()
    return isinstance(interceptor, ours) or (grpc is not None and isinstance(interceptor, getattr(grpc, ours.__name__)))


class _InterceptedChannel(Channel):
    """A channel around any object with a channel's methods."""

    def __init__(self, channel, interceptor):
        self._channel = channel
        self._interceptor = interceptor

    def _method(self, kind, method, serialize, deserialize, registered):
        name, wrapper = _WRAPPERS[kind.__name__]

        def make(of_method):
            # Channels that are not generated for know nothing of registered methods.
            registration = {"_registered_method": registered} if registered else {}
            return getattr(self._channel, name)(of_method, serialize, deserialize, **registration)

        if not _is_of(self._interceptor, name):
            return make(method)
        return wrapper(make, method, getattr(self._interceptor, f"intercept_{name}"))

    def _get_registered_call_handle(self, method) -> int:
        return self._channel._get_registered_call_handle(method)

    def subscribe(self, callback, try_to_connect: bool = False) -> None:
        self._channel.subscribe(callback, try_to_connect=try_to_connect)

    def unsubscribe(self, callback) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def metrics(self) -> dict:
        return self._channel.metrics()

    def events(self, after: int = 0):
        return self._channel.events(after)

    def reset_connect_backoff(self) -> None:
        self._channel.reset_connect_backoff()

    @property
    def aio(self):
        # Interceptors of the blocking face cannot run in a loop.
        raise TypeError("an intercepted channel has no asyncio face; ask the channel it was made from")


class _Intercepted(_grpcio.LateGrpcio):
    """One method of an intercepted channel."""

    def __init__(self, make, method, intercept):
        self._make = make
        self._method = method
        self._inner = make(method)
        self._intercept = intercept

    def _run(self, start, request, *asked):
        details = _Details(self._method, *asked)

        def continuation(given, request):
            final = details.overridden(given)
            inner = self._inner if final.method == self._method else self._make(final.method)
            return start(inner, request, dict(zip(_FIELDS[1:], final[1:])))

        return self._intercept(continuation, details, request)


class _UnaryResponse(_Intercepted):
    def _with_call(self, request, *asked):
        call = self._run(_finish, request, *asked)
        return call.result(), call

    def _future(self, request, *asked):
        return self._run(_start_future, request, *asked)


class _UnaryUnary(_UnaryResponse):
    def __call__(self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None):
        return self._with_call(request, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None):
        return self._with_call(request, timeout, metadata, credentials, wait_for_ready, compression)

    def future(self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None):
        return self._future(request, timeout, metadata, credentials, wait_for_ready, compression)


class _StreamUnary(_UnaryResponse):
    def __call__(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self._with_call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self._with_call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)

    def future(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self._future(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)


class _UnaryStream(_Intercepted):
    def __call__(self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None):
        return self._run(_start, request, timeout, metadata, credentials, wait_for_ready, compression)


class _StreamStream(_Intercepted):
    def __call__(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self._run(_start, request_iterator, timeout, metadata, credentials, wait_for_ready, compression)


class _Answered:
    """A foreign channel's call beside its response, as one finished future."""

    def __init__(self, response, call):
        self._response = response
        self._call = call

    def result(self, timeout=None):
        return self._response

    def exception(self, timeout=None):
        return None

    def __getattr__(self, name):
        return getattr(self._call, name)


def _finish(inner, request, asked):
    """A blocking call as a finished future; its failure is an object here, never an exception."""
    try:
        response, call = inner.with_call(request, **asked)
    except _rpc_errors() as error:
        return error
    return call if isinstance(call, FinishedCall) else _Answered(response, call)


def _start_future(inner, request, asked):
    try:
        return inner.future(request, **asked)
    except _rpc_errors() as error:
        return error


def _start(inner, request, asked):
    return inner(request, **asked)


def _rpc_errors() -> tuple[type, ...]:
    grpc = _grpcio.loaded()
    return (RpcError,) if grpc is None else (RpcError, grpc.RpcError)


_WRAPPERS = {
    "UnaryUnaryMultiCallable": ("unary_unary", _UnaryUnary),
    "UnaryStreamMultiCallable": ("unary_stream", _UnaryStream),
    "StreamUnaryMultiCallable": ("stream_unary", _StreamUnary),
    "StreamStreamMultiCallable": ("stream_stream", _StreamStream),
}

for _kind in _KINDS.values():
    _grpcio.counterpart(_kind, _kind.__name__)
for _name, (_, _wrapper) in _WRAPPERS.items():
    _grpcio.counterpart(_wrapper, _name)
_grpcio.counterpart(ClientCallDetails, "ClientCallDetails")
