"""gRPC's interop cases through linkspan's two Python faces, against any interop server.

    .tools/venv/bin/python tests/python/interop.py HOST:PORT [CASE…]
"""

import signal
import sys
import traceback

from interop_asyncio import Asyncio
from interop_blocking import Blocking
from interop_cases import CASES, Unexpected

HANG_GUARD_SECONDS = 120


def main(arguments):
    address, *wanted = arguments or ("",)
    unknown = [case for case in wanted if case not in CASES]
    if not address or unknown:
        print(f"usage: interop.py HOST:PORT [CASE…]; unknown: {unknown}; cases: {' '.join(CASES)}", file=sys.stderr)
        return 2
    signal.alarm(HANG_GUARD_SECONDS)
    failed = [run(face, case) for face in faces(address) for case in wanted or CASES].count(False)
    print(f"{2 * len(wanted or CASES) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def faces(address):
    for kind in (Blocking, Asyncio):
        face = kind(address)
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
