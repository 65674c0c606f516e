"""One channel for many loops: a call belongs to the loop that runs when it is made.

    aio_many_loops.py HOST:PORT      (a gRPC interop server)
"""

import asyncio
import sys
import threading

from linkspan import aio

channel = aio.insecure_channel(sys.argv[1])
empty_call = channel.unary_unary("/grpc.testing.TestService/EmptyCall")


async def calls():
    await asyncio.gather(*(empty_call(b"", timeout=10) for _ in range(50)))


threads = [threading.Thread(target=asyncio.run, args=(calls(),)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(channel.metrics()["calls"]["succeeded"], "calls over", channel.metrics()["connect_attempts"], "connection")
asyncio.run(channel.close())
