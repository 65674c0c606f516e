"""What channels look like at one moment, as plain values: the engine's JSON, read."""

from __future__ import annotations

import json
from typing import Any

from linkspan import _linkspan


def snapshot() -> dict[str, Any]:
    """The engine and all channels of this process that are in use, each as `Channel.snapshot` has it.

    May be called from any thread at any time. Times are in nanoseconds; what is None is not known.
    """
    return json.loads(_linkspan.snapshot())


def channel_snapshot(native: _linkspan.Channel) -> dict[str, Any]:
    return json.loads(native.snapshot())
