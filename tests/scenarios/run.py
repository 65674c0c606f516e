#!/usr/bin/env python3
"""The engine before servers and balancers that nobody here wrote: `tests/scenarios/run.py [--long] [--keep] SCENARIO ...`.

As tests/faults/run.py, but run with the project's venv, because some scenarios call from this very process:
.tools/venv/bin/python tests/scenarios/run.py stream-limit
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from faults import playing  # noqa: E402
from scenarios import certificates, churn, haproxy, nginx, outliers, stream_limit, virtual_ip  # noqa: E402

if __name__ == "__main__":
    sys.exit(playing.main(__doc__.splitlines()[0], (certificates, churn, haproxy, nginx, outliers, stream_limit, virtual_ip)))
