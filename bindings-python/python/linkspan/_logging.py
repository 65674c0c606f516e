"""Log lines of the engine, given to a function of the program's or to the standard `logging`.

A thread of its own hands them over, so that neither the engine nor other callbacks wait for a logger that takes its time. Lines beyond
4,096 that wait are dropped; a line says how many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from linkspan import _callbacks, _fork, _linkspan

Logger = Callable[[str, str, str], object]

_setting = _fork.Lock()
_logger: Logger | None = None
_has_raised = False
_thread: threading.Thread | None = None


def set_logger(logger: Logger | None, level: str = "info") -> None:
    """Calls `logger(level, room, text)` for every line up to `level`: error, warn, info, debug or trace. There is one logger in a process; None takes it away.

    It runs on the thread "linkspan-log". What it raises is logged the first time, and costs that line only.
    """
    global _logger, _has_raised, _thread
    if logger is not None and not callable(logger):
        raise TypeError(f"a logger is a function of level, room and text, or None, not {logger!r}")
    if not isinstance(level, str):
        raise TypeError(f"a log level is a str such as 'debug', not {level!r}")
    with _setting:
        _linkspan.log_to_python(None if logger is None else level)
        _logger, _has_raised = logger, False
        if logger is not None and _thread is None:
            _start()


def logging_bridge(level: str = "info") -> None:
    """Gives every line up to `level` to the standard library: the logger `linkspan.<room>`, at the same level; trace is 5.

    What is shown is for the configuration of `logging` to say. `set_logger(None)` ends it.
    """
    import logging

    levels = {
        "error": logging.ERROR,
        "warn": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
        "trace": 5,
    }

    def bridge(level: str, room: str, text: str) -> None:
        logging.getLogger(f"linkspan.{room}").log(levels[level], "%s", text)

    set_logger(bridge, level)


def _start() -> None:
    global _thread
    _thread = threading.Thread(target=_serve, name="linkspan-log", daemon=True)
    _thread.start()


def _serve() -> None:
    while True:
        for line in _linkspan.next_log_lines():
            _deliver(line)


def _deliver(line: tuple[str, str, str]) -> None:
    global _has_raised
    # Looked up for each line: one that was taken away gets none of those that wait.
    logger = _logger
    if logger is None:
        return
    try:
        logger(*line)
    except BaseException:
        if not _has_raised:
            _has_raised = True
            _callbacks.log_exception("The logger raised: %r", logger)


def _in_child() -> None:
    """The parent's logger is the child's, and no thread serves it yet."""
    if _thread is not None:
        _start()


_fork.in_child(_in_child)
