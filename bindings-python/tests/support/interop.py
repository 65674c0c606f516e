"""grpc-go's interop server, and the generated stubs that speak to it."""

import contextlib
import importlib
import pathlib
import subprocess
import sys

import pytest
from support.processes import running

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERVER = ROOT / ".tools" / "bin" / "interop-server"


@contextlib.contextmanager
def interop_server(*arguments):
    """The running server; skips the test visibly where it was not built."""
    if not SERVER.exists():
        pytest.skip("grpc-go's interop server is not built; tests/server/build.sh builds it and needs Go")
    with running(SERVER, "--port", "0", *arguments) as process:
        word, _, process.address = process.line().partition(" ")
        assert word == "LISTENING", word
        yield process


def generated(folder):
    """Generates the interop stubs into a folder and imports them: messages and services."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={ROOT / 'tests' / 'proto'}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            "interop.proto",
        ],
        check=True,
    )
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("interop_pb2"), importlib.import_module("interop_pb2_grpc")
    finally:
        sys.path.remove(str(folder))
