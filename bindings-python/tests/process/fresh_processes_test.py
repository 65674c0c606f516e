"""`multiprocessing` with the start methods that begin with a new interpreter: parent and children each have a channel of their own."""

import pathlib
import sys

import pytest
from support.processes import running

PROGRAM = pathlib.Path(__file__).parents[1] / "support" / "fresh_processes.py"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_make_calls_while_the_parent_has_a_channel(own_server, method):
    with running(sys.executable, PROGRAM, own_server.address, method) as process:
        assert process.wait() == 0
