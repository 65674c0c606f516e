"""Interceptors of the asyncio face."""

import asyncio

import grpc
import pytest
from support.loops import in_loop

from linkspan import aio

ECHO = "/test.Service/Echo"


class Everything:
    """Notes what happens and adds metadata; mixed into each kind below."""

    def __init__(self, name="one", notes=None):
        self.name = name
        self.notes = [] if notes is None else notes

    async def intercept(self, continuation, details, request):
        assert isinstance(details.method, bytes)
        self.notes.append(f"{self.name} before {details.method.decode()}")
        details = details._replace(metadata=[*(details.metadata or ()), ("echo-who", self.name)])
        call = await continuation(details, request)
        self.notes.append(f"{self.name} after")
        return call

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = intercept


class UnaryUnary(Everything, aio.UnaryUnaryClientInterceptor):
    pass


class GrpcioUnaryUnary(Everything, grpc.aio.UnaryUnaryClientInterceptor):
    pass


class UnaryStream(Everything, aio.UnaryStreamClientInterceptor):
    pass


class StreamUnary(Everything, aio.StreamUnaryClientInterceptor):
    pass


class StreamStream(Everything, aio.StreamStreamClientInterceptor):
    pass


def channel_with(server, *interceptors):
    return aio.insecure_channel(server.address, interceptors=interceptors)


@in_loop
async def test_the_first_listed_runs_first_and_what_they_add_is_sent(server):
    notes = []
    async with channel_with(server, UnaryUnary("outer", notes), GrpcioUnaryUnary("inner", notes)) as channel:
        call = channel.unary_unary(ECHO)(b"x", metadata=(("echo-who", "caller"),))
        assert isinstance(call, grpc.aio.UnaryUnaryCall)
        assert await call == b"x"
        assert await call == b"x"
        assert notes == [f"outer before {ECHO}", f"inner before {ECHO}", "inner after", "outer after"]
        assert (await call.trailing_metadata()).get_all("echo-who") == ["caller", "outer", "inner"]
        assert (await call.initial_metadata()).get_all("echo-who") == ["caller", "outer", "inner"]
        assert await call.code() is grpc.StatusCode.OK
        assert call.done() and not call.cancelled()


@in_loop
async def test_the_lists_are_read_at_every_call(server):
    late = UnaryUnary("late")
    async with channel_with(server) as channel:
        call = channel.unary_unary(ECHO)
        await call(b"x")
        channel._unary_unary_interceptors.append(late)
        await call(b"x")
        assert len(late.notes) == 2


@in_loop
async def test_a_failure_is_the_calls(server):
    async with channel_with(server, UnaryUnary()) as channel:
        call = channel.unary_unary("/test.Service/Status")(b"5 no such thing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert await call.code() is grpc.StatusCode.NOT_FOUND
        assert await call.details() == "no such thing"


@in_loop
async def test_an_interceptor_that_awaits_the_call_and_raises_its_error(server):
    class Await(aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await (await continuation(details, request))

    async with channel_with(server, Await()) as channel:
        assert await channel.unary_unary(ECHO)(b"x") == b"x"
        call = channel.unary_unary("/test.Service/Status")(b"5 no such thing")
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        assert caught.value.details() == "no such thing"
        assert await call.code() is grpc.StatusCode.NOT_FOUND
        assert (await call.trailing_metadata())["why"] == "asked-for"
        assert call.done()


@in_loop
async def test_an_interceptors_own_exception_reaches_the_caller(server):
    class Broken(aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            raise LookupError("mine")

    async with channel_with(server, Broken()) as channel:
        with pytest.raises(LookupError, match="mine"):
            await channel.unary_unary(ECHO)(b"x")


@in_loop
async def test_cancelling_cancels_what_is_on_the_wire(own_server):
    async with channel_with(own_server, UnaryUnary()) as channel:
        call = channel.unary_unary("/test.Service/Hang")(b"x")
        await asyncio.to_thread(own_server.expect, "ARRIVED Hang")
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert call.cancelled()
        assert await call.code() is grpc.StatusCode.CANCELLED
        own_server.expect("ENDED Hang")


@in_loop
async def test_done_callbacks(server):
    told = []
    async with channel_with(server, UnaryUnary()) as channel:
        call = channel.unary_unary(ECHO)(b"x")
        call.add_done_callback(told.append)
        await call
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told == [call]


@in_loop
async def test_streamed_responses(server):
    interceptor = UnaryStream()
    async with channel_with(server, interceptor) as channel:
        call = channel.unary_stream("/test.Service/Count", response_deserializer=int)(b"5")
        assert [number async for number in call] == [0, 1, 2, 3, 4]
        assert await call.code() is grpc.StatusCode.OK
        call = channel.unary_stream("/test.Service/Count", response_deserializer=int)(b"2")
        assert [await call.read() for _ in range(3)] == [0, 1, grpc.aio.EOF]
        assert len(interceptor.notes) == 4


@in_loop
async def test_an_interceptor_may_return_an_async_iterator(server):
    class Double(aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(self, continuation, details, request):
            call = await continuation(details, request)

            async def doubled():
                async for number in call:
                    yield 2 * number

            return doubled()

    async with channel_with(server, Double()) as channel:
        method = channel.unary_stream("/test.Service/Count", response_deserializer=int)
        call = method(b"4")
        assert [number async for number in call] == [0, 2, 4, 6]
        assert await call.code() is grpc.StatusCode.OK
        call = method(b"1")
        assert [await call.read() for _ in range(2)] == [0, aio.EOF]


@in_loop
async def test_streamed_requests_from_an_iterator_and_by_write(server):
    async with channel_with(server, StreamUnary()) as channel:
        method = channel.stream_unary("/test.Service/Collect")
        assert await method(iter([b"a", b"b"])) == b"a,b"
        call = method()
        await call.write(b"a")
        await call.write(b"b")
        await call.done_writing()
        await call.done_writing()
        assert await call == b"a,b"
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"c")


@in_loop
async def test_a_conversation(server):
    async with channel_with(server, StreamStream()) as channel:
        call = channel.stream_stream("/test.Service/Talk")()
        for number in range(5):
            await call.write(str(number).encode())
            assert await call.read() == str(number).encode()
        await call.done_writing()
        assert await call.read() is aio.EOF


@in_loop
async def test_one_of_several_kinds_serves_the_first_only(server):
    class Several(UnaryUnary, aio.UnaryStreamClientInterceptor):
        pass

    several = Several()
    async with channel_with(server, several) as channel:
        await channel.unary_unary(ECHO)(b"x")
        async for _ in channel.unary_stream("/test.Service/Count")(b"1"):
            pass
    assert len(several.notes) == 2


def test_what_is_no_interceptor_is_refused():
    with pytest.raises(ValueError, match="object"):
        aio.insecure_channel("localhost:1", interceptors=[object()])
