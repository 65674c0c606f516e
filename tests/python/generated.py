"""The stubs generated from tests/proto/interop.proto; they are made when they are missing or older than it."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

subprocess.run(["sh", ROOT / "tests" / "proto" / "generate.sh"], check=True, stdin=subprocess.DEVNULL)
sys.path.insert(0, str(ROOT / ".tools" / "generated" / "python"))

import interop_pb2 as messages  # noqa: E402  (found through the path above)
import interop_pb2_grpc as services  # noqa: E402

__all__ = ("ROOT", "messages", "services")
