"""The asyncio face of a channel."""

from __future__ import annotations

import asyncio

from linkspan import _fork, _grpcio, _linkspan
from linkspan._enums import READY, SHUTDOWN, state_of
from linkspan.aio._calls import StateChange
from linkspan.aio._errors import usage_error
from linkspan.aio._interceptors import sorted_by_kind
from linkspan.aio._loop import completions_of
from linkspan.aio._multicallables import (
    StreamStreamMultiCallable,
    StreamUnaryMultiCallable,
    UnaryStreamMultiCallable,
    UnaryUnaryMultiCallable,
)
from linkspan.credentials import native_credentials


class Channel(_grpcio.LateGrpcio):
    """A channel to a target, for calls made in event loops: in any, and in several at once."""

    def __init__(self, target, options, credentials, compression, interceptors):
        _grpcio.notice()
        native_of = _linkspan.Credentials.insecure() if credentials is None else native_credentials(credentials)
        self._set_up(native_of.carries_call_credentials, interceptors)
        if target in ("", b""):
            # As in grpc.aio: libraries make channels first and learn their target later; a call is what fails.
            self._arguments = (target, native_of, options, True, compression)
        else:
            self._native = _linkspan.Channel(target, native_of, options, True, compression)

    _native: _linkspan.Channel | None = None
    _arguments: tuple | None = None

    def _set_up(self, is_secure: bool, interceptors) -> None:
        self._is_secure = is_secure
        # Libraries append to these lists after stubs exist, so every call reads them.
        (
            self._unary_unary_interceptors,
            self._unary_stream_interceptors,
            self._stream_unary_interceptors,
            self._stream_stream_interceptors,
        ) = sorted_by_kind(interceptors)
        # The loop found when the channel was made: where calls belong that are made while no loop runs.
        self._loop = _loop_now()
        # The tags of calls in flight; sets are changed atomically, and calls may be in loops of several threads.
        self._running: set[int] = set()
        self._idle_waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []

    @classmethod
    def _over(cls, native: _linkspan.Channel, is_secure: bool) -> Channel:
        """A face of a channel that exists."""
        channel = cls.__new__(cls)
        channel._native = native
        channel._set_up(is_secure, None)
        return channel

    def _open(self) -> _linkspan.Channel:
        if self._native is None:
            # Raises what is wrong with the target.
            self._native = _linkspan.Channel(*self._arguments)
        return self._native

    @property
    def sync(self):
        """The blocking face of the same connections."""
        from linkspan._channel import Channel as SyncChannel

        return SyncChannel(self._open(), self._is_secure)

    def unary_unary(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> UnaryUnaryMultiCallable:
        return UnaryUnaryMultiCallable(
            self, method, request_serializer, response_deserializer, self._unary_unary_interceptors
        )

    def unary_stream(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> UnaryStreamMultiCallable:
        return UnaryStreamMultiCallable(
            self, method, request_serializer, response_deserializer, self._unary_stream_interceptors
        )

    def stream_unary(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> StreamUnaryMultiCallable:
        return StreamUnaryMultiCallable(
            self, method, request_serializer, response_deserializer, self._stream_unary_interceptors
        )

    def stream_stream(
        self, method, request_serializer=None, response_deserializer=None, _registered_method=False
    ) -> StreamStreamMultiCallable:
        return StreamStreamMultiCallable(
            self, method, request_serializer, response_deserializer, self._stream_stream_interceptors
        )

    # States.

    def get_state(self, try_to_connect: bool = False):
        """The connectivity state; SHUTDOWN after `close`."""
        _grpcio.notice()
        return state_of(self._open().state(bool(try_to_connect)))

    async def wait_for_state_change(self, last_observed_state) -> None:
        """Waits until the state is another than this one."""
        if self._open().is_closed:
            raise usage_error.current("Channel is closed.")
        changed = asyncio.get_running_loop().create_future()
        await self._change_of(last_observed_state.value[0], changed)

    async def channel_ready(self) -> None:
        """Connects, and waits until the channel is READY."""
        while (state := self._open().state(True)) != READY:
            if state == SHUTDOWN:
                raise usage_error.current("Channel is closed.")
            changed = asyncio.get_running_loop().create_future()
            await self._change_of(state, changed)

    async def _change_of(self, state: int, changed: asyncio.Future) -> None:
        """Awaits `changed`, which a change from `state` completes; others may complete it too."""
        completions = completions_of(asyncio.get_running_loop())
        tag = completions.add(StateChange(changed))
        try:
            watch = self._open().watch_on(completions.native, tag, state)
        except ValueError:
            # Closed meanwhile, which is a change.
            completions.forget(tag)
            return
        try:
            await changed
        finally:
            # Harmless when the change came; else this brings the completion that frees the tag.
            watch.cancel()

    # The end.

    async def close(self, grace: float | None = None) -> None:
        """Refuses new calls; running ones may end within `grace` seconds and are cancelled then, without it at once."""
        if grace is not None and grace < 0:
            raise ValueError(f"grace must not be negative, it is {grace}")
        native = self._open()
        native.close(grace or 0.0)
        if grace and self._running:
            await self._until_idle(grace)

    async def _until_idle(self, grace: float) -> None:
        waiter = (asyncio.get_running_loop(), asyncio.Event(), _fork.generation)
        self._idle_waiters.append(waiter)
        try:
            if self._running:
                await asyncio.wait_for(waiter[1].wait(), grace)
        except asyncio.TimeoutError:
            # The engine ends them at the same moment.
            pass
        finally:
            self._idle_waiters.remove(waiter)

    def _tell_if_idle(self) -> None:
        """After a call ended."""
        if not self._running:
            for loop, idle, generation in list(self._idle_waiters):
                # A forked child does not wake the loop of its parent.
                if generation == _fork.generation:
                    loop.call_soon_threadsafe(idle.set)

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, kind, value, traceback) -> None:
        await self.close()

    # What the channel has seen.

    def metrics(self) -> dict:
        """Counters and limits of this channel: plain values, also after `close`. A limit that is not set is absent."""
        return self._open().metrics()

    def snapshot(self) -> dict:
        """This channel at this moment: its resolver, its addresses with their states, dials, waits and connections.

        Plain values by the names of channelz where it has one, which take some microseconds, also after `close`. Times are in
        nanoseconds; what is None is not known. `isPartial` is true where the engine's thread could not be asked.
        """
        from linkspan._snapshot import channel_snapshot

        return channel_snapshot(self._open())

    def events(self, after: int = 0):
        """Iterates over the state changes this channel remembers, later than number `after`, oldest first."""
        from linkspan._events import channel_events

        _grpcio.notice()
        return iter(channel_events(self._open(), after))

    def reset_connect_backoff(self) -> None:
        """Lets a channel that waits to connect again try at once."""
        self._open().reset_connect_backoff()


def _loop_now() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def insecure_channel(target, options=None, compression=None, interceptors=None) -> Channel:
    """A plaintext channel with grpcio's defaults."""
    return Channel(target, options, None, compression, interceptors)


def secure_channel(target, credentials, options=None, compression=None, interceptors=None) -> Channel:
    """A channel with these credentials and grpcio's defaults."""
    if credentials is None:
        raise TypeError("credentials must be made by linkspan.ssl_channel_credentials, not None")
    return Channel(target, options, credentials, compression, interceptors)


def connect(target, *, credentials=None, options=None, compression=None) -> Channel:
    """A channel with linkspan's own defaults; TLS with the system's roots unless `credentials` say otherwise."""
    from linkspan._channel import connect as connect_blocking

    return connect_blocking(target, credentials=credentials, options=options, compression=compression).aio
