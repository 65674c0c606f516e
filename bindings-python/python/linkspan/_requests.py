"""How a blocking call's request messages get to the engine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import copy_context

from linkspan import _callbacks, _linkspan
from linkspan._enums import INTERNAL, UNKNOWN
from linkspan._errors import ITERATING, SERIALIZING, decided_here, failed


def serialized(serialize, request: object) -> object:
    """One request message; raises the call's error when there is none."""
    try:
        message = serialize(request)
    except Exception as error:
        _callbacks.log_exception(SERIALIZING)
        raise failed(decided_here(INTERNAL, SERIALIZING), error) from error
    if message is None:
        raise failed(decided_here(INTERNAL, SERIALIZING), TypeError("the serializer returned None"))
    return message


class Feed:
    """Sends the messages of one call's request iterator.

    It knows the native call only: a call object that nobody refers to any more is collected, and cancelled, while its
    iterator is still running.
    """

    __slots__ = ("_call", "_serialize", "failure")

    def __init__(self, call: _linkspan.ActiveCall, serialize):
        self._call = call
        self._serialize = serialize
        # What the iterator or the serializer raised; set before the call is ended for it.
        self.failure: BaseException | None = None

    def start(self, requests: object) -> None:
        """Sends a sequence as there is room for it; anything else is pulled by a thread."""
        if isinstance(requests, Sequence):
            self._send_sequence(requests)
            return
        try:
            iterator = iter(requests)
        except Exception as error:
            self._fail(UNKNOWN, ITERATING, error)
            return
        context = copy_context()
        threading.Thread(
            target=context.run, args=(self._pull, iterator), name="linkspan-requests", daemon=True
        ).start()

    def _send_sequence(self, requests: Sequence) -> None:
        messages = []
        for request in requests:
            message = self._message(request)
            if message is None:
                return
            messages.append(message)
        try:
            self._call.send_all(messages)
        except TypeError as error:
            self._call.cancel(INTERNAL, SERIALIZING)
            raise error

    def _pull(self, iterator) -> None:
        try:
            for request in iterator:
                message = self._message(request)
                if message is None or not self._call.send(message):
                    return
        except Exception as error:
            self._fail(UNKNOWN, ITERATING, error)
        else:
            self._call.half_close()

    def _message(self, request: object) -> object | None:
        if self._serialize is None:
            return request
        try:
            message = self._serialize(request)
            if message is None:
                raise TypeError("the serializer returned None")
        except Exception as error:
            self._fail(INTERNAL, SERIALIZING, error)
            return None
        return message

    def _fail(self, code: int, text: str, error: BaseException) -> None:
        if self._call.ended:
            return
        self.failure = error
        # Before the end is told: who waits for it should find the reason in the log.
        _callbacks.log_exception(text)
        self._call.cancel(code, text)
