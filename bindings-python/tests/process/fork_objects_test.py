"""What a child can do with the objects it inherited, in every way a program may hold them at a fork."""

import subprocess
import sys

import pytest
from support.interop import interop_server
from support.processes import run_program, running
from support.relay import Relay

# `child(function)` forks, runs the function there, and waits; what it raises ends the program. `method` is a method's full name.
START = """
import asyncio, ctypes, gc, os, signal, sys, threading, time, traceback
import linkspan

address = sys.argv[1]

def method(name):
    return "/test.Service/" + name

def child(function, fork=os.fork, leave=sys.exit):
    pid = fork()
    if pid == 0:
        # Ends a child that hangs, and with it the test.
        signal.alarm(25)
        try:
            function()
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        leave(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child failed"

def expect_cancelled(function):
    try:
        function()
    except linkspan.RpcError as error:
        assert error.code() == linkspan.StatusCode.CANCELLED, error
        assert error.details() == "Call cancelled in fork child", error
    else:
        raise AssertionError("it went on in the child")

def check(condition):
    assert condition

channel = linkspan.insecure_channel(address)
echo = channel.unary_unary(method("Echo"))
assert echo(b"1") == b"1"
"""

PROGRAMS = {
    "a channel can be looked at: it has nothing of the parent's connections": """
def use():
    looked = channel.snapshot()
    check(looked["isPartial"] and looked["data"]["state"] == {"state": "IDLE"} and not looked["connections"])
    check(linkspan.snapshot()["engine"]["pid"] == os.getpid())
    check(echo(b"2") == b"2" and not channel.snapshot()["isPartial"])

child(use)
check(not channel.snapshot()["isPartial"])
""",
    "a future ends, its callbacks run, and a finished one keeps its response": """
pending, finished = channel.unary_unary(method("Hang")).future(b""), echo.future(b"2")
assert finished.result() == b"2"
called = threading.Event()
pending.add_done_callback(lambda future: called.set())
def use():
    assert pending.done() and not pending.running() and not pending.cancel()
    expect_cancelled(pending.result)
    assert called.wait(20)
    assert finished.result() == b"2"
    assert echo.future(b"3").result() == b"3"
child(use)
assert not pending.done() and not called.is_set()
pending.cancel()
""",
    "streams of every kind end": """
def for_ever():
    yield b"x"
    threading.Event().wait()
responses = channel.unary_stream(method("OneThenHang"))(b"x")
requests = channel.stream_unary(method("CollectHanging")).future(for_ever())
both = channel.stream_stream(method("TalkHanging"))(for_ever())
assert next(responses) == next(both) == b"x"
def use():
    for call in (responses, both):
        expect_cancelled(lambda: next(call))
        assert not call.is_active()
    expect_cancelled(requests.result)
    assert list(channel.unary_stream(method("Count"))(b"3")) == [b"0", b"1", b"2"]
child(use)
assert responses.is_active() and both.is_active() and not requests.done()
for call in (responses, requests, both):
    call.cancel()
""",
    "a subscriber is told of the fork and of what follows": """
states, changed = [], threading.Condition()
def on_state(state):
    with changed:
        states.append(state.name)
        changed.notify_all()
def told(*wanted):
    with changed:
        assert changed.wait_for(lambda: tuple(states[-len(wanted):]) == wanted, 20), states
channel.subscribe(on_state)
told("READY")
def use():
    told("READY", "IDLE")
    assert "forked" in str(list(channel.events())[0])
    assert echo(b"2") == b"2"
    told("IDLE", "CONNECTING", "READY")
child(use)
told("READY")
""",
    "a subscriber whose wish for a connection was granted asks for no other": """
def subscribe(wanted):
    told = threading.Event()
    channel.subscribe(lambda state: told.set() if state.name == wanted else None, try_to_connect=True)
    return told
# The second one finds a channel whose READY was told to the first.
for _ in range(2):
    assert subscribe("READY").wait(20)
idle = subscribe("IDLE")
def use():
    assert idle.wait(20)
    # The loop does what it is asked in order: what was asked for before this call has begun by its end.
    assert linkspan.insecure_channel(address).unary_unary(method("Echo"))(b"2") == b"2"
    assert channel.metrics()["connect_attempts"] == 0
child(use)
""",
    "a wait for a connection goes on": """
silent = linkspan.insecure_channel(sys.argv[2])
future = linkspan.channel_ready_future(silent)
def use():
    # The child's alarm ends this if it never comes.
    while silent.metrics()["connect_attempts"] != 1:
        time.sleep(0.001)
    assert future.running() and not future.done()
child(use)
future.cancel()
""",
    "calls of an inherited asyncio channel end, and new ones use the child's loop": """
async def main():
    aio = linkspan.aio.insecure_channel(address)
    async with aio:
        unary = aio.unary_unary(method("Hang"))(b"")
        stream = aio.unary_stream(method("OneThenHang"))(b"x")
        assert await stream.read() == b"x"
        change = asyncio.ensure_future(aio.wait_for_state_change(aio.get_state()))
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        def use():
            assert unary.done() and stream.done()
            async def in_child():
                assert await aio.unary_unary(method("Echo"))(b"2") == b"2"
                assert await channel.aio.unary_unary(method("Echo"))(b"3") == b"3"
                for call in (unary, stream):
                    assert await call.code() == linkspan.StatusCode.CANCELLED
                    assert await call.details() == "Call cancelled in fork child"
                return [message async for message in aio.unary_stream(method("Count"))(b"2")]
            assert asyncio.run(in_child()) == [b"0", b"1"]
        child(use)
        assert not unary.done() and not stream.done() and not change.done() and not reading.done()
        assert await aio.unary_unary(method("Echo"))(b"4") == b"4"
        change.cancel()
        reading.cancel()
        unary.cancel()
asyncio.run(main())
""",
    "a child's child goes on too": """
pending = channel.unary_unary(method("Hang")).future(b"")
def use():
    assert echo(b"2") == b"2"
    own = channel.unary_unary(method("Hang")).future(b"")
    made = linkspan.connect(address, credentials=linkspan.insecure_channel_credentials())
    assert made.unary_unary(method("Echo"))(b"3") == b"3"
    def use_again():
        expect_cancelled(pending.result)
        expect_cancelled(own.result)
        assert echo(b"4") == made.unary_unary(method("Echo"))(b"4") == b"4"
    child(use_again)
    assert not own.done() and echo(b"5") == b"5"
child(use)
""",
    "a signal handler forks while a call waits": """
def fork_now(*_):
    global pid
    pid = os.fork()
signal.signal(signal.SIGUSR1, fork_now)
def fork_it():
    # The one call that was made before, and the one that waits.
    while channel.metrics()["calls"]["started"] < 2:
        time.sleep(0.001)
    os.kill(parent, signal.SIGUSR1)
parent, pid = os.getpid(), None
threading.Thread(target=fork_it, daemon=True).start()
try:
    channel.unary_unary(method("Hang"))(b"", timeout=3)
except linkspan.RpcError as error:
    ended = (error.code().name, error.details())
if os.getpid() != parent:
    assert ended == ("CANCELLED", "Call cancelled in fork child"), ended
    assert echo(b"2") == b"2"
    os._exit(0)
assert ended[0] == "DEADLINE_EXCEEDED", ended
assert os.waitpid(pid, 0)[1] == 0
""",
    "large requests on their way are left alone": """
large = bytes(1 << 20)
calls = [channel.stream_unary(method("CollectHanging")).future([large] * 4) for _ in range(4)]
def use():
    global large, calls
    del calls, large
    gc.collect()
    assert echo(bytes(1 << 20)) == bytes(1 << 20)
for _ in range(10):
    child(use)
assert not any(call.done() for call in calls)
""",
    "a fork Python does not know of": """
# Holds the interpreter's lock, as an extension or a server that embeds Python does.
child(lambda: check(echo(b"2") == b"2"), fork=ctypes.PyDLL(None).fork, leave=os._exit)
assert echo(b"3") == b"3"
""",
    "a channel that was closed stays closed": """
channel.close()
def use():
    try:
        echo(b"2")
    except ValueError as error:
        assert "closed channel" in str(error), error
    else:
        raise AssertionError("a closed channel was opened by a fork")
    assert linkspan.insecure_channel(address).unary_unary(method("Echo"))(b"3") == b"3"
child(use)
""",
    "encrypted channels connect anew": """
# Nobody answers in TLS there; that it is tried, and fails in words, is what the child has of its own.
secure = linkspan.secure_channel(address, linkspan.ssl_channel_credentials())
def use():
    try:
        secure.unary_unary(method("Echo"))(b"2", timeout=20)
    except linkspan.RpcError as error:
        assert error.code() == linkspan.StatusCode.UNAVAILABLE and "TLS" in error.details(), error
    else:
        raise AssertionError("no TLS is spoken there")
use()
child(use)
""",
}


