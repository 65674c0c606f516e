"""A process forks while its channel is idle, busy or has a stream open: every child finishes a call, on the channel it inherited or on
a new one, and the parent notices nothing.

LINKSPAN_FORKS says how many children each case has; `make soak` asks for 200, and then each call's time counts too.
"""

import json
import os
import pathlib
import sys

import pytest
from support.processes import GUARD_SECONDS, running
from support.relay import Relay

ASKED = os.environ.get("LINKSPAN_FORKS")
CHILDREN = int(ASKED or 25)
PROGRAM = pathlib.Path(__file__).parents[1] / "support" / "forks.py"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def run(*arguments):
    """What the program said, which must be good."""
    with running(sys.executable, PROGRAM, *arguments) as process:
        # Each child may take its whole guard before it is given up.
        seconds = GUARD_SECONDS * (2 + CHILDREN // 10)
        status = process.wait(seconds)
        said = json.loads(process.rest() or "null")
    assert status == 0 and said is not None, (status, said)
    assert said["failures"] == [] and said["parent_errors"] == [], said
    return said


@pytest.mark.parametrize("which", ["inherited", "new"])
@pytest.mark.parametrize("situation", ["idle", "traffic", "stream"])
def test_every_child_finishes_a_call_and_the_parent_sees_no_error(own_server, situation, which):
    said = run(own_server.address, situation, which, CHILDREN)
    assert said["finished"] == CHILDREN
    print(f"\nfork {situation}/{which}: {CHILDREN} of {CHILDREN}, first call after {said['median']:.3f} s", end="")
    print(f" (median), {said['slowest']:.3f} s (slowest)")
    if ASKED:
        assert said["slowest"] < 1.0, said


@pytest.mark.parametrize("which", ["inherited", "new"])
@pytest.mark.parametrize("situation", ["idle", "stream"])
def test_the_server_gets_no_byte_from_a_child_on_the_parents_connection(own_server, situation, which):
    with Relay(own_server.address) as relay:
        run(relay.address, situation, which, 0, "quiet")
        run(relay.address, situation, which, CHILDREN, "quiet")
        without, with_children = relay.connections[0], relay.connections[1]
        assert frames(without.wait_for_end()) == frames(with_children.wait_for_end())
        # A connection for each child besides.
        assert len(relay.connections) == 2 + CHILDREN


def frames(sent):
    """The frames of a connection by stream, each stream's in their order. On the connection itself kinds go apart as well: the answer
to the server's SETTINGS and the first credit overtake each other."""
    assert sent.startswith(PREFACE)
    at, found = len(PREFACE), []
    while at < len(sent):
        end = at + 9 + int.from_bytes(sent[at : at + 3], "big")
        assert end <= len(sent), "a torn frame"
        found.append(sent[at:end])
        at = end
    return sorted(found, key=place)


def place(frame):
    stream = int.from_bytes(frame[5:9], "big")
    return stream, frame[3] if stream == 0 else 0
