"""Bytes in, bytes out: no stub, no serializer, no grpcio.

    sync_generic_bytes.py HOST:PORT      (a gRPC interop server)
"""

import sys

import linkspan

with linkspan.connect(sys.argv[1], credentials=linkspan.insecure_channel_credentials()) as channel:
    empty_call = channel.unary_unary("/grpc.testing.TestService/EmptyCall")
    response, call = empty_call.with_call(b"", timeout=10)
    print(len(response), "bytes", call.code(), "from", call.peer)
