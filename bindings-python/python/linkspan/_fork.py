"""What a forked child must renew of Python's side; what it must not touch of the engine is known to the native module.

Nothing here runs or waits in the parent.
"""

from __future__ import annotations

import os
import threading

# How many forks lie between the process that imported this and this one.
generation = 0
_hooks: list = []


def in_child(hook) -> None:
    """Has `hook()` run in every child, on the thread that forked, which is the only one there."""
    _hooks.append(hook)


class Lock:
    """A lock for `with` that each process has for itself: one that a thread of the parent held at the fork holds up no child."""

    __slots__ = ("_kind", "_locks")

    def __init__(self, kind=threading.Lock):
        self._kind = kind
        # By generation; one is added in one step, whichever threads come first.
        self._locks: dict[int, object] = {}

    def _mine(self):
        return self._locks.get(generation) or self._locks.setdefault(generation, self._kind())

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self._mine().acquire(blocking, timeout)

    def release(self) -> None:
        # Absent when the thread that holds it has forked meanwhile, and this is the child.
        lock = self._locks.get(generation)
        if lock is not None:
            lock.release()

    def __enter__(self) -> bool:
        return self._mine().acquire()

    def __exit__(self, *raised: object) -> None:
        self.release()


def _on_fork() -> None:
    global generation
    generation += 1
    # Who was imported later stands on who was before.
    for hook in reversed(_hooks):
        hook()


os.register_at_fork(after_in_child=_on_fork)
