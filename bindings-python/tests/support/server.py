"""A grpcio server whose methods do what their names say, on bytes. Run as a process of its own.

It says on stdout, one line each, where it listens, when a call of a waiting method has arrived and how that call ended,
so that a test can prove that a call was in flight instead of hoping for it.
"""

import json
import os
import signal
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "test.Service"


def say(*words):
    # One write, so that lines of different threads stay whole.
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


def echo(request, context):
    """Sends back the message; metadata keys that start with `echo-` come back as initial and as trailing metadata."""
    echoes = [(key, value) for key, value in context.invocation_metadata() if key.startswith("echo-")]
    context.send_initial_metadata(echoes)
    context.set_trailing_metadata(echoes)
    return request


def echo_gzip(request, context):
    """Sends back the message, compressed."""
    context.set_compression(grpc.Compression.Gzip)
    return request


def status(request, context):
    """Ends with the status the message asks for: `number details`."""
    number, _, details = request.decode().partition(" ")
    context.set_trailing_metadata([("why", "asked-for"), ("raw-bin", b"\x00\xff")])
    context.abort(next(code for code in grpc.StatusCode if code.value[0] == int(number)), details)


def metadata(request, context):
    """What arrived as metadata, as JSON pairs."""
    pairs = [(key, value if isinstance(value, str) else value.hex()) for key, value in context.invocation_metadata()]
    return json.dumps(pairs).encode()


def hang(request, context):
    """Answers only when the call is over."""
    wait_for_end("Hang", context)
    return request


def release(request, context):
    """Lets one waiting Hold go on."""
    holds.release()
    return request


def hold(request, context):
    """Answers when Release is called."""
    over = arrived("Hold", context)
    while not holds.acquire(timeout=0.05) and not over.is_set():
        pass
    return request


def count(request, context):
    """The numbers from 0 up to the one in the message."""
    for number in range(int(request)):
        yield str(number).encode()


def count_then_fail(request, context):
    """The same, and then ABORTED."""
    yield from count(request, context)
    context.abort(grpc.StatusCode.ABORTED, "enough")


def endless(request, context):
    """Messages of the size in the message until the call is over."""
    arrived("Endless", context)
    while context.is_active():
        yield bytes(int(request))


def one_then_hang(request, context):
    """One message, and then nothing until the call is over."""
    over = arrived("OneThenHang", context)
    yield request
    over.wait()


def collect(requests, context):
    """All messages joined by commas."""
    return b",".join(requests)


def collect_hanging(requests, context):
    """Answers only when the call is over, and reads nothing."""
    wait_for_end("CollectHanging", context)
    return b""


def talk(requests, context):
    """Each message back as it comes."""
    yield from requests


def talk_deflate(requests, context):
    """Each message back as it comes, compressed."""
    context.set_compression(grpc.Compression.Deflate)
    yield from requests


def talk_hanging(requests, context):
    """The first message back, and then nothing until the call is over."""
    over = arrived("TalkHanging", context)
    yield next(requests)
    over.wait()


def refuse(requests, context):
    """Ends at once, whatever is sent."""
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")
    yield b""


def wait_for_end(method, context):
    arrived(method, context).wait()


def arrived(method, context):
    """Says that the call is here, and when it is over; the event is set then."""
    over = threading.Event()

    def end():
        say("ENDED", method)
        over.set()

    say("ARRIVED", method)
    if not context.add_callback(end):
        end()
    return over


holds = threading.Semaphore(0)

HANDLERS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "EchoGzip": grpc.unary_unary_rpc_method_handler(echo_gzip),
    "Status": grpc.unary_unary_rpc_method_handler(status),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Hold": grpc.unary_unary_rpc_method_handler(hold),
    "Release": grpc.unary_unary_rpc_method_handler(release),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "CountThenFail": grpc.unary_stream_rpc_method_handler(count_then_fail),
    "Endless": grpc.unary_stream_rpc_method_handler(endless),
    "OneThenHang": grpc.unary_stream_rpc_method_handler(one_then_hang),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "CollectHanging": grpc.stream_unary_rpc_method_handler(collect_hanging),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
    "TalkDeflate": grpc.stream_stream_rpc_method_handler(talk_deflate),
    "TalkHanging": grpc.stream_stream_rpc_method_handler(talk_hanging),
    "Refuse": grpc.stream_stream_rpc_method_handler(refuse),
}


def main():
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=64),
        # No PINGs of its own: one test compares what clients send, and they answer PINGs.
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.http2.bdp_probe", 0)],
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, HANDLERS),))
    addresses = sys.argv[1:] or ["127.0.0.1:0"]
    ports = [server.add_insecure_port(address) for address in addresses]
    server.start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    say("LISTENING", f"127.0.0.1:{ports[0]}")
    stop.wait()
    server.stop(grace=None).wait()


if __name__ == "__main__":
    main()
