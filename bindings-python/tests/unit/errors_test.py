"""Errors pickle and copy, and say what grpcio's say."""

import asyncio
import copy
import pickle

import grpc
import pytest

import linkspan
from linkspan import aio


@pytest.fixture
def error(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Service/Status")(b"10 lost the race")
    return caught.value


@pytest.fixture
def aio_error(server):
    async def call():
        async with aio.insecure_channel(server.address) as channel:
            await channel.unary_unary("/test.Service/Status")(b"10 lost the race")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        asyncio.run(call())
    return caught.value


@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("which", ["error", "aio_error"])
def test_an_error_survives_pickle_and_copy(again, which, request):
    original = request.getfixturevalue(which)
    twin = again(original)
    assert type(twin) is type(original)
    assert twin.code() is grpc.StatusCode.ABORTED
    assert twin.details() == "lost the race"
    assert list(twin.trailing_metadata()) == list(original.trailing_metadata())
    assert dict(twin.trailing_metadata())["raw-bin"] == b"\x00\xff"
    assert (twin.trail, twin.peer, twin.sent) == (original.trail, original.peer, original.sent)
    assert str(twin) == str(original)


@pytest.mark.parametrize("which", ["error", "aio_error"])
def test_an_error_is_caught_as_ours_and_as_grpcios(which, request):
    error = request.getfixturevalue(which)
    assert isinstance(error, linkspan.RpcError)
    assert isinstance(error, grpc.RpcError)
    assert grpc.RpcError in type(error).__mro__


def test_a_blocking_error_answers_as_call_and_as_future(error):
    assert isinstance(error, grpc.Call)
    assert isinstance(error, grpc.Future)
    assert error.done() and not error.running() and not error.cancelled() and not error.cancel()
    assert error.exception() is error
    with pytest.raises(grpc.RpcError) as raised:
        error.result()
    assert raised.value is error


def test_the_text_has_grpcios_shape_and_the_server_as_its_author(error, server):
    lines = str(error).splitlines()
    assert lines[0].endswith("of RPC that terminated with:")
    assert lines[1] == "\tstatus = StatusCode.ABORTED"
    assert lines[2] == '\tdetails = "lost the race"'
    assert lines[3].startswith('\tdebug_error_string = "lost the race')
    assert error.peer == server.address
    assert error.sent


def test_an_error_without_a_server_says_that_nothing_was_sent(refused_address):
    with linkspan.insecure_channel(refused_address) as channel, pytest.raises(linkspan.RpcError) as caught:
        channel.unary_unary("/test.Service/Echo")(b"")
    error = caught.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert not error.sent
    assert refused_address in error.details()
    assert error.trail and error.trail in error.debug_error_string()
    assert error.trailing_metadata() == ()


def test_aio_rpc_error_is_made_as_grpcios_is():
    error = aio.AioRpcError(
        linkspan.StatusCode.NOT_FOUND, aio.Metadata(("a", "1")), aio.Metadata(), details="gone", debug_error_string="x"
    )
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error.details() == "gone"
    assert error.initial_metadata()["a"] == "1"
    assert pickle.loads(pickle.dumps(error)).details() == "gone"
