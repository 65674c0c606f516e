#!/usr/bin/env python3
"""Real clients through real faults: `tests/faults/run.py [--long] [--keep] SCENARIO ...`.

Short runs hold what must hold on any machine; long ones also hold the figures to their bars. --keep writes the figures of a long
run to core/docs/measurements, with the commit they belong to. `make build` builds what this needs.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from faults import deploys, half_open, pings, playing, restart, silent_peer  # noqa: E402
from faults.caller import build_rust  # noqa: E402


if __name__ == "__main__":
    sys.exit(playing.main(__doc__.splitlines()[0], (deploys, half_open, pings, restart, silent_peer), build_rust))
