"""A generated stub where grpcio is not installed (protobuf is): `linkspan.stubs.load` imports it all the same.

    without_grpcio.py HOST:PORT      (a gRPC interop server)
"""

import sys

import interop_pb2

import linkspan

services = linkspan.stubs.load("interop_pb2_grpc")
with linkspan.insecure_channel(sys.argv[1]) as channel:
    response = services.TestServiceStub(channel).UnaryCall(interop_pb2.SimpleRequest(response_size=3), timeout=10)
    print(len(response.payload.body), "bytes")
