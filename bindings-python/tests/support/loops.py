"""Coroutines as tests."""

import asyncio
import functools
import inspect

from support.processes import GUARD_SECONDS


def in_loop(test):
    """Runs an async test in a loop of its own, with a guard against hanging."""

    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(asyncio.wait_for(test(*arguments, **named), GUARD_SECONDS))

    # pytest hands in what the signature asks for.
    run.__signature__ = inspect.signature(test)
    return run


async def until(condition):
    """Turns the loop until the condition holds; the guard of the test ends a vain wait."""
    while not condition():
        await asyncio.sleep(0.001)
