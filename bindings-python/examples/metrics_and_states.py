"""What a channel did, and why.

    metrics_and_states.py HOST:PORT      (a gRPC interop server)
"""

import json
import sys

import linkspan

with linkspan.insecure_channel(sys.argv[1]) as channel:
    linkspan.channel_ready_future(channel).result(timeout=10)
    channel.unary_unary("/grpc.testing.TestService/EmptyCall")(b"", timeout=10)
    for event in channel.events():
        print(event)
    print(json.dumps(channel.metrics()["calls"]))
