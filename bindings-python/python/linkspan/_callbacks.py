"""The one thread that runs users' callbacks; it is made on first need.

The engine leaves a number when something is due. This thread looks up what the number stands for and runs it in the
context that was current when it was registered. No lock is held meanwhile, so a callback may make calls of its own.
"""

from __future__ import annotations

import itertools
import threading
from contextvars import Context, copy_context

from linkspan import _fork, _linkspan

_tokens = itertools.count(1)
_registered: dict[int, tuple[Context, object, tuple]] = {}
_start = _fork.Lock()
_thread: threading.Thread | None = None


def register(function, *arguments, context: Context | None = None) -> int:
    """A number that stands for `function(*arguments)`, run once when the number is due."""
    _ensure_thread()
    token = next(_tokens)
    _registered[token] = (context or copy_context(), function, arguments)
    return token


def forget(token: int) -> None:
    """Makes the number stand for nothing."""
    _registered.pop(token, None)


def soon(function, *arguments, context: Context | None = None) -> None:
    """Runs `function(*arguments)` on the callback thread."""
    _linkspan.push_due(register(function, *arguments, context=context))


def at_end(call: _linkspan.ActiveCall, function, *arguments) -> bool:
    """Runs `function(*arguments)` at the call's end; false, and it will not run, when the call has ended."""
    if call.ended:
        return False
    token = register(function, *arguments)
    if call.observe(token):
        return True
    forget(token)
    return False


def run(function, *arguments) -> None:
    """Runs a user's function; what it raises is logged."""
    try:
        function(*arguments)
    except BaseException:
        log_exception("A callback raised: %r", function)


def log_exception(text: str, *arguments: object) -> None:
    """Logs the exception that is being handled."""
    # Importing it costs more than the rest of this package, and most programs never come here.
    import logging

    logging.getLogger("linkspan").exception(text, *arguments)


def _ensure_thread() -> None:
    global _thread
    if _thread is None:
        with _start:
            if _thread is None:
                thread = threading.Thread(target=_serve, name="linkspan-callbacks", daemon=True)
                thread.start()
                _thread = thread


def _in_child() -> None:
    """No thread serves here yet, and whatever was registered is due: the calls and watches it was for are the parent's."""
    global _thread
    _thread = None
    if _registered:
        for token in tuple(_registered):
            _linkspan.push_due(token)
        _ensure_thread()


_fork.in_child(_in_child)


def _serve() -> None:
    while True:
        for token in _linkspan.next_due():
            _run_due(token)


def _run_due(token: int) -> None:
    # A function of its own: nothing it touched stays referenced while the thread waits for more.
    entry = _registered.pop(token, None)
    if entry is not None:
        context, function, arguments = entry
        context.run(run, function, *arguments)
