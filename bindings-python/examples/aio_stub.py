"""A generated stub in an event loop: `linkspan.aio` takes the place of `grpc.aio`.

    aio_stub.py HOST:PORT      (a gRPC interop server)
"""

import asyncio
import sys

import interop_pb2 as pb
import interop_pb2_grpc

from linkspan import aio


async def main(target):
    async with aio.insecure_channel(target) as channel:
        stub = interop_pb2_grpc.TestServiceStub(channel)
        calls = [stub.UnaryCall(pb.SimpleRequest(response_size=size), timeout=10) for size in range(100)]
        responses = await asyncio.gather(*calls)
        print(sum(len(response.payload.body) for response in responses), "bytes")

        sizes = [pb.ResponseParameters(size=size) for size in (1, 2, 3)]
        stream = stub.StreamingOutputCall(pb.StreamingOutputCallRequest(response_parameters=sizes))
        async for response in stream:
            print(len(response.payload.body))
        print(await stream.code())


asyncio.run(main(sys.argv[1]))
