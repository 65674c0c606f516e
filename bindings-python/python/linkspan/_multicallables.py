"""One method of a service, ready to be called: the four kinds of the blocking face."""

from __future__ import annotations

from linkspan import _grpcio, _linkspan
from linkspan._calls import ResponseFuture, response_future, response_stream
from linkspan._enums import INTERNAL
from linkspan._errors import DESERIALIZING, Outcome, decided_here, failed, finished_call
from linkspan._requests import Feed, serialized
from linkspan.credentials import native_call_credentials


class _MultiCallable(_grpcio.LateGrpcio):
    """What the four kinds have in common. Attributes may be set on it, as wrappers of libraries do."""

    def __init__(self, native: _linkspan.Channel, method, serialize, deserialize, handle: int | None):
        self._native = native
        self._method = _linkspan.Method(method)
        self._serialize = serialize
        self._deserialize = deserialize
        if handle is not None:
            self._registered_call_handle = handle

    def _checked(self, credentials) -> _linkspan.CallCredentials | None:
        """For the argument most calls leave out. That a channel is not secure enough for credentials ends the call, not here."""
        return None if credentials is None else native_call_credentials(credentials)

    def _finished(self, outcome: Outcome, message: bytes | None):
        """The response of an ended call beside its call object; raises when it failed."""
        if outcome.code != 0:
            raise failed(outcome)
        response = self._deserialized(message, outcome)
        return response, finished_call.current(outcome, response)

    def _deserialized(self, message: bytes, outcome: Outcome | None = None):
        if self._deserialize is None:
            return message
        try:
            response = self._deserialize(message)
            if response is None:
                raise TypeError("the deserializer returned None")
        except Exception as error:
            outcome = outcome or decided_here(0, "", sent=True)
            raise failed(outcome._replace(code=INTERNAL, details=DESERIALIZING, local=True), error) from error
        return response

    def _message(self, request: object) -> object:
        return request if self._serialize is None else serialized(self._serialize, request)


class UnaryUnaryMultiCallable(_MultiCallable):
    """One request, one response."""

    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        """Makes the call and waits for its response."""
        if _grpcio.pending:
            _grpcio.notice()
        if credentials is not None:
            credentials = self._checked(credentials)
        message = request if self._serialize is None else serialized(self._serialize, request)
        response = self._native.unary(self._method, message, timeout, metadata, wait_for_ready, compression, credentials)
        if type(response) is not bytes:
            raise failed(Outcome._make(response.unpack()))
        return response if self._deserialize is None else self._deserialized(response)

    def with_call(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        """Makes the call and waits; the response and the call, which knows metadata and status."""
        _grpcio.notice()
        credentials = self._checked(credentials)
        response, outcome = self._native.unary_with_outcome(
            self._method, self._message(request), timeout, metadata, wait_for_ready, compression, credentials
        )
        return self._finished(Outcome._make(outcome.unpack()), response)

    def future(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ) -> ResponseFuture:
        """Starts the call; the response is asked for later."""
        _grpcio.notice()
        credentials = self._checked(credentials)
        native = self._native.start_unary(
            self._method, self._message(request), timeout, metadata, wait_for_ready, compression, credentials
        )
        return response_future.current(native, self._deserialize, timeout)


class UnaryStreamMultiCallable(_MultiCallable):
    """One request, any number of responses."""

    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        _grpcio.notice()
        credentials = self._checked(credentials)
        native = self._native.start_stream(
            self._method, self._message(request), timeout, metadata, wait_for_ready, False, compression, credentials
        )
        return response_stream.current(native, self._deserialize, timeout)


class StreamUnaryMultiCallable(_MultiCallable):
    """Any number of requests, one response."""

    def __call__(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self.with_call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        _grpcio.notice()
        credentials = self._checked(credentials)
        native, feed = self._start(request_iterator, timeout, metadata, wait_for_ready, compression, credentials)
        native.finish()
        outcome = Outcome._make(native.outcome())
        if outcome.code != 0:
            raise failed(outcome, feed.failure)
        return self._finished(outcome, native.next_message())

    def future(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ) -> ResponseFuture:
        _grpcio.notice()
        credentials = self._checked(credentials)
        native, feed = self._start(request_iterator, timeout, metadata, wait_for_ready, compression, credentials)
        return response_future.current(native, self._deserialize, timeout, feed)

    def _start(self, requests, timeout, metadata, wait_for_ready, compression, credentials) -> tuple[_linkspan.ActiveCall, Feed]:
        native = self._native.start_stream(self._method, None, timeout, metadata, wait_for_ready, True, compression, credentials)
        feed = Feed(native, self._serialize)
        feed.start(requests)
        return native, feed


class StreamStreamMultiCallable(_MultiCallable):
    """Any number of requests, any number of responses."""

    def __call__(
        self, request_iterator, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        _grpcio.notice()
        credentials = self._checked(credentials)
        native = self._native.start_stream(self._method, None, timeout, metadata, wait_for_ready, False, compression, credentials)
        feed = Feed(native, self._serialize)
        feed.start(request_iterator)
        return response_stream.current(native, self._deserialize, timeout, feed)


for _kind in (UnaryUnaryMultiCallable, UnaryStreamMultiCallable, StreamUnaryMultiCallable, StreamStreamMultiCallable):
    _grpcio.counterpart(_kind, _kind.__name__)
