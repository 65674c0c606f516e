"""Unary calls of the asyncio face."""

import asyncio
import math

import grpc
import pytest
from support.loops import in_loop

import linkspan
from linkspan import aio

ECHO = "/test.Service/Echo"


def channel_to(server):
    return aio.insecure_channel(server.address)


@in_loop
async def test_bytes_go_there_and_back(server):
    async with channel_to(server) as channel:
        assert await channel.unary_unary(ECHO)(b"there and back") == b"there and back"


@in_loop
async def test_a_call_can_be_awaited_again_and_gives_the_same_object(server):
    async with channel_to(server) as channel:
        call = channel.unary_unary(ECHO, response_deserializer=lambda message: [message])(b"x")
        first = await call
        assert first == [b"x"]
        assert await call is first
        assert call.done() and not call.cancelled() and not call.cancel()
        assert isinstance(call, grpc.aio.UnaryUnaryCall) and isinstance(call, grpc.aio.Call)


@in_loop
async def test_metadata_and_status_of_a_call(server):
    async with channel_to(server) as channel:
        call = channel.unary_unary(ECHO)(b"x", metadata=aio.Metadata(("echo-a", "1"), ("echo-bin", b"\xff")))
        await call
        for metadata in (await call.initial_metadata(), await call.trailing_metadata()):
            assert isinstance(metadata, aio.Metadata)
            assert metadata["echo-a"] == "1" and metadata["echo-bin"] == b"\xff"
        assert await call.code() is grpc.StatusCode.OK
        assert await call.details() == ""
        assert await call.debug_error_string() == ""


