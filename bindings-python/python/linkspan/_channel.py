"""The blocking face of a channel."""

from __future__ import annotations

import itertools

from linkspan import _fork, _grpcio, _linkspan
from linkspan._multicallables import (
    StreamStreamMultiCallable,
    StreamUnaryMultiCallable,
    UnaryStreamMultiCallable,
    UnaryUnaryMultiCallable,
)
from linkspan.credentials import native_credentials

# grpcio gives a method that a generated stub registers a number of its own core; ours only has to look like one.
_call_handles = itertools.count(1)


class Channel(_grpcio.LateGrpcio):
    """A channel to a target. Making one connects nothing; the first call does.

    Calls outlive it: connections go when the channel, its methods and its calls are all gone, or with `close`.
    """

    # What subscribes; made by its first use.
    _subscriptions = None

    def __init__(self, native: _linkspan.Channel, is_secure: bool):
        self._native = native
        self._is_secure = is_secure
        self._making = _fork.Lock()
        self._handles: dict[object, int] = {}

    def unary_unary(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> UnaryUnaryMultiCallable:
        return self._method(
            UnaryUnaryMultiCallable, method, request_serializer, response_deserializer, _registered_method
        )

    def unary_stream(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> UnaryStreamMultiCallable:
        return self._method(
            UnaryStreamMultiCallable, method, request_serializer, response_deserializer, _registered_method
        )

    def stream_unary(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> StreamUnaryMultiCallable:
        return self._method(
            StreamUnaryMultiCallable, method, request_serializer, response_deserializer, _registered_method
        )

    def stream_stream(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> StreamStreamMultiCallable:
        return self._method(
            StreamStreamMultiCallable, method, request_serializer, response_deserializer, _registered_method
        )

    def _method(self, kind, method, serialize, deserialize, registered):
        _grpcio.notice()
        handle = self._get_registered_call_handle(method) if registered else None
        return kind(self._native, method, serialize, deserialize, handle)

    def _get_registered_call_handle(self, method) -> int:
        """A number that is this method's on this channel; simple stubs ask for it."""
        with self._making:
            handle = self._handles.get(method)
            if handle is None:
                handle = self._handles[method] = next(_call_handles)
            return handle

    def subscribe(self, callback, try_to_connect: bool = False) -> None:
        """Tells `callback` the state now and at every change, one at a time, in order."""
        from linkspan._subscription import Subscriptions

        _grpcio.notice()
        with self._making:
            if self._subscriptions is None:
                self._subscriptions = Subscriptions(self._native)
        self._subscriptions.add(callback, bool(try_to_connect))

    def unsubscribe(self, callback) -> None:
        """Tells `callback` nothing any more."""
        if self._subscriptions is not None:
            self._subscriptions.remove(callback)

    def close(self) -> None:
        """Ends running calls as cancelled and refuses new ones."""
        self._native.close(0.0)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, kind, value, traceback) -> bool:
        self.close()
        return False

    def __del__(self):
        subscriptions = self.__dict__.get("_subscriptions")
        if subscriptions is not None:
            subscriptions.remove_all()

    def metrics(self) -> dict:
        """Counters and limits of this channel: plain values, also after `close`. A limit that is not set is absent."""
        return self._native.metrics()

    def snapshot(self) -> dict:
        """This channel at this moment: its resolver, its addresses with their states, dials, waits and connections.

        Plain values by the names of channelz where it has one, from any thread, also after `close`. Times are in
        nanoseconds; what is None is not known. `isPartial` is true where the engine's thread could not be asked.
        """
        from linkspan._snapshot import channel_snapshot

        return channel_snapshot(self._native)

    def events(self, after: int = 0):
        """Iterates over the state changes this channel remembers, later than number `after`, oldest first."""
        from linkspan._events import channel_events

        _grpcio.notice()
        return iter(channel_events(self._native, after))

    def reset_connect_backoff(self) -> None:
        """Lets a channel that waits to connect again try at once."""
        self._native.reset_connect_backoff()

    @property
    def aio(self):
        """The asyncio face of the same connections."""
        from linkspan.aio import Channel as AioChannel

        return AioChannel._over(self._native, self._is_secure)


def insecure_channel(target, options=None, compression=None) -> Channel:
    """A plaintext channel with grpcio's defaults."""
    _grpcio.notice()
    native = _linkspan.Channel(target, _linkspan.Credentials.insecure(), options, True, compression)
    return Channel(native, False)


def secure_channel(target, credentials, options=None, compression=None) -> Channel:
    """A channel with these credentials and grpcio's defaults."""
    _grpcio.notice()
    native_of = native_credentials(credentials)
    return Channel(_linkspan.Channel(target, native_of, options, True, compression), native_of.carries_call_credentials)


def connect(target, *, credentials=None, options=None, compression=None) -> Channel:
    """A channel with linkspan's own defaults; TLS with the system's roots unless `credentials` say otherwise."""
    _grpcio.notice()
    if credentials is None:
        native_of = _linkspan.Credentials.tls(None, None, None)
    else:
        native_of = native_credentials(credentials)
    return Channel(_linkspan.Channel(target, native_of, options, False, compression), native_of.carries_call_credentials)


_grpcio.counterpart(Channel, "Channel")
