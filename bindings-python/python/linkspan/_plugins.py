"""The threads that run the plug-ins of call credentials; the first is made with the first plug-in.

They are not the thread that runs other callbacks: one of those may wait for a call of its own, which may wait for a plug-in.
A plug-in that takes its time costs its own calls only, and may wait for another, because there is always a thread more than there are
plug-ins running, up to a bound.
"""

from __future__ import annotations

import threading
from collections import namedtuple
from contextvars import Context, copy_context

from linkspan import _fork, _grpcio, _linkspan
from linkspan._callbacks import log_exception

_MOST_THREADS = 16

# Guards both numbers.
_counting = _fork.Lock()
_threads = 0
# How many of them are in a plug-in.
_busy = 0


class AuthMetadataContext(namedtuple("AuthMetadataContext", ("service_url", "method_name"))):
    """Which call a plug-in is asked for: `https://<authority>/<service>`, and the method without its service."""

    __slots__ = ()


class _Callback:
    """Takes a plug-in's answer, from any thread."""

    __slots__ = ("_request",)

    def __init__(self, request: _linkspan.AuthRequest):
        self._request = request

    def __call__(self, metadata, error) -> None:
        is_first = self._request.give(metadata) if error is None else self._request.fail(str(error))
        if not is_first:
            raise RuntimeError("AuthMetadataPluginCallback invoked more than once!")


def native_plugin(plugin, context: Context | None = None) -> _linkspan.CallCredentials:
    """Credentials whose plug-in this is; it runs in a copy of `context`, or of the one there is now."""
    if not _threads:
        with _counting:
            if not _threads:
                _start()
    return _linkspan.CallCredentials.plugin((context or copy_context(), plugin))


def _start() -> None:
    """One thread more. The lock is held, or nobody else is there."""
    global _threads
    threading.Thread(target=_serve, name=f"linkspan-callbacks-plugin-{_threads + 1}", daemon=True).start()
    _threads += 1


def _serve() -> None:
    while True:
        _answer(_linkspan.next_auth_request())


def _answer(request: _linkspan.AuthRequest) -> None:
    # A function of its own: nothing it touched stays referenced while the thread waits for more.
    _enter()
    context, plugin = request.plugin
    try:
        # A copy, because several threads may be in one plug-in, and none may enter a context twice.
        context.copy().run(plugin, AuthMetadataContext(request.service_url, request.method_name), _Callback(request))
    except BaseException as error:
        log_exception("The plug-in of call credentials raised: %r", plugin)
        request.fail(str(error))
    finally:
        _leave()


def _enter() -> None:
    """This thread goes into a plug-in, and leaves one behind that is free."""
    global _busy
    with _counting:
        _busy += 1
        if _busy == _threads < _MOST_THREADS:
            try:
                _start()
            except RuntimeError:
                # The system has none to give. Whoever goes in next tries again.
                pass


def _leave() -> None:
    global _busy
    with _counting:
        _busy -= 1


def _in_child() -> None:
    """Credentials made in the parent are good here, and no thread serves them yet."""
    global _threads, _busy
    if _threads:
        _threads = _busy = 0
        _start()


_fork.in_child(_in_child)
_grpcio.counterpart(AuthMetadataContext, "AuthMetadataContext")
_grpcio.counterpart(_Callback, "AuthMetadataPluginCallback")
