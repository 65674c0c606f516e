"""grpcio may be imported before linkspan, after it, or in the middle; each order in a process of its own."""

import pytest
from support.processes import run_program

CALL = """
import sys
address = sys.argv[1]

def fail(channel):
    channel.unary_unary("/test.Service/Status")(b"5 no such thing")

def caught_as(kind, action, *arguments):
    try:
        action(*arguments)
    except kind as error:
        return error
    raise SystemExit("no error")
"""

ORDERS = {
    "linkspan first": """
import linkspan, grpc
channel = linkspan.insecure_channel(address)
""",
    "grpc first": """
import grpc, linkspan
channel = linkspan.insecure_channel(address)
""",
    "grpc after the channel": """
import linkspan
channel = linkspan.insecure_channel(address)
import grpc
""",
    "grpc after a failed call": """
import linkspan
channel = linkspan.insecure_channel(address)
early = caught_as(linkspan.RpcError, fail, channel)
assert early.code() is linkspan.StatusCode.NOT_FOUND
import grpc
""",
    "grpc after an aio channel": """
import linkspan, linkspan.aio
channel = linkspan.insecure_channel(address)
import grpc
""",
}


@pytest.mark.parametrize("order", ORDERS)
def test_errors_are_caught_as_both_in_every_order(order, server):
    program = """
for kind in (grpc.RpcError, linkspan.RpcError):
    error = caught_as(kind, fail, channel)
    assert grpc.RpcError in type(error).__mro__ and linkspan.RpcError in type(error).__mro__
    assert isinstance(error, grpc.Call) and isinstance(error, grpc.Future)
    assert error.code() is grpc.StatusCode.NOT_FOUND
assert caught_as(grpc.FutureTimeoutError, channel.unary_unary("/test.Service/Hang").future(b"").result, 0)
"""
    run_program(CALL + ORDERS[order] + program, server.address)


@pytest.mark.parametrize("kind", ["channel", "method", "aio channel", "aio method"])
def test_isinstance_right_after_a_late_import_is_true(kind, server):
    objects = {
        "channel": ("linkspan.insecure_channel(address)", "grpc.Channel"),
        "method": ("linkspan.insecure_channel(address).unary_stream('/a/B')", "grpc.UnaryStreamMultiCallable"),
        "aio channel": ("linkspan.aio.insecure_channel(address)", "grpc.aio.Channel"),
        "aio method": (
            "linkspan.aio.insecure_channel(address).stream_stream('/a/B')",
            "grpc.aio.StreamStreamMultiCallable",
        ),
    }
    made, wanted = objects[kind]
    program = f"""
import copy, linkspan, linkspan.aio
made = {made}
plain = type(made)
assert made.__class__ is plain and isinstance(made, plain)
import grpc
assert isinstance(made, {wanted})
assert "__class__" not in {{name for base in plain.__mro__[:-1] for name in vars(base)}}
assert made.__class__ is plain and type(copy.copy(made)) is plain
from unittest import mock
assert isinstance(mock.create_autospec(made), plain)
"""
    run_program(CALL + program, server.address)


def test_the_asyncio_face_loaded_after_grpc_was_noticed(server):
    program = """
import grpc, linkspan
linkspan.insecure_channel(address)
import asyncio
from linkspan import aio

async def main():
    async with aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/test.Service/Status")(b"5 x")
        assert isinstance(channel, grpc.aio.Channel) and isinstance(call, grpc.aio.UnaryUnaryCall)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            assert isinstance(error, aio.AioRpcError)
        else:
            raise SystemExit("no error")
        try:
            await channel.stream_stream("/test.Service/Talk")(iter(())).write(b"x")
        except grpc.aio.UsageError as error:
            assert isinstance(error, aio.UsageError) and isinstance(error, grpc.aio.BaseError)
        else:
            raise SystemExit("no error")

asyncio.run(main())
"""
    run_program(CALL + program, server.address)


def test_a_half_imported_grpc_is_left_alone():
    program = """
import linkspan, types
half = types.ModuleType("grpc")
sys.modules["grpc"] = half
channel = linkspan.insecure_channel("localhost:1")
assert type(channel.__class__) is type
del sys.modules["grpc"]
import grpc
assert isinstance(channel, grpc.Channel)
"""
    run_program(CALL + program, "")
