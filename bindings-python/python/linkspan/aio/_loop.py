"""How completions get from the engine into one event loop.

A loop with calls in flight has one queue and one file descriptor among its readers. With its last call both go, so a loop
that is closed leaves nothing behind: whatever still refers to the queue then are calls of that loop, and what completes for
them is dropped.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import weakref
from collections import deque

from linkspan import _fork, _linkspan
from linkspan._enums import CANCELLED
from linkspan._errors import decided_here

# What a completion is about; `src/wake.rs` has the same numbers.
UNARY, HEADERS, MESSAGES, WRITABLE, STATUS, CONNECTIVITY = range(6)
_FINAL = frozenset((UNARY, STATUS, CONNECTIVITY))

# One turn of the loop handles at most this many completions or this much time; then other tasks run.
MOST_PER_TURN = 1024
LONGEST_TURN = 0.002
_BATCH = 128

_tags = itertools.count(1)
_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[LoopCompletions]] = (
    weakref.WeakKeyDictionary()
)


# The one found last. Weak, as all references to one are but that of its loop's reader.
_latest: weakref.ref[LoopCompletions] | None = None


def completions_of(loop: asyncio.AbstractEventLoop) -> LoopCompletions:
    """The loop's completions; made when there are none."""
    found = None if _latest is None else _latest()
    # Most programs have one loop, and the table of loops is slow.
    if found is not None and found.is_reading and found.loop() is loop:
        return found
    return _look_up(loop)


def _look_up(loop: asyncio.AbstractEventLoop) -> LoopCompletions:
    global _latest
    known = _by_loop.get(loop)
    found = None if known is None else known()
    if found is None:
        found = LoopCompletions(loop)
        known = _by_loop[loop] = weakref.ref(found)
    _latest = known
    return found


class LoopCompletions:
    """One loop's queue. Kept alive by the loop's reader, hence while calls are in flight. Used on the loop's thread."""

    __slots__ = ("native", "loop", "_targets", "_backlog", "is_reading", "__weakref__")

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.native = _linkspan.LoopQueue()
        # Weak: a reader of the loop refers to this.
        self.loop = weakref.ref(loop)
        self._targets: dict[int, object] = {}
        self._backlog: deque[tuple] = deque()
        loop.add_reader(self.native.fileno(), self._on_readable)
        self.is_reading = True

    def add(self, target: object) -> int:
        """A tag whose completions go to `target.on_completion(what, first, second)`."""
        tag = next(_tags)
        self._targets[tag] = target
        return tag

    def forget(self, tag: int) -> None:
        """The call with this tag did not start."""
        self._targets.pop(tag, None)
        self._retire_soon()

    def _on_readable(self) -> None:
        self.native.quiet()
        self._drain()

    def _drain(self) -> None:
        loop = self.loop()
        if loop is None or loop.is_closed():
            return
        drained_to_the_end = False
        try:
            drained_to_the_end = self._drain_one_turn(loop)
        finally:
            # Also when a user's code broke in with a KeyboardInterrupt: what was taken from the queue is not lost.
            if not drained_to_the_end:
                loop.call_soon(self._drain)
        self._retire_soon()

    def _drain_one_turn(self, loop: asyncio.AbstractEventLoop) -> bool:
        backlog, targets = self._backlog, self._targets
        started = time.monotonic()
        handled = 0
        while True:
            taken, completions = self.native.drain(_BATCH)
            backlog.extend(completions)
            while backlog:
                tag, what, first, second = backlog.popleft()
                target = targets.pop(tag, None) if what in _FINAL else targets.get(tag)
                if target is not None:
                    _deliver(loop, target, what, first, second)
            if taken < _BATCH:
                return True
            handled += taken
            if handled >= MOST_PER_TURN or time.monotonic() - started > LONGEST_TURN:
                return False

    def _retire_soon(self) -> None:
        """Not at once: a task that was just woken usually makes the next call."""
        loop = self.loop()
        if not self._targets and loop is not None and not loop.is_closed():
            loop.call_soon(self._retire)

    def _retire(self) -> None:
        loop = self.loop()
        if self._targets or not self.is_reading or loop is None or loop.is_closed():
            return
        self.is_reading = False
        loop.remove_reader(self.native.fileno())
        if (known := _by_loop.get(loop)) is not None and known() is self:
            del _by_loop[loop]


    def in_child(self) -> None:
        """Ends what waits here; the descriptor stays among the loop's readers, because taking it away would take the parent's."""
        self.is_reading = False
        targets, self._targets = self._targets, {}
        ended = decided_here(CANCELLED, _linkspan.CANCELLED_BY_FORK, sent=True)
        for target in targets.values():
            try:
                target.on_completion(STATUS, None, ended)
            except RuntimeError:
                # The loop is closed, or is another thread's and says so: nobody waits there any more.
                pass


def _deliver(loop: asyncio.AbstractEventLoop, target, what: int, first: object, second: object) -> None:
    try:
        target.on_completion(what, first, second)
    except Exception as error:
        loop.call_exception_handler(
            {"message": "linkspan: a completion could not be delivered", "exception": error, "call": target}
        )


def _in_child() -> None:
    global _by_loop, _latest
    known = list(_by_loop.values())
    _by_loop, _latest = weakref.WeakKeyDictionary(), None
    for reference in known:
        completions = reference()
        if completions is not None:
            completions.in_child()


_fork.in_child(_in_child)


def current_loop(otherwise: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
    """The loop a call made now belongs to."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if otherwise is not None:
            return otherwise
        raise RuntimeError("a call needs an event loop: make it in a coroutine") from None
