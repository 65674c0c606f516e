"""One method of a service, ready to be called: the four kinds of the asyncio face."""

from __future__ import annotations

from functools import partial

from linkspan import _grpcio, _linkspan
from linkspan._callbacks import log_exception
from linkspan._enums import INTERNAL, Compression
from linkspan._errors import SERIALIZING
from linkspan.aio._calls import Call, UnaryUnaryCall
from linkspan.aio._errors import usage_error
from linkspan.aio._intercepted import (
    InterceptedStreamStreamCall,
    InterceptedStreamUnaryCall,
    InterceptedUnaryStreamCall,
    InterceptedUnaryUnaryCall,
)
from linkspan.aio._interceptors import ClientCallDetails
from linkspan.aio._loop import completions_of, current_loop
from linkspan.aio._streams import StreamStreamCall, StreamUnaryCall, UnaryStreamCall
from linkspan.credentials import native_call_credentials


class _MultiCallable(_grpcio.LateGrpcio):
    """What the four kinds have in common. `interceptors` is the channel's own list, read at every call."""

    _intercepted_call: type

    def __init__(self, channel, method, serialize, deserialize, interceptors: list):
        self._channel = channel
        self._method = _linkspan.Method(method)
        self._serialize = serialize
        self._deserialize = deserialize
        self._interceptors = interceptors

    def _call(self, request, timeout, metadata, credentials, wait_for_ready, compression):
        if _grpcio.pending:
            _grpcio.notice()
        native_credentials = None
        if credentials is not None:
            native_credentials = self._checked(credentials)
        if self._interceptors:
            return self._intercepted(request, timeout, metadata, credentials, wait_for_ready, compression)
        return self._begin(self._method, request, timeout, metadata, wait_for_ready, compression, native_credentials)

    def _intercepted(self, request, timeout, metadata, credentials, wait_for_ready, compression):
        if compression is not None:
            metadata = with_compression(metadata, compression)
        details = ClientCallDetails(self._method.path.encode(), timeout, metadata, credentials, wait_for_ready)
        return self._intercepted_call(self, current_loop(self._channel._loop), list(self._interceptors), details, request)

    def _checked(self, credentials) -> _linkspan.CallCredentials | None:
        """For the argument most calls leave out."""
        if credentials is None:
            return None
        native = native_call_credentials(credentials)
        if not self._channel._is_secure:
            raise usage_error.current("Call credentials are only valid on secure channels")
        return native

    def begin(self, details: ClientCallDetails, request) -> Call:
        """Starts the call that the last interceptor asked for."""
        credentials = self._checked(details.credentials)
        method = details.method if isinstance(details.method, str) else bytes(details.method).decode()
        native = self._method if method == self._method.path else _linkspan.Method(method)
        return self._begin(native, request, details.timeout, details.metadata, details.wait_for_ready, None, credentials)

    def _begin(self, method, request, timeout, metadata, wait_for_ready, compression, credentials) -> Call:
        raise NotImplementedError

    def _serialized(self, call: Call, request) -> object | None:
        """The request's message; None, and the call is ended, when there is none."""
        try:
            message = self._serialize(request)
            if message is None:
                raise TypeError("the serializer returned None")
        except Exception as error:
            log_exception(SERIALIZING)
            call._end_here(INTERNAL, SERIALIZING, error)
            return None
        return message

    def _start(self, call: Call, target, start, method, message, timeout, metadata, wait_for_ready, compression) -> None:
        completions = completions_of(call._loop)
        tag = completions.add(target)
        try:
            started = start(
                completions.native, tag, method, message, timeout, metadata, wait_for_ready, compression=compression
            )
        except BaseException as error:
            completions.forget(tag)
            if getattr(error, "kind", None) == "Closed":
                raise usage_error.current("Channel is closed.") from error
            raise
        if type(started) is _linkspan.LoopCall:
            call._native = started
            call._tag = tag
            call._channel._running.add(tag)
        else:
            # The outcome of a call the engine refused.
            completions.forget(tag)
            call._finish(started)