@pytest.mark.parametrize("situation", PROGRAMS)
def test_in_a_child(own_server, silent_address, situation):
    run_program(START + PROGRAMS[situation], own_server.address, silent_address)


def test_a_child_does_not_keep_its_parents_connection_open(own_server):
    program = """
told, say = os.pipe()
pid = os.fork()
if pid == 0:
    # Until the parent has gone.
    os.close(say)
    os.read(told, 1)
    os._exit(0)
channel.close()
print("closed", flush=True)
sys.stdin.readline()
os.close(say)
assert os.waitpid(pid, 0)[1] == 0
"""
    with Relay(own_server.address) as relay:
        command = (sys.executable, "-c", START + program, relay.address)
        with running(*command, stdin=subprocess.PIPE) as process:
            process.expect("closed")
            relay.connections[0].wait_for_end()
            # Only now may the child end.
            process.child.stdin.close()
            assert process.wait() == 0


READS_FILES = """
import os, sys, time
import linkspan

address, file = sys.argv[1:]
good = open(file, "rb").read()
credentials = linkspan.file_channel_credentials(roots=file)
channel = linkspan.secure_channel(address, credentials, [("linkspan.tls_reload_interval_ms", 10)])
empty_call = channel.unary_unary("/grpc.testing.TestService/EmptyCall")

def comes_to_tell(words):
    end = time.monotonic() + 20
    while not any(words in event.cause for event in channel.events()):
        assert time.monotonic() < end, [event.cause for event in channel.events()]
        time.sleep(0.01)

def write(content):
    with open(file, "wb") as out:
        out.write(content)

assert empty_call(b"", timeout=20) == b""
pid = os.fork()
if pid == 0:
    assert empty_call(b"", timeout=20) == b""
    write(b"broken")
    comes_to_tell("stays in use: root certificates in ")
    write(good + good)
    comes_to_tell("the TLS files were read again")
    assert empty_call(b"", timeout=20) == b""
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0, "the child failed"
comes_to_tell("the TLS files were read again")
write(good)
assert empty_call(b"", timeout=20) == b""
"""


def test_a_child_and_its_parent_read_certificates_each_for_themselves(tmp_path):
    file = tmp_path / "roots.pem"
    with interop_server("--tls", "--cert-out", file) as process:
        run_program(READS_FILES, process.address, str(file))
