"""Many grpcio servers in one process, for tests that spread calls: each has addresses of its own, one or many, and counts what comes.

Run with the project's venv:  .tools/venv/bin/python tests/server/grpcio_servers.py --servers 4
The first line on stdout is `LISTENING host:port,host:port,...`. Each line on stdin is a command in JSON and is answered by one:
{"ask": "counts"}, and {"set": {"halves": [4]}}, after which the fifth server fails every second call. The end of stdin ends it.
`GrpcioServers` of scripted.py does this. With --hosts there is one on each of these hosts, and all have the same port.

Whatever the method, a call is answered at once with an empty message. Excepted are `Sleep`, which takes as many milliseconds as its message
says, and `Hold`, which is answered after {"set": {"held": false}}.
"""

import argparse
import asyncio
import collections
import json
import os
import sys

import grpc


class Served:
    """What one server does, and what it did."""

    def __init__(self):
        self.halves = False
        self.let_go = asyncio.Event()
        self.calls = 0
        self.failed = 0
        self._running = collections.Counter()
        self._most_running = collections.Counter()

    async def serve(self, method, request, context):
        self.calls += 1
        # A connection is known by where it comes from.
        connection = context.peer()
        self._running[connection] += 1
        self._most_running[connection] = max(self._most_running[connection], self._running[connection])
        try:
            if method.endswith("/Sleep"):
                await asyncio.sleep(int(request) / 1000)
            elif method.endswith("/Hold"):
                await self.let_go.wait()
            elif self.halves and self.calls % 2:
                self.failed += 1
                await context.abort(grpc.StatusCode.UNAVAILABLE, "as told")
            return b""
        finally:
            self._running[connection] -= 1

    def counts(self):
        """The most calls at once are told for each connection that had any, the first one first."""
        return {"calls": self.calls, "failed": self.failed, "most_at_once": list(self._most_running.values())}


class EveryMethod(grpc.GenericRpcHandler):
    def __init__(self, served):
        self._served = served

    def service(self, handler_call_details):
        method = handler_call_details.method

        async def serve(request, context):
            return await self._served.serve(method, request, context)

        return grpc.unary_unary_rpc_method_handler(serve)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--ports", type=int, default=1, help="of each server")
    parser.add_argument("--hosts", type=lambda text: text.split(","), help="one on each, all on one port; instead of --servers")
    parser.add_argument("--max-streams", type=int, help="streams that a connection may have at once")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments))


async def serve(arguments):
    options = [("grpc.so_reuseport", 0)]
    if arguments.max_streams:
        options.append(("grpc.max_concurrent_streams", arguments.max_streams))
    all_served, servers, addresses, port = [], [], [], 0
    for host in arguments.hosts or ["127.0.0.1"] * arguments.servers:
        served, server = Served(), grpc.aio.server(options=options)
        server.add_generic_rpc_handlers((EveryMethod(served),))
        for _ in range(arguments.ports):
            bound = server.add_insecure_port(f"{host}:{port}")
            addresses.append(f"{host}:{bound}")
        port = bound if arguments.hosts else 0
        await server.start()
        all_served.append(served)
        servers.append(server)
    say("LISTENING " + ",".join(addresses))
    async for command in commands():
        say(json.dumps(obey(command, all_served)))
    for server in servers:
        await server.stop(None)


async def commands():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield json.loads(line)


def obey(command, all_served):
    if command == {"ask": "counts"}:
        return {"servers": [served.counts() for served in all_served]}
    if list(command) == ["set"] and list(command["set"]) == ["halves"]:
        for number, served in enumerate(all_served):
            served.halves = number in command["set"]["halves"]
        return {}
    if command == {"set": {"held": False}}:
        for served in all_served:
            served.let_go.set()
        return {}
    return {"error": "not a command"}


def say(line):
    os.write(sys.stdout.fileno(), line.encode() + b"\n")


if __name__ == "__main__":
    main()
