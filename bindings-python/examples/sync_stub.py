"""A generated stub over a linkspan channel: only the line that makes the channel differs from grpcio.

    sync_stub.py HOST:PORT      (a gRPC interop server)
"""

import sys

import interop_pb2
import interop_pb2_grpc

import linkspan

with linkspan.insecure_channel(sys.argv[1]) as channel:
    stub = interop_pb2_grpc.TestServiceStub(channel)
    response = stub.UnaryCall(interop_pb2.SimpleRequest(response_size=3), timeout=10)
    print(len(response.payload.body), "bytes")
    try:
        stub.UnimplementedCall(interop_pb2.Empty(), timeout=10)
    except linkspan.RpcError as error:  # `except grpc.RpcError` works as well
        print(error.code())
