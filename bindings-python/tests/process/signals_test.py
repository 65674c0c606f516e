"""Ctrl-C ends a blocking call of any kind, and the process with it."""

import signal
import sys

import pytest
from support.processes import running

PROGRAM = """
import itertools, linkspan, sys, threading
address, kind = sys.argv[1:]
channel = linkspan.insecure_channel(address)

def for_ever():
    yield b"x"
    threading.Event().wait()

calls = {
    "unary_unary": lambda: channel.unary_unary("/test.Service/Hang")(b""),
    "unary_stream": lambda: list(channel.unary_stream("/test.Service/OneThenHang")(b"")),
    "stream_unary": lambda: channel.stream_unary("/test.Service/CollectHanging")(for_ever()),
    "stream_stream": lambda: list(channel.stream_stream("/test.Service/TalkHanging")(for_ever())),
    "future": lambda: channel.unary_unary("/test.Service/Hang").future(b"").result(),
}
try:
    calls[kind]()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    channel.close()
    print("closed", flush=True)
    raise
"""

ARRIVALS = {
    "unary_unary": "Hang",
    "unary_stream": "OneThenHang",
    "stream_unary": "CollectHanging",
    "stream_stream": "TalkHanging",
    "future": "Hang",
}


@pytest.mark.parametrize("kind", ARRIVALS)
def test_ctrl_c_ends_the_call_and_the_process(own_server, kind, tmp_path):
    with open(tmp_path / "stderr", "w+b") as errors:
        with running(sys.executable, "-c", PROGRAM, own_server.address, kind, stderr=errors) as program:
            own_server.expect(f"ARRIVED {ARRIVALS[kind]}")
            program.child.send_signal(signal.SIGINT)
            own_server.expect(f"ENDED {ARRIVALS[kind]}")
            assert program.line() == "interrupted"
            assert program.line() == "closed"
            # How Python ends after a KeyboardInterrupt nobody caught.
            assert program.wait() == -signal.SIGINT
        errors.seek(0)
        assert b"KeyboardInterrupt" in errors.read()


def test_a_handler_that_does_not_raise_leaves_the_call_alone(own_server):
    program = """
import linkspan, signal, sys
channel = linkspan.insecure_channel(sys.argv[1])
echo = channel.unary_unary("/test.Service/Echo")

def handler(*_):
    # A call of its own, while the other one waits in the same thread.
    print("handled", echo(b"inside").decode(), flush=True)

signal.signal(signal.SIGUSR1, handler)
print(channel.unary_unary("/test.Service/Hold")(b"done").decode(), flush=True)
"""
    with running(sys.executable, "-c", program, own_server.address) as process:
        own_server.expect("ARRIVED Hold")
        process.child.send_signal(signal.SIGUSR1)
        assert process.line() == "handled inside"
        import linkspan

        with linkspan.insecure_channel(own_server.address) as channel:
            channel.unary_unary("/test.Service/Release")(b"")
        assert process.line() == "done"
        assert process.wait() == 0
