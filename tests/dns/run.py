#!/usr/bin/env python3
"""Names in a network of their own, with a name server that fails as it is told: `tests/dns/run.py [--long] [--keep] cases|outage|scaling`.

Each run has network and mount namespaces of its own (util-linux's `unshare`); a machine that does not allow them is a
skip. --keep writes the figures of a long run to core/docs/measurements. `make build` builds what this needs.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.machine import machine_facts  # noqa: E402
from dns import namespace  # noqa: E402
from faults.playing import engine_commit  # noqa: E402
from server.running import VENV_PYTHON  # noqa: E402

INSIDE = ROOT / "tests" / "dns" / "inside.py"
SKIPPED, FORBIDDEN = 77, 78


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("play", choices=("cases", "outage", "scaling"))
    parser.add_argument("--long", action="store_true", help="minutes, and the defaults")
    parser.add_argument("--keep", action="store_true", help="keep the figures in core/docs/measurements")
    arguments = parser.parse_args()
    if arguments.keep and not arguments.long:
        parser.error("--keep is for the figures of a --long run")
    if not shutil.which("unshare"):
        print("no network namespace without `unshare`")
        return SKIPPED
    if reason := namespace.why_not():
        print(f"no network namespace here: {reason}")
        return FORBIDDEN
    command = [*namespace.command(VENV_PYTHON, INSIDE, arguments.play)]
    if arguments.long:
        command.append("--long")
    if arguments.keep:
        command += ["--keep", json.dumps({**machine_facts(None, None), "commit": engine_commit()})]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())
