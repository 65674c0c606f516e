"""Received metadata."""

from __future__ import annotations

from collections import namedtuple

Metadatum = namedtuple("Metadatum", ("key", "value"))
Metadatum.__doc__ = "One entry of received metadata: `key`, and `value` as str, or as bytes for a key ending in `-bin`."


def received(pairs: list[tuple[str, str | bytes]] | None) -> tuple[Metadatum, ...]:
    """Received pairs as users see them."""
    return tuple(map(Metadatum._make, pairs)) if pairs else ()
