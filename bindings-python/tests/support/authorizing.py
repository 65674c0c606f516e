"""A grpcio server over TLS that lets in only calls with a token it has not seen expire. Run as a process of its own: `authorizing.py KEY CERTIFICATE`.

The method `Expire` makes the token it was called with worthless; all others answer with what arrived as metadata, as JSON pairs.
"""

import json
import signal
import sys
import threading
from concurrent import futures

import grpc
from server import say

expired = set()


def answer(request, context):
    pairs = [(key, value if isinstance(value, str) else value.hex()) for key, value in context.invocation_metadata()]
    token = dict(pairs).get("authorization", "")
    if not token.startswith("Bearer ") or token in expired:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, f"no good token: {token!r}")
    return token, json.dumps(pairs).encode()


def unary(request, context):
    return answer(request, context)[1]


def stream(requests, context):
    yield answer(requests, context)[1]
    yield from requests


def expire(request, context):
    token, pairs = answer(request, context)
    expired.add(token)
    return pairs


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Expire": grpc.unary_unary_rpc_method_handler(expire),
    "Count": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([unary(request, context)])),
    "Collect": grpc.stream_unary_rpc_method_handler(unary),
    "Talk": grpc.stream_stream_rpc_method_handler(stream),
}


def main():
    key, certificate = (open(path, "rb").read() for path in sys.argv[1:3])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", HANDLERS),))
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, certificate)]))
    local = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    server.start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    say("LISTENING", f"localhost:{port}", f"127.0.0.1:{local}")
    stop.wait()
    server.stop(grace=None).wait()


if __name__ == "__main__":
    main()
