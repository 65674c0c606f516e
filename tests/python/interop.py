"""gRPC's interop cases through linkspan's two Python faces, against any interop server.

    .tools/venv/bin/python tests/python/interop.py HOST:PORT [--flag=value…] [CASE…]
"""

import signal
import sys
import traceback

from interop_arguments import parser
from interop_asyncio import Asyncio
from interop_blocking import Blocking
from interop_cases import CASES, EVERYWHERE, OPTIONS, Unexpected

HANG_GUARD_SECONDS = 600


def main(arguments):
    arguments = parser().parse_intermixed_args(arguments)
    cases = arguments.cases or EVERYWHERE
    unknown = [case for case in cases if case not in CASES]
    if unknown:
        print(f"unknown: {unknown}; the cases are {' '.join(CASES)}", file=sys.stderr)
        return 2
    signal.alarm(HANG_GUARD_SECONDS)
    outcomes = [run(face, case) for kind in (Blocking, Asyncio) for case in cases for face in made(kind, arguments, case)]
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed", flush=True)
    return 0 if all(outcomes) else 1


def made(kind, arguments, case):
    """A face with a channel of its own, which is closed behind the case."""
    face = kind(arguments, OPTIONS.get(case, ()))
    try:
        yield face
    finally:
        face.close()


def run(face, case):
    name = f"{case} ({type(face).__name__.lower()})"
    try:
        face.run(case)
    except Exception as error:
        if not isinstance(error, Unexpected):
            traceback.print_exc()
        print(f"FAILED {name}: {error!r}", flush=True)
        return False
    print(f"ok {name}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
