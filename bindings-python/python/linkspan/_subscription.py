"""`Channel.subscribe`: every state change, in order, on the callback thread."""

from __future__ import annotations

import weakref
from contextvars import copy_context

from linkspan import _callbacks, _fork, _linkspan
from linkspan._enums import IDLE, READY, SHUTDOWN, state_of

_all: weakref.WeakSet[Subscriptions] = weakref.WeakSet()


class Subscriptions:
    """The subscribers of one channel.

    What they are told is replayed from the channel's events, so a state that passed quickly is told as well. A watch only
    says when there is something new to read.
    """

    def __init__(self, native: _linkspan.Channel):
        self._native = native
        self._lock = _fork.Lock()
        # The callback, its context, and whether it was told the state it began with.
        self._subscribers: list[list] = []
        # The state after the last event read, and that event's number. Touched by the callback thread only.
        self._state = IDLE
        self._read = 0
        self._watch: _linkspan.Watch | None = None
        # What the watch is registered as.
        self._token = 0
        # A subscriber wants the channel to connect, and it has not yet.
        self._wants_connection = False
        _all.add(self)

    def add(self, callback, try_to_connect: bool) -> None:
        with self._lock:
            self._subscribers.append([callback, copy_context(), False])
        if try_to_connect:
            # Before anything is delivered: a READY that is read takes it back.
            self._wants_connection = True
        _callbacks.soon(self._deliver)
        if try_to_connect and self._native.state(True) == READY:
            # That was read long ago, maybe, and no other may follow.
            self._wants_connection = False

    def remove(self, callback) -> None:
        with self._lock:
            for subscriber in self._subscribers:
                # Equality, because a bound method is a new object each time it is looked up.
                if subscriber[0] == callback:
                    self._subscribers.remove(subscriber)
                    break
            idle_watch = None if self._subscribers else self._watch
        if idle_watch is not None:
            idle_watch.cancel()

    def remove_all(self) -> None:
        """The channel object is gone; nobody can unsubscribe any more."""
        with self._lock:
            self._subscribers.clear()
            watch = self._watch
        if watch is not None:
            watch.cancel()

    def _on_watch(self) -> None:
        with self._lock:
            self._watch = None
        self._deliver()

    def _deliver(self) -> None:
        events = self._native.events(self._read)
        began_with = self._state
        for number, _, _, state, *_ in events:
            self._read, self._state = number, state
            if state == READY:
                self._wants_connection = False
        # After more changes than the channel remembers, or after closing, the state itself is the last word.
        current = self._native.state(False)
        changes = [state for _, _, _, state, *_ in events]
        if current == SHUTDOWN and self._state != SHUTDOWN:
            self._state = SHUTDOWN
            changes.append(SHUTDOWN)
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            is_new = not subscriber[2]
            subscriber[2] = True
            for state in [self._state] if is_new else changes:
                self._tell(subscriber, state)
        self._watch_on()

    def _tell(self, subscriber: list, state: int) -> None:
        with self._lock:
            if not any(subscriber is present for present in self._subscribers):
                return
        callback, context, _ = subscriber
        context.run(_callbacks.run, callback, state_of(state))

    def _watch_on(self) -> None:
        with self._lock:
            if self._watch is not None or not self._subscribers or self._state == SHUTDOWN:
                return
            self._token = _callbacks.register(self._on_watch)
            try:
                self._watch = self._native.watch(self._state, self._token)
            except ValueError:
                # Closed between the reading of its state and here: tell that.
                _callbacks.forget(self._token)
                _callbacks.soon(self._deliver)

    def in_child(self) -> None:
        """The watch is the parent's; the channel's events go on, with the fork as the next."""
        _callbacks.forget(self._token)
        self._watch = None
        if self._subscribers:
            _callbacks.soon(self._deliver_in_child)

    def _deliver_in_child(self) -> None:
        if self._wants_connection:
            self._native.state(True)
        self._deliver()


def _in_child() -> None:
    for subscriptions in list(_all):
        subscriptions.in_child()


_fork.in_child(_in_child)
