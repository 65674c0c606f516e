"""A grpcio server that says who it is: the demo's and the language tests' peer when calls must be told apart.

Run with the project's venv:  .tools/venv/bin/python tests/server/identity_server.py --port 0 --name server-1
The first line on stdout is `LISTENING HOST:PORT`; SIGTERM ends it.
"""

import argparse
import pathlib
import signal
import sys
import threading
from concurrent import futures

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".tools" / "generated" / "python"))

import interop_pb2  # noqa: E402  (generated, found through the path above)
import interop_pb2_grpc  # noqa: E402


class TestService(interop_pb2_grpc.TestServiceServicer):
    """EmptyCall, UnaryCall and FullDuplexCall; every other method stays UNIMPLEMENTED."""

    def __init__(self, name):
        self._name = name

    def EmptyCall(self, request, context):
        context.set_trailing_metadata((("x-server-id", self._name),))
        return interop_pb2.Empty()

    def UnaryCall(self, request, context):
        context.set_trailing_metadata((("x-server-id", self._name),))
        if request.response_status.code:
            context.set_code(_STATUS_BY_NUMBER[request.response_status.code])
            context.set_details(request.response_status.message)
            return interop_pb2.SimpleResponse()
        return interop_pb2.SimpleResponse(
            payload=interop_pb2.Payload(body=bytes(request.response_size)),
            server_id=self._name if request.fill_server_id else "",
        )

    def FullDuplexCall(self, requests, context):
        for request in requests:
            for parameters in request.response_parameters:
                payload = interop_pb2.Payload(body=bytes(parameters.size))
                yield interop_pb2.StreamingOutputCallResponse(payload=payload)


_STATUS_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="the address it listens at; IPv6 has brackets")
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.add_argument("--name", required=True, help="what server_id answers")
    arguments = parser.parse_args()

    # so_reuseport off: a second server on a port in use must fail, not share its connections.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    interop_pb2_grpc.add_TestServiceServicer_to_server(TestService(arguments.name), server)
    port = server.add_insecure_port(f"{arguments.host}:{arguments.port}")
    server.start()

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"LISTENING {arguments.host}:{port}", flush=True)
    stop.wait()
    server.stop(grace=None).wait()


if __name__ == "__main__":
    main()
