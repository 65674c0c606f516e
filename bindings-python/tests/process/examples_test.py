"""Every example runs as it is, and says what it should."""

import os
import pathlib
import subprocess
import sys

import pytest
from support.interop import generated, interop_server
from support.processes import GUARD_SECONDS

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

OUTPUTS = {
    "aio_many_loops.py": ["200 calls over 1 connection"],
    "aio_stub.py": ["4950 bytes", "1", "2", "3", "StatusCode.OK"],
    "interceptor_auth.py": ["Bearer secret"],
    "metrics_and_states.py": ["IDLE → CONNECTING: ", "CONNECTING → READY: connected", '"succeeded": 1'],
    "streaming_four_kinds.py": ["unary: 1", "responses: [1, 2, 3]", "requests: 6", "both: [4, 5]"],
    "sync_generic_bytes.py": ["0 bytes StatusCode.OK from 127.0.0.1:"],
    "sync_stub.py": ["3 bytes", "StatusCode.UNIMPLEMENTED"],
    "without_grpcio.py": ["3 bytes"],
}


@pytest.fixture(scope="module")
def stubs_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    generated(folder)
    return folder


@pytest.fixture(scope="module")
def go_server():
    with interop_server() as process:
        yield process


def test_every_example_is_run_here_and_is_short():
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(OUTPUTS)
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 40, path


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_example_says_what_it_should(name, stubs_folder, go_server):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, go_server.address],
        env={**os.environ, "PYTHONPATH": str(stubs_folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    for words in OUTPUTS[name]:
        assert words in done.stdout
