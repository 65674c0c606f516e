"""gRPC's interop server on grpcio: everything of grpc.testing.TestService that the cases ask for.

Run with the project's venv:  .tools/venv/bin/python tests/server/grpcio_interop_server.py --name grpcio-1 [--port N] [--max-streams N]
The first line on stdout is `LISTENING HOST:PORT`; SIGTERM ends it.

Requests arrive as they were sent: grpcio is told not to decompress them, because only so can `expect_compressed` be judged.
"""

import argparse
import asyncio
import gzip
import pathlib
import signal
import sys

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".tools" / "generated" / "python"))

import interop_pb2 as messages  # noqa: E402  (generated, found through the path above)

LARGEST_REQUEST = 16 << 20
INITIAL_KEY = "x-grpc-test-echo-initial"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"
STATUS_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}
# What a gzip stream begins with, RFC 1952 §2.3.1. No request does: it would be field 3 with a wire type that does not exist.
GZIP = b"\x1f\x8b"


class TestService:
    """UnimplementedCall is missing, as everywhere."""

    def __init__(self, name):
        self._name = name

    async def empty_call(self, request, context):
        return messages.Empty()

    async def unary_call(self, received, context):
        request, is_compressed = received
        await echo_metadata(context)
        await judge_compression(request, is_compressed, context)
        await end_as_asked(request, context)
        compress(request.response_compressed, context)
        return messages.SimpleResponse(
            payload=zeros(request.response_size), server_id=self._name if request.fill_server_id else "", hostname=self._name
        )

    async def streaming_output_call(self, received, context):
        request, _ = received
        await self._respond(request, context)

    async def streaming_input_call(self, requests, context):
        size = 0
        async for request, is_compressed in requests:
            await judge_compression(request, is_compressed, context)
            size += len(request.payload.body)
        return messages.StreamingInputCallResponse(aggregated_payload_size=size)

    async def full_duplex_call(self, requests, context):
        await echo_metadata(context)
        async for request, _ in requests:
            await self._respond(request, context)

    async def _respond(self, request, context):
        await end_as_asked(request, context)
        for parameters in request.response_parameters:
            await asyncio.sleep(parameters.interval_us / 1_000_000)
            compress(parameters.compressed, context)
            peer = context.peer() if parameters.fill_peer_socket_address.value else ""
            response = messages.StreamingOutputCallResponse(payload=zeros(parameters.size), peer_socket_address=peer)
            await context.write(response)


def zeros(size):
    return messages.Payload(body=bytes(size))


async def echo_metadata(context):
    metadata = dict(context.invocation_metadata())
    if INITIAL_KEY in metadata:
        await context.send_initial_metadata(((INITIAL_KEY, metadata[INITIAL_KEY]),))
    if TRAILING_KEY in metadata:
        context.set_trailing_metadata(((TRAILING_KEY, metadata[TRAILING_KEY]),))


async def judge_compression(request, is_compressed, context):
    if request.HasField("expect_compressed") and request.expect_compressed.value != is_compressed:
        came = "compressed" if is_compressed else "not compressed"
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the message came {came}")


async def end_as_asked(request, context):
    if request.response_status.code:
        await context.abort(STATUS_BY_NUMBER[request.response_status.code], request.response_status.message)


def compress(wish, context):
    """The server compresses what it may; this message is excepted unless it was asked for."""
    if not wish.value:
        context.disable_next_message_compression()


def read(kind):
    """What reads a message of this kind, and whether it came compressed."""

    def reader(received):
        is_compressed = received.startswith(GZIP)
        return kind.FromString(gzip.decompress(received) if is_compressed else received), is_compressed

    return reader


def handlers(service):
    simple, output = read(messages.SimpleRequest), read(messages.StreamingOutputCallRequest)
    methods = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(service.empty_call, read(messages.Empty), as_bytes),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(service.unary_call, simple, as_bytes),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(service.streaming_output_call, output, as_bytes),
        "StreamingInputCall": grpc.stream_unary_rpc_method_handler(
            service.streaming_input_call, read(messages.StreamingInputCallRequest), as_bytes
        ),
        "FullDuplexCall": grpc.stream_stream_rpc_method_handler(service.full_duplex_call, output, as_bytes),
    }
    return grpc.method_handlers_generic_handler("grpc.testing.TestService", methods)


def as_bytes(message):
    return message.SerializeToString()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.add_argument("--name", default="grpcio", help="what server_id answers")
    parser.add_argument("--max-streams", type=int, help="streams that a connection may have at once")
    asyncio.run(serve(parser.parse_args()))


async def serve(arguments):
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", LARGEST_REQUEST),
        # C-core's own word for "leave messages as they are".
        ("grpc.per_message_decompression", 0),
    ]
    if arguments.max_streams:
        options.append(("grpc.max_concurrent_streams", arguments.max_streams))
    server = grpc.aio.server(options=options, compression=grpc.Compression.Gzip)
    server.add_generic_rpc_handlers((handlers(TestService(arguments.name)),))
    port = server.add_insecure_port(f"127.0.0.1:{arguments.port}")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(f"LISTENING 127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    main()
