"""The asyncio channel: states, closing, and what a channel is made with."""

import asyncio

import grpc
import pytest
from support.loops import in_loop

import linkspan
from linkspan import aio

ECHO = "/test.Service/Echo"
States = grpc.ChannelConnectivity


@in_loop
async def test_states_can_be_read_and_awaited(server):
    async with aio.insecure_channel(server.address) as channel:
        assert channel.get_state() is States.IDLE
        changed = asyncio.ensure_future(channel.wait_for_state_change(States.IDLE))
        await asyncio.sleep(0)
        assert not changed.done()
        assert channel.get_state(try_to_connect=True) is States.IDLE
        await changed
        await channel.channel_ready()
        assert channel.get_state() is States.READY
        # A state that is over already is a change.
        await channel.wait_for_state_change(linkspan.ChannelConnectivity.IDLE)
    assert channel.get_state() is States.SHUTDOWN
    assert channel.get_state(try_to_connect=True) is States.SHUTDOWN


@in_loop
async def test_a_channel_can_be_looked_at(server):
    async with aio.insecure_channel(server.address) as channel:
        await channel.unary_unary(ECHO)(b"x")
        snapshot = channel.snapshot()
        assert not snapshot["isPartial"]
        assert snapshot["data"]["callsByCode"] == {"OK": 1}


@in_loop
async def test_a_pending_wait_ends_when_the_channel_closes_and_a_new_one_is_a_misuse(server):
    channel = aio.insecure_channel(server.address)
    waiting = asyncio.ensure_future(channel.wait_for_state_change(States.IDLE))
    await asyncio.sleep(0)
    await channel.close()
    await waiting
    with pytest.raises(grpc.aio.UsageError):
        await channel.wait_for_state_change(States.IDLE)
    with pytest.raises(aio.UsageError):
        await channel.channel_ready()


@in_loop
async def test_a_cancelled_wait_leaves_the_channel_alone(server):
    async with aio.insecure_channel(server.address) as channel:
        waiting = asyncio.ensure_future(channel.wait_for_state_change(States.IDLE))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await channel.unary_unary(ECHO)(b"x") == b"x"


@in_loop
async def test_close_cancels_running_calls(own_server):
    channel = aio.insecure_channel(own_server.address)
    call = channel.unary_unary("/test.Service/Hang")(b"")
    own_server.expect("ARRIVED Hang")
    await channel.close()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is grpc.StatusCode.CANCELLED
    with pytest.raises(grpc.aio.UsageError, match="closed"):
        channel.unary_unary(ECHO)(b"")
    with pytest.raises(grpc.aio.UsageError, match="closed"):
        channel.stream_stream("/test.Service/Talk")()


@in_loop
async def test_close_with_grace_lets_calls_end(own_server):
    other = aio.insecure_channel(own_server.address)
    channel = aio.insecure_channel(own_server.address)
    call = channel.unary_unary("/test.Service/Hold")(b"x")
    own_server.expect("ARRIVED Hold")
    closing = asyncio.ensure_future(channel.close(grace=30))
    await asyncio.sleep(0)
    await other.unary_unary("/test.Service/Release")(b"")
    await closing
    assert await call == b"x"
    await other.close()


@in_loop
async def test_close_cancels_what_is_not_done_after_the_grace(own_server):
    channel = aio.insecure_channel(own_server.address)
    call = channel.unary_unary("/test.Service/Hang")(b"x")
    own_server.expect("ARRIVED Hang")
    await channel.close(grace=0.1)
    with pytest.raises(asyncio.CancelledError):
        await call
    own_server.expect("ENDED Hang")


@in_loop
async def test_a_negative_grace_is_refused(server):
    async with aio.insecure_channel(server.address) as channel:
        with pytest.raises(ValueError, match="grace"):
            await channel.close(-1)


def test_a_channel_may_be_made_without_a_loop_and_with_an_empty_target():
    channel = aio.insecure_channel("")
    assert channel._loop is None

    async def call():
        with pytest.raises(ValueError, match="target"):
            channel.unary_unary(ECHO)(b"")

    asyncio.run(call())


def test_the_two_faces_share_their_connections(server):
    with linkspan.insecure_channel(server.address) as channel:
        channel.unary_unary(ECHO)(b"x")

        async def call():
            both = channel.aio
            assert await both.unary_unary(ECHO)(b"y") == b"y"
            assert both.sync.unary_unary(ECHO)(b"z") == b"z"

        asyncio.run(call())
        assert channel.metrics()["connect_attempts"] == 1
        assert channel.metrics()["calls"]["succeeded"] == 3


@in_loop
async def test_connect_is_the_face_with_linkspans_own_defaults(silent_address):
    async with aio.connect(silent_address, credentials=linkspan.insecure_channel_credentials()) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(b"", timeout=0.1)
    assert caught.value.details().startswith("deadline exceeded")


def test_init_and_shutdown_are_there_and_do_nothing():
    aio.init_grpc_aio()
    aio.shutdown_grpc_aio()
