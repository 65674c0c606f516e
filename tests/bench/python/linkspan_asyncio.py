"""linkspan in an asyncio loop; with --uvloop in one of uvloop's."""

import client
from asynchronous import GrpcAio


def load(arguments):
    import linkspan.aio

    if arguments.uvloop:
        import uvloop  # noqa: F401, for --start to count it
    return linkspan


if __name__ == "__main__":
    client.main("linkspan, asyncio", load, GrpcAio)
