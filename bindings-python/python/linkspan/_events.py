"""A channel's history as its users read it."""

from __future__ import annotations

from collections import namedtuple

from linkspan._enums import state_of


class ChannelEvent(
    namedtuple("ChannelEvent", ("sequence", "at", "from_state", "to_state", "cause", "address", "connection", "text"))
):
    """One state change: when (seconds since the engine's start), from which state to which, and why."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.text


def channel_events(native, after: int) -> list[ChannelEvent]:
    """The state changes the channel remembers, later than number `after`, oldest first."""
    return [
        ChannelEvent(sequence, at, state_of(before), state_of(now), *rest)
        for sequence, at, before, now, *rest in native.events(after)
    ]
