"""Streams of the asyncio face."""

import asyncio
import gc

import grpc
import pytest
from support.loops import in_loop, until

from linkspan import aio

COUNT, TALK, COLLECT = "/test.Service/Count", "/test.Service/Talk", "/test.Service/Collect"


def channel_to(server):
    return aio.insecure_channel(server.address)


@in_loop
async def test_async_for_gives_responses_in_order(server):
    async with channel_to(server) as channel:
        call = channel.unary_stream(COUNT, response_deserializer=int)(b"1000")
        assert [number async for number in call] == list(range(1000))
        assert await call.code() is grpc.StatusCode.OK
        assert isinstance(call, grpc.aio.UnaryStreamCall)


@in_loop
async def test_read_gives_responses_and_then_eof(server):
    async with channel_to(server) as channel:
        call = channel.unary_stream(COUNT, response_deserializer=int)(b"3")
        assert [await call.read() for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            end = await call.read()
            assert end is aio.EOF and end is grpc.aio.EOF and not end


@in_loop
async def test_responses_before_a_failure_come_first(server):
    async with channel_to(server) as channel:
        call = channel.unary_stream("/test.Service/CountThenFail", response_deserializer=int)(b"20")
        seen = []
        with pytest.raises(aio.AioRpcError) as caught:
            async for number in call:
                seen.append(number)
        assert seen == list(range(20))
        assert caught.value.code() is grpc.StatusCode.ABORTED
        with pytest.raises(aio.AioRpcError):
            await call._next_response()


@in_loop
async def test_the_two_styles_do_not_mix(server):
    async with channel_to(server) as channel:
        call = channel.unary_stream(COUNT)(b"3")
        await call.read()
        with pytest.raises(grpc.aio.UsageError, match="may not be mixed"):
            call.__aiter__()
        call = channel.stream_stream(TALK)(iter([b"x"]))
        for misuse in (call.write(b"y"), call.done_writing()):
            with pytest.raises(aio.UsageError, match="may not be mixed"):
                await misuse


@in_loop
async def test_a_conversation_by_write_and_read(server):
    async with channel_to(server) as channel:
        call = channel.stream_stream(TALK)()
        for number in range(100):
            await call.write(str(number).encode())
            assert await call.read() == str(number).encode()
        await call.done_writing()
        await call.done_writing()
        assert await call.read() is aio.EOF
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"after the end")


@in_loop
async def test_writing_after_half_close_is_refused(own_server):
    async with channel_to(own_server) as channel:
        call = channel.stream_stream("/test.Service/TalkHanging")()
        await call.write(b"x")
        await call.read()
        await call.done_writing()
        with pytest.raises(asyncio.InvalidStateError, match="half closed"):
            await call.write(b"y")
        call.cancel()


@pytest.mark.parametrize("kind", ["list", "iterator", "async generator"])
@in_loop
async def test_requests_may_come_from_any_iterator(server, kind):
    messages = [bytes([number]) * 100_000 for number in range(30)]

    async def generator():
        for message in messages:
            await asyncio.sleep(0)
            yield message

    requests = {"list": messages, "iterator": iter(messages), "async generator": generator()}[kind]
    async with channel_to(server) as channel:
        assert await channel.stream_unary(COLLECT)(requests) == b",".join(messages)


@in_loop
async def test_a_stream_of_requests_by_write(server):
    async with channel_to(server) as channel:
        call = channel.stream_unary(COLLECT)()
        await call.write(b"a")
        await call.write(b"b")
        await call.done_writing()
        assert await call == b"a,b"
        assert isinstance(call, grpc.aio.StreamUnaryCall)


@in_loop
async def test_write_waits_while_there_is_no_room(own_server):
    async with channel_to(own_server) as channel:
        call = channel.stream_unary("/test.Service/CollectHanging")()
        written = 0

        async def write_for_ever():
            nonlocal written
            while True:
                await call.write(bytes(1_000_000))
                written += 1

        writing = asyncio.ensure_future(write_for_ever())
        own_server.expect("ARRIVED CollectHanging")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(writing), 0.5)
        assert written < 40
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
@in_loop
async def test_a_request_iterator_that_raises_ends_the_call(server, kind, caplog):
    async def requests():
        yield b"a"
        raise LookupError("no more")

    async with channel_to(server) as channel:
        call = getattr(channel, kind)(COLLECT if kind == "stream_unary" else TALK)(requests())
        with pytest.raises(aio.AioRpcError) as caught:
            if kind == "stream_unary":
                await call
            else:
                async for _ in call:
                    pass
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
        assert caught.value.details() == "Exception iterating requests!"
        assert isinstance(caught.value.__cause__, LookupError)
        assert "no more" in caplog.text


@in_loop
async def test_the_end_of_the_call_ends_its_request_iterator(server):
    ended = asyncio.Event()

    async def requests():
        try:
            yield b"x"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with channel_to(server) as channel:
        call = channel.stream_stream("/test.Service/Refuse")(requests())
        with pytest.raises(aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        await ended.wait()


@in_loop
async def test_cancelling_a_reading_task_cancels_the_call(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        assert await call.read() == b"x"
        reading = asyncio.ensure_future(call.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert call.cancelled()
        own_server.expect("ENDED OneThenHang")


@in_loop
async def test_cancel_wakes_a_reader(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        await call.read()
        reading = asyncio.ensure_future(call.read())
        await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


@in_loop
async def test_a_collected_stream_is_cancelled(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        await call.read()
        own_server.expect("ARRIVED OneThenHang")
        del call
        gc.collect()
        own_server.expect("ENDED OneThenHang")
        await until(lambda: not channel._running)


@in_loop
async def test_a_stream_with_a_done_callback_is_kept_until_its_end(own_server):
    told = asyncio.Event()
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x", timeout=0.3)
        call.add_done_callback(lambda done: told.set())
        del call
        gc.collect()
        await told.wait()


@in_loop
async def test_a_deserializer_that_fails_cancels_the_stream(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang", response_deserializer=lambda m: 1 / 0)(b"x")
        with pytest.raises(aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details() == "Exception deserializing response!"
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert await call.code() is grpc.StatusCode.INTERNAL
        own_server.expect("ENDED OneThenHang")


@in_loop
async def test_a_slow_reader_holds_the_server_back(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/Endless")(b"100000")
        for _ in range(50):
            assert len(await call.read()) == 100_000
        assert channel.metrics()["bytes_received"] < 50 * 100_000 + 20_000_000
        call.cancel()


@pytest.mark.parametrize(
    ("held", "waiting_bytes", "largest", "asked_for"),
    [
        pytest.param(0, 0, 0, 8, id="few while no size is known"),
        pytest.param(4, 256, 64, 60, id="many small ones"),
        pytest.param(33, 0, 64, 0, id="not before half of them are used up"),
        pytest.param(32, 0, 64, 32, id="then all of them"),
        pytest.param(0, 0, 4_096, 16, id="as many as fit at the size of the largest"),
        pytest.param(0, 0, 4_000_000, 8, id="a few large ones"),
        pytest.param(0, 65_536, 64, 0, id="none while enough waits"),
    ],
)
@in_loop
async def test_how_many_messages_a_stream_asks_for(own_server, held, waiting_bytes, largest, asked_for):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        assert call._native.read(held, waiting_bytes, largest) == asked_for
        call.cancel()


@in_loop
async def test_initial_metadata_comes_before_the_end(own_server):
    async with channel_to(own_server) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        assert isinstance(await call.initial_metadata(), aio.Metadata)
        assert not call.done()
        call.cancel()
