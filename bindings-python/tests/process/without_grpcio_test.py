"""Everything works in an interpreter that has no grpcio: it runs without site-packages."""

import pytest
from support.interop import generated, interop_server
from support.packages import only
from support.processes import run_program

START = """
import sys
sys.path.insert(0, sys.argv[1])
address = sys.argv[2]
try:
    import grpc
except ImportError:
    pass
else:
    raise SystemExit("grpcio is importable here, so this proves nothing")
import linkspan
"""


@pytest.fixture
def run(tmp_path, server):
    def run(program):
        run_program(START + program, only(tmp_path, "linkspan"), server.address, python_flags=["-S"])

    return run


def test_blocking_calls_and_errors(run):
    run(
        """
with linkspan.insecure_channel(address) as channel:
    assert channel.unary_unary("/test.Service/Echo")(b"x") == b"x"
    assert list(channel.unary_stream("/test.Service/Count")(b"3")) == [b"0", b"1", b"2"]
    assert channel.stream_unary("/test.Service/Collect")(iter([b"a", b"b"])) == b"a,b"
    assert list(channel.stream_stream("/test.Service/Talk")([b"a", b"b"])) == [b"a", b"b"]
    assert channel.unary_unary("/test.Service/Echo").future(b"x").result() == b"x"
    linkspan.channel_ready_future(channel).result(timeout=30)
    try:
        channel.unary_unary("/test.Service/Status")(b"5 no such thing")
    except linkspan.RpcError as error:
        assert type(error).__mro__[1:3] and error.code() is linkspan.StatusCode.NOT_FOUND
        assert error.details() == "no such thing"
        import copy, pickle
        assert copy.copy(error).code() is pickle.loads(pickle.dumps(error)).code() is linkspan.StatusCode.NOT_FOUND
    else:
        raise SystemExit("no error")
"""
    )


def test_asyncio_calls_and_errors(run):
    run(
        """
import asyncio
from linkspan import aio

async def main():
    async with aio.insecure_channel(address) as channel:
        assert await channel.unary_unary("/test.Service/Echo")(b"x") == b"x"
        assert [m async for m in channel.unary_stream("/test.Service/Count")(b"2")] == [b"0", b"1"]
        call = channel.stream_stream("/test.Service/Talk")()
        await call.write(b"a")
        assert await call.read() == b"a"
        await call.done_writing()
        assert await call.read() is aio.EOF
        assert channel.get_state() is linkspan.ChannelConnectivity.READY
        try:
            await channel.unary_unary("/test.Service/Status")(b"5 x")
        except aio.AioRpcError as error:
            assert isinstance(error, linkspan.RpcError) and error.code() is linkspan.StatusCode.NOT_FOUND
        else:
            raise SystemExit("no error")

asyncio.run(main())
"""
    )


def test_generated_stubs_load_and_run_and_leave_no_trace(tmp_path):
    generated(tmp_path)
    program = """
services = linkspan.stubs.load("interop_pb2_grpc")
assert linkspan.stubs.load("interop_pb2_grpc") is services
import interop_pb2 as messages
assert not [name for name in sys.modules if name.partition(".")[0] == "grpc"]
with linkspan.insecure_channel(address) as channel:
    stub = services.TestServiceStub(channel)
    assert stub.UnaryCall(messages.SimpleRequest(response_size=3)).payload.body == bytes(3)
    try:
        stub.UnimplementedCall(messages.Empty())
    except linkspan.RpcError as error:
        assert error.code() is linkspan.StatusCode.UNIMPLEMENTED
try:
    services.TestService.EmptyCall(messages.Empty(), address)
except ImportError as error:
    assert "needs grpcio" in str(error)
else:
    raise SystemExit("the experimental function ran")
"""
    with interop_server() as server:
        folder = only(tmp_path, "linkspan", "google")
        run_program(START + program, folder, server.address, python_flags=["-S"])
