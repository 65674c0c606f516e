"""grpcio in an asyncio loop; with --uvloop in one of uvloop's."""

import client
from asynchronous import GrpcAio


def load(arguments):
    import grpc.aio

    if arguments.uvloop:
        import uvloop  # noqa: F401, for --start to count it
    return grpc


if __name__ == "__main__":
    client.main("grpcio, asyncio", load, GrpcAio)
