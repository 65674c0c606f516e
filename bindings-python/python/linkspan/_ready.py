"""`channel_ready_future`."""

from __future__ import annotations

import threading

from linkspan import _callbacks, _fork, _grpcio
from linkspan._enums import ChannelConnectivity
from linkspan._errors import Future, future_cancelled, future_timeout, traceback_of


class _ReadyFuture(Future):
    """Done when its channel is READY. Works on any object with `subscribe` and `unsubscribe`."""

    def __init__(self, channel: object):
        self._channel = channel
        self._changed = threading.Condition(_fork.Lock())
        self._is_ready = False
        self._is_cancelled = False
        self._callbacks: list = []
        channel.subscribe(self._on_state, try_to_connect=True)

    def _on_state(self, state: object) -> None:
        if state == ChannelConnectivity.READY:
            self._finish("_is_ready")

    def _finish(self, how: str) -> bool:
        with self._changed:
            if self.done():
                return False
            setattr(self, how, True)
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        self._channel.unsubscribe(self._on_state)
        for callback in callbacks:
            _callbacks.run(callback, self)
        return True

    def cancel(self) -> bool:
        return self._finish("_is_cancelled")

    def cancelled(self) -> bool:
        return self._is_cancelled

    def done(self) -> bool:
        return self._is_ready or self._is_cancelled

    def running(self) -> bool:
        return not self.done()

    def _wait(self, timeout: float | None) -> None:
        with self._changed:
            if not self._changed.wait_for(self.done, timeout):
                raise future_timeout.current()
        if self._is_cancelled:
            raise future_cancelled.current()

    def result(self, timeout: float | None = None) -> None:
        self._wait(timeout)

    def exception(self, timeout: float | None = None) -> None:
        self._wait(timeout)

    def traceback(self, timeout: float | None = None):
        self._wait(timeout)
        return traceback_of(None)

    def add_done_callback(self, fn) -> None:
        with self._changed:
            if not self.done():
                self._callbacks.append(fn)
                return
        fn(self)


def channel_ready_future(channel: object) -> Future:
    """A future that is done when the channel is READY; asking for it makes the channel connect."""
    _grpcio.notice()
    return _ReadyFuture(channel)
