"""The four kinds of call.

    streaming_four_kinds.py HOST:PORT      (a gRPC interop server)
"""

import sys

import interop_pb2 as pb
import interop_pb2_grpc

import linkspan


def payload(size):
    return pb.Payload(body=bytes(size))


def asking(*sizes):
    return pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=size) for size in sizes])


with linkspan.insecure_channel(sys.argv[1]) as channel:
    stub = interop_pb2_grpc.TestServiceStub(channel)

    one = stub.UnaryCall(pb.SimpleRequest(response_size=1))
    print("unary:", len(one.payload.body))

    several = stub.StreamingOutputCall(asking(1, 2, 3))
    print("responses:", [len(response.payload.body) for response in several])

    # A list is sent without a thread; any other iterator is pulled by one.
    total = stub.StreamingInputCall([pb.StreamingInputCallRequest(payload=payload(size)) for size in (1, 2, 3)])
    print("requests:", total.aggregated_payload_size)

    both = stub.FullDuplexCall(asking(size) for size in (4, 5))
    print("both:", [len(response.payload.body) for response in both])
