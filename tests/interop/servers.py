"""The servers the cases are run against, in one place: how each is started, what it cannot do, and why."""

import dataclasses
import shutil

from interop import cases
from server.running import INTEROP_SERVER, JAVA_SERVER, RunningServer

NO_NAME = "it does not say who it is"
NO_PEER = "it tells no peer addresses"


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    # Starts one; takes flags.
    start: callable
    # Case: why it is left out.
    lacks: dict = dataclasses.field(default_factory=dict)
    # Says why it cannot be started here; None when it can.
    missing: callable = lambda: None
    # Of a server that speaks TLS: the name its certificate is for.
    host: str = None

    def __post_init__(self):
        unknown = [case for case in self.lacks if case not in cases.ALL]
        if unknown:
            raise ValueError(f"{self.name} lacks what is no case: {unknown}")

    def serves(self, group):
        return [case for case in group if case not in self.lacks]

    @property
    def told_lacks(self):
        """Why cases are left out, each reason once."""
        by_reason = {}
        for case, reason in self.lacks.items():
            by_reason.setdefault(reason, []).append(case)
        return "; ".join(f"{', '.join(left_out)} ({reason})" for reason, left_out in by_reason.items())


def go(*flags):
    return RunningServer.interop(*flags)


def go_over_tls(*flags):
    return RunningServer.interop("-tls", "-published-cert", *flags)


def no_go():
    return None if INTEROP_SERVER.exists() else "it is built by tests/server/build.sh and needs Go"


def no_java():
    if not JAVA_SERVER.exists():
        return "it is built by tests/server/build.sh and needs a JDK and Maven"
    return None if shutil.which("java") else "there is no java"


NO_COMPRESSION = "it neither judges nor does compression message by message"
# grpcio has no way to, and grpc-js none to report memory beside the calls.
NO_LOAD = dict.fromkeys(cases.LOADS, "it tells no load")
WITHOUT_COMPRESSION = dict.fromkeys(cases.COMPRESSED, NO_COMPRESSION)

ONLY_TLS = "the same as without TLS"
SERVERS = (
    Server("grpc-go", go, {**WITHOUT_COMPRESSION, cases.ON_TWO[0]: NO_NAME, cases.ON_LIMITED[0]: NO_PEER}, no_go),
    # gRPC's published test certificate, whose names are under this one.
    Server(
        "grpc-go over TLS",
        go_over_tls,
        {case: ONLY_TLS for case in cases.ALL if case not in (*cases.EVERYWHERE, *cases.SOAKS)},
        no_go,
        host="foo.test.google.fr",
    ),
    Server("grpcio", RunningServer.grpcio, NO_LOAD),
    Server("grpc-js", RunningServer.grpc_js, {**WITHOUT_COMPRESSION, **NO_LOAD, "concurrent_large_unary": "it takes ten seconds for it"}),
    Server("grpc-java", RunningServer.grpc_java, NO_LOAD, missing=no_java),
)