class UnaryUnaryMultiCallable(_MultiCallable):
    """One request, one response."""

    _intercepted_call = InterceptedUnaryUnaryCall

    def __call__(
        self, request, *, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ) -> UnaryUnaryCall:
        # `_call`, in place: here the cost of one more function is noticed.
        if _grpcio.pending:
            _grpcio.notice()
        native_credentials = None
        if credentials is not None:
            native_credentials = self._checked(credentials)
        if self._interceptors:
            return self._intercepted(request, timeout, metadata, credentials, wait_for_ready, compression)
        return self._begin(self._method, request, timeout, metadata, wait_for_ready, compression, native_credentials)

    def _begin(self, method, request, timeout, metadata, wait_for_ready, compression, credentials) -> UnaryUnaryCall:
        channel = self._channel
        call = UnaryUnaryCall(channel, current_loop(channel._loop), self._deserialize, timeout)
        message = request
        if self._serialize is not None and (message := self._serialized(call, request)) is None:
            return call
        start = (channel._native or channel._open()).start_unary_on
        if credentials is not None:
            start = partial(start, credentials=credentials)
        self._start(call, call, start, method, message, timeout, metadata, wait_for_ready, compression)
        return call


class UnaryStreamMultiCallable(_MultiCallable):
    """One request, any number of responses."""

    _intercepted_call = InterceptedUnaryStreamCall

    def __call__(
        self, request, *, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ) -> UnaryStreamCall:
        return self._call(request, timeout, metadata, credentials, wait_for_ready, compression)

    def _begin(self, method, request, timeout, metadata, wait_for_ready, compression, credentials) -> UnaryStreamCall:
        channel = self._channel
        call = UnaryStreamCall(channel, current_loop(channel._loop), self._deserialize, timeout)
        message = request
        if self._serialize is not None and (message := self._serialized(call, request)) is None:
            return call
        start = partial(channel._open().start_stream_on, single_response=False, credentials=credentials)
        self._start(call, call.inbox, start, method, message, timeout, metadata, wait_for_ready, compression)
        return call


class _StreamRequestMultiCallable(_MultiCallable):
    _plain_call: type

    def __call__(
        self,
        request_iterator=None,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        return self._call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)

    def _begin(self, method, request_iterator, timeout, metadata, wait_for_ready, compression, credentials):
        channel = self._channel
        loop = current_loop(channel._loop)
        call = self._plain_call(self._serialize, channel, loop, self._deserialize, timeout)
        start = partial(channel._open().start_stream_on, single_response=self._plain_call is StreamUnaryCall, credentials=credentials)
        self._start(call, call.inbox, start, method, None, timeout, metadata, wait_for_ready, compression)
        call.feed_from(request_iterator)
        return call


class StreamUnaryMultiCallable(_StreamRequestMultiCallable):
    """Any number of requests, one response."""

    _intercepted_call = InterceptedStreamUnaryCall
    _plain_call = StreamUnaryCall


class StreamStreamMultiCallable(_StreamRequestMultiCallable):
    """Any number of requests, any number of responses."""

    _intercepted_call = InterceptedStreamStreamCall
    _plain_call = StreamStreamCall


def with_compression(metadata, compression):
    """What interceptors see of the compression of a call, as in grpc.aio: one more entry of its metadata, which stays what it was."""
    try:
        entry = ("grpc-internal-encoding-request", _NAMES[compression])
    except (KeyError, TypeError):
        raise ValueError(f"compression must be a member of linkspan.Compression, not {compression!r}") from None
    if hasattr(metadata, "add"):
        metadata = type(metadata)(*metadata)
        metadata.add(*entry)
        return metadata
    return [*metadata, entry] if isinstance(metadata, list) else (*(metadata or ()), entry)


_NAMES = {Compression.NoCompression: "identity", Compression.Deflate: "deflate", Compression.Gzip: "gzip"}