@in_loop
async def test_the_servers_status_is_raised(server):
    async with channel_to(server) as channel:
        call = channel.unary_unary("/test.Service/Status")(b"5 no such thing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        error = caught.value
        assert isinstance(error, linkspan.RpcError) and isinstance(error, aio.AioRpcError)
        assert error.code() is grpc.StatusCode.NOT_FOUND and error.details() == "no such thing"
        assert error.trailing_metadata()["why"] == "asked-for"
        assert error.peer == server.address and error.sent
        assert await call.code() is grpc.StatusCode.NOT_FOUND
        assert (await call.trailing_metadata())["raw-bin"] == b"\x00\xff"


@in_loop
async def test_a_call_runs_although_nobody_awaits_it(own_server):
    async with channel_to(own_server) as channel:
        channel.unary_unary("/test.Service/Hold")(b"")
        while own_server.line() != "ARRIVED Hold":
            pass


@in_loop
async def test_many_calls_at_once(server):
    async with channel_to(server) as channel:
        call = channel.unary_unary(ECHO)
        # Below the number of waiting calls from which grpcio's server turns some away.
        messages = [str(number).encode() for number in range(900)]
        assert await asyncio.gather(*map(call, messages)) == messages


@pytest.mark.parametrize("timeout", [0, -1, -math.inf])
@in_loop
async def test_a_timeout_that_is_over_sends_nothing(server, timeout):
    async with channel_to(server) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(b"", timeout=timeout)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not caught.value.sent


@in_loop
async def test_a_very_long_timeout_is_none(server):
    async with channel_to(server) as channel:
        for timeout in (math.inf, 1e300):
            assert await channel.unary_unary(ECHO)(b"x", timeout=timeout) == b"x"


@pytest.mark.parametrize(("timeout", "error"), [(math.nan, ValueError), ("1", TypeError)])
@in_loop
async def test_a_bad_timeout_is_refused(server, timeout, error):
    async with channel_to(server) as channel:
        for method in (channel.unary_unary(ECHO), channel.unary_stream(ECHO)):
            with pytest.raises(error, match="timeout"):
                method(b"", timeout=timeout)


@in_loop
async def test_the_deadline_ends_a_call(silent_address):
    async with aio.insecure_channel(silent_address) as channel:
        call = channel.unary_unary(ECHO)(b"", timeout=0.1)
        assert 0 < call.time_remaining() <= 0.1
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert caught.value.details().startswith("Deadline Exceeded")


@in_loop
async def test_cancelling_the_call_raises_cancelled_error(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_unary("/test.Service/Hang")(b"")
        own_server.expect("ARRIVED Hang")
        assert call.cancel() is True
        assert call.cancel() is False
        assert call.cancelled() and call.done()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert await call.details() == "Locally cancelled by application!"
        own_server.expect("ENDED Hang")


@in_loop
async def test_cancelling_the_task_that_awaits_the_call_cancels_the_call(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_unary("/test.Service/Hang")(b"")

        async def wait():
            await call

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        own_server.expect("ARRIVED Hang")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert call.cancelled()
        own_server.expect("ENDED Hang")


@pytest.mark.parametrize("what", ["code", "details", "initial_metadata", "trailing_metadata", "debug_error_string"])
@in_loop
async def test_cancelling_a_task_that_only_asks_leaves_the_call_alone(own_server, what):
    async with channel_to(own_server) as channel:
        call = channel.unary_unary("/test.Service/Hold")(b"x")
        asking = asyncio.ensure_future(getattr(call, what)())
        other = asyncio.ensure_future(call.code())
        await asyncio.sleep(0)
        own_server.expect("ARRIVED Hold")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await channel.unary_unary("/test.Service/Release")(b"")
        assert await call == b"x"
        assert await other is grpc.StatusCode.OK


@in_loop
async def test_wait_for_gives_up_on_a_call(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_unary("/test.Service/Hang")(b"")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(call, 0.1)
        assert call.cancelled()


@in_loop
async def test_done_callbacks_run_in_the_loop_and_at_once_after_the_end(server):
    async with channel_to(server) as channel:
        loop, told = asyncio.get_running_loop(), []
        call = channel.unary_unary(ECHO)(b"x")
        call.add_done_callback(lambda done: told.append((done, asyncio.get_running_loop())))
        await call
        await asyncio.sleep(0)
        assert told == [(call, loop)]
        call.add_done_callback(lambda done: told.append(done))
        assert told[1] is call


@pytest.mark.parametrize("broken", [lambda request: 1 / 0, lambda request: None])
@in_loop
async def test_a_serializer_that_fails_sends_nothing(server, broken):
    async with channel_to(server) as channel:
        call = channel.unary_unary(ECHO, request_serializer=broken)(b"x")
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details() == "Exception serializing request!"
        assert isinstance(caught.value.__cause__, (ZeroDivisionError, TypeError))
        assert channel.metrics()["calls"]["started"] == 0


@in_loop
async def test_a_request_that_is_not_bytes_is_refused(server):
    async with channel_to(server) as channel:
        for request in (None, "text"):
            with pytest.raises(TypeError, match="bytes"):
                channel.unary_unary(ECHO)(request)


@pytest.mark.parametrize("broken", [lambda response: 1 / 0, lambda response: None])
@in_loop
async def test_a_deserializer_that_fails_is_internal(server, broken):
    async with channel_to(server) as channel:
        call = channel.unary_unary(ECHO, response_deserializer=broken)(b"x")
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details() == "Exception deserializing response!"
        assert isinstance(caught.value.__cause__, (ZeroDivisionError, TypeError))
        assert await call.code() is grpc.StatusCode.INTERNAL


@in_loop
async def test_metadata_that_breaks_a_rule_names_the_key(server):
    async with channel_to(server) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(b"", metadata=(("Upper", "v"),))
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details().startswith("Invalid metadata") and "Upper" in caught.value.details()


@in_loop
async def test_options_are_by_keyword_only_where_there_is_one_request(server):
    async with channel_to(server) as channel:
        for method in (channel.unary_unary(ECHO), channel.unary_stream(ECHO)):
            with pytest.raises(TypeError):
                method(b"x", 1)
        assert await channel.stream_unary("/test.Service/Collect")([b"a"], 10) == b"a"


@in_loop
async def test_call_credentials_on_plaintext_are_a_misuse(server):
    async with channel_to(server) as channel:
        with pytest.raises(grpc.aio.UsageError, match="only valid on secure channels"):
            channel.unary_unary(ECHO)(b"", credentials=grpc.access_token_call_credentials("token"))


@in_loop
async def test_wait_for_connection(server, refused_address):
    async with channel_to(server) as channel:
        call = channel.unary_unary(ECHO)(b"x")
        await call.wait_for_connection()
        assert channel.get_state() is grpc.ChannelConnectivity.READY
        assert await call == b"x"
    async with aio.insecure_channel(refused_address) as channel:
        call = channel.unary_unary(ECHO)(b"x")
        with pytest.raises(aio.AioRpcError):
            await call.wait_for_connection()
