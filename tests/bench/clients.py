"""The clients that are measured: ours and, next to each, those it is compared with."""

import dataclasses
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT_BY = "tests/bench/build.sh makes it"


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    label: str
    # Those that are compared with each other: a section of the table, a group of the chart.
    family: str
    command: tuple
    # Names of the clients whose figures the ratios are made of.
    references: tuple = ()
    is_linkspan: bool = False
    # One thread per call that is in flight.
    is_blocking: bool = False
    is_uvloop: bool = False
    # Measured where a package of the system has it; elsewhere its absence is no failure.
    is_optional: bool = False
    # (path below the repository or name of a program, why it may be missing)
    needs: tuple = ()

    @property
    def missing(self):
        """Why this client cannot be started here; None when it can."""
        return next((why for what, why in self.needs if not _is_there(what)), None)


def _is_there(what):
    return bool(shutil.which(what)) if "/" not in what else (ROOT / what).exists()


def _program(path, why=None):
    return ((path, why or f"{path} is missing: {BUILT_BY}"),)


def _rust(name, label, command, references=(), **settings):
    program, *arguments = command.split()
    path = f"target/release/{program}"
    return Client(name, label, "Rust", (path, *arguments), references, needs=_program(path), **settings)


def _c(name, label, program, *arguments, why=None, **settings):
    path = f"target/bench/{program}"
    return Client(name, label, "C", (path, *arguments), needs=_program(path, why), **settings)


def _python(name, label, script, *arguments, **settings):
    interpreter, path = ".tools/venv/bin/python", f"tests/bench/python/{script}.py"
    family = "Python, blocking" if settings.get("is_blocking") else "Python, asyncio"
    needs = (*_program(interpreter), *_program(path, f"{path} is missing"))
    return Client(name, label, family, (interpreter, path, *arguments), needs=needs, **settings)


def _node(name, label, script, **settings):
    path, packages = f"tests/bench/node/{script}", "tests/bench/node/node_modules"
    needs = (("node", "Node is not installed"), *_program(path, f"{path} is missing"), *_program(packages))
    return Client(name, label, "Node", ("node", path), needs=needs, **settings)


OURS = {"is_linkspan": True}

# In the order of their turns: a client's reference comes right before or after it.
CLIENTS = (
    _rust("h2", "bare h2", "bench-h2"),
    _rust("core-loop", "linkspan core, caller on the loop", "bench-core --loop", ("h2", "tonic"), **OURS),
    _rust("tonic", "tonic", "bench-tonic", ("h2",)),
    _rust("core-queue", "linkspan core, caller on a thread", "bench-core --queue", ("h2", "tonic"), **OURS),
    _c("c-queue", "linkspan, completion queue", "c_linkspan", "--queue", references=("c-core",), **OURS),
    _c("c-core", "C-core from C++", "cpp_grpc", why="libgrpc++-dev is not installed", is_optional=True),
    _c("c-callback", "linkspan, callbacks", "c_linkspan", "--callback", references=("c-core",), **OURS),
    _python("linkspan-blocking", "linkspan", "linkspan_blocking", references=("grpcio-blocking",), is_blocking=True, **OURS),
    _python("grpcio-blocking", "grpcio", "grpcio_blocking", is_blocking=True),
    _python("linkspan-asyncio", "linkspan", "linkspan_asyncio", references=("grpcio-asyncio",), **OURS),
    _python("grpcio-asyncio", "grpcio", "grpcio_asyncio"),
    _python("grpclib-asyncio", "grpclib", "grpclib_asyncio", references=("grpcio-asyncio",)),
    _python(
        "linkspan-uvloop", "linkspan, uvloop", "linkspan_asyncio", "--uvloop",
        references=("grpcio-uvloop",), is_uvloop=True, **OURS,
    ),
    _python("grpcio-uvloop", "grpcio, uvloop", "grpcio_asyncio", "--uvloop", is_uvloop=True),
    _node("linkspan-grpc-js", "linkspan under a grpc-js client", "linkspan-grpc-js.cjs", references=("grpc-js",), **OURS),
    _node("grpc-js", "grpc-js", "grpc-js.cjs"),
    _node("linkspan-native", "linkspan, its own calls", "linkspan-native.cjs", references=("grpc-js",), **OURS),
    _node("connect-node", "connect-node", "connect-node.mjs", references=("grpc-js",)),
)

BY_NAME = {client.name: client for client in CLIENTS}
