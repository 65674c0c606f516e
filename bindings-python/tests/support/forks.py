"""A program that forks, and says in JSON how its children and itself fared: forks.py ADDRESS SITUATION CHANNEL CHILDREN [quiet].

SITUATION is what goes on at the forks: idle, traffic, stream. CHANNEL is what children call on: inherited, new. A quiet parent
makes no call after the last fork, and sends nothing because of the time.
"""

import contextlib
import json
import os
import select
import signal
import statistics
import sys
import threading
import time
import traceback

import linkspan

GUARD_SECONDS = 30
THREADS = 4
# What has a connection send PINGs, whose number would differ from run to run.
NO_PINGS = [
    ("linkspan.liveness", False),
    ("linkspan.reuse_check_after_ms", 0),
    ("grpc.keepalive_time_ms", -1),
    ("grpc.http2.bdp_probe", False),
]
ECHO, ONE_THEN_HANG = "/test.Service/Echo", "/test.Service/OneThenHang"


def socket_of(channel):
    """What the system calls the socket of the channel's connection."""
    port = int(channel.metrics()["connections"][0]["local_address"].rpartition(":")[2])
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return next(f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}"))


def is_open(socket):
    for number in os.listdir("/proc/self/fd"):
        # The listing's own descriptor is gone by now.
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/self/fd/{number}") == socket:
                return True
    return False


def expect_cancelled_by_fork(stream):
    try:
        next(stream)
    except linkspan.RpcError as error:
        assert error.code() == linkspan.StatusCode.CANCELLED, error
        assert error.details() == "Call cancelled in fork child", error
    else:
        raise AssertionError("the stream went on in the child")


@contextlib.contextmanager
def idle(channel, errors):
    yield {}


@contextlib.contextmanager
def open_stream(channel, errors):
    stream = channel.unary_stream(ONE_THEN_HANG)(b"x")
    assert next(stream) == b"x"
    yield {"stream": stream}
    if not stream.is_active():
        errors.append(f"the stream ended: {stream!r}")
    stream.cancel()


@contextlib.contextmanager
def traffic(channel, errors):
    echo, is_over, counted = channel.unary_unary(ECHO), threading.Event(), []

    def run():
        while not is_over.is_set():
            try:
                assert echo(b"traffic", timeout=GUARD_SECONDS) == b"traffic"
                counted.append(1)
            except BaseException as error:
                errors.append(repr(error))
                return

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    yield {"counted": counted}
    is_over.set()
    for thread in threads:
        thread.join()
    if not counted:
        errors.append("no call was made meanwhile")


def child(address, channel, state, socket, started):
    """The seconds from the fork to the end of the first call."""
    assert not is_open(socket), "the parent's connection is open in the child"
    if channel is None:
        channel = linkspan.insecure_channel(address)
    assert channel.unary_unary(ECHO)(b"child", timeout=GUARD_SECONDS) == b"child"
    seconds = time.monotonic() - started
    if "stream" in state:
        expect_cancelled_by_fork(state["stream"])
    assert channel.metrics()["connect_attempts"] == 1, channel.metrics()
    return seconds


def readable(descriptor):
    return bool(select.select([descriptor], [], [], GUARD_SECONDS)[0])


def have_child(number, *arguments):
    """What one child said, and how it ended."""
    told, say = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            said = {"seconds": child(*arguments, started)}
        except BaseException:
            said = {"failure": traceback.format_exc()}
        os.write(say, json.dumps(said).encode())
        # Every other one runs all that an interpreter does at its end.
        if number % 2 == 0:
            os._exit(0)
        sys.exit(0)
    os.close(say)
    said = {"failure": "it hung"}
    if readable(told):
        said = json.loads(os.read(told, 65536) or b'{"failure": "it said nothing"}')
    os.close(told)
    over = os.pidfd_open(pid)
    if not readable(over):
        said = {"failure": f"it did not end after {said}"}
        os.kill(pid, signal.SIGKILL)
    os.close(over)
    status = os.waitpid(pid, 0)[1]
    if status != 0 and "failure" not in said:
        said = {"failure": f"it ended with {status:#x}"}
    return said


def main(address, situation, which, children, quiet=None):
    errors = []
    channel = linkspan.insecure_channel(address, options=[] if quiet is None else NO_PINGS)
    echo = channel.unary_unary(ECHO)
    # Without a timeout, which would be sent, and differ from run to run.
    echo(b"first")
    socket = socket_of(channel)
    used = channel if which == "inherited" else None
    with {"idle": idle, "traffic": traffic, "stream": open_stream}[situation](channel, errors) as state:
        said = [have_child(number, address, used, state, socket) for number in range(int(children))]
    if quiet is None:
        assert echo(b"last") == b"last"
    if channel.metrics()["connect_attempts"] != 1:
        errors.append(f"the parent connected again: {channel.metrics()}")
    channel.close()
    # The end of the process would cut off what the connection says at its own.
    while is_open(socket):
        time.sleep(0.001)
    seconds = [each["seconds"] for each in said if "seconds" in each]
    result = {
        "failures": [each["failure"] for each in said if "failure" in each],
        "finished": len(seconds),
        "slowest": max(seconds, default=0.0),
        "median": statistics.median(seconds) if seconds else 0.0,
        "parent_errors": errors,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
