"""Plays one thing in the namespaces this process was started in (run.py); it judges and keeps figures as tests/faults does."""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import signal
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from dns import cases, outage, scaling  # noqa: E402
from dns.name_server import NameServer  # noqa: E402
from dns.namespace import NAME_SERVER, Etc, entered, has_ipv6  # noqa: E402
from faults.figures import Findings  # noqa: E402
from server.running import RunningServer  # noqa: E402

# What has a short form and a long one.
SCENARIOS = {"outage": outage, "scaling": scaling}


@dataclasses.dataclass
class Stage:
    """What there is to play with."""

    etc: Etc
    dns: NameServer
    # Of a gRPC server at 127.0.0.1, and of one at ::1; None where the machine has no IPv6.
    port: int
    port_of_ipv6: int | None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("play", choices=("cases", *SCENARIOS))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", metavar="FACTS", help="keeps the figures, with these facts about them in JSON")
    arguments = parser.parse_args()
    # SIGTERM must end servers and clients too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scenario = SCENARIOS.get(arguments.play)
    findings = Findings(scenario.NAME if scenario else "dns", arguments.long)
    try:
        with stage() as ready:
            play(arguments, findings, ready)
    except (OSError, RuntimeError, ValueError) as error:
        traceback.print_exc()
        findings.must(False, str(error))
    print("\n".join(findings.lines()), flush=True)
    if arguments.keep:
        findings.keep(json.loads(arguments.keep))
    return 0 if findings.is_good else 1


@contextlib.contextmanager
def stage():
    with entered() as etc, NameServer(NAME_SERVER) as dns:
        ipv6 = RunningServer.identity("ipv6", "[::1]") if has_ipv6() else contextlib.nullcontext()
        with RunningServer.identity("ipv4") as ipv4, ipv6 as ipv6:
            yield Stage(etc, dns, ipv4.port, ipv6 and ipv6.port)


def play(arguments, findings, ready):
    if scenario := SCENARIOS.get(arguments.play):
        scenario.run(findings, ready, arguments.long)
        return
    for case in cases.CASES:
        if case in cases.OF_IPV6 and ready.port_of_ipv6 is None:
            print(f"skipped: {case.__name__}: this machine has no IPv6")
            continue
        ready.etc.hosts()
        ready.etc.resolv_conf("")
        try:
            case(ready)
        except Exception as error:
            traceback.print_exc()
            findings.must(False, f"{case.__name__} ({case.__doc__}): {error}")
        else:
            print(f"dns: {case.__name__}: good")


if __name__ == "__main__":
    sys.exit(main())
