"""Compression of the asyncio face, with a grpcio server at the other end."""

import grpc
import pytest
from support.loops import in_loop

import linkspan
from linkspan import aio

LARGE = b"x" * 100_000
LITTLE = 20_000


async def sent(channel, method="/test.Service/Echo", **arguments):
    before = channel.metrics()["bytes_sent"]
    assert await channel.unary_unary(method)(LARGE, **arguments) == LARGE
    return channel.metrics()["bytes_sent"] - before


@in_loop
async def test_a_call_is_compressed_as_it_says_else_as_its_channel_is(server):
    async with aio.insecure_channel(server.address) as channel:
        assert await sent(channel) > len(LARGE)
        assert await sent(channel, compression=grpc.Compression.Gzip) < LITTLE
        assert await sent(channel, compression=linkspan.Compression.Deflate) < LITTLE
        assert await sent(channel, metadata=[("grpc-internal-encoding-request", "gzip")]) < LITTLE
        assert await sent(channel, "/test.Service/EchoGzip") > len(LARGE)
        with pytest.raises(ValueError, match="compression"):
            channel.unary_unary("/test.Service/Echo")(LARGE, compression=7)
    async with aio.insecure_channel(server.address, compression=grpc.Compression.Gzip) as channel:
        assert await sent(channel) < LITTLE
        assert await sent(channel, compression=grpc.Compression.NoCompression) > len(LARGE)
    with pytest.raises(ValueError, match="compression"):
        aio.insecure_channel(server.address, compression="gzip")


@in_loop
async def test_streams_are_compressed_both_ways(server):
    async with aio.insecure_channel(server.address) as channel:
        before = channel.metrics()
        call = channel.stream_stream("/test.Service/TalkDeflate")(compression=linkspan.Compression.Gzip)
        for message in (LARGE, b"", LARGE):
            await call.write(message)
            assert await call.read() == message
        await call.done_writing()
        assert await call.read() is aio.EOF
        after = channel.metrics()
        assert all(after[key] - before[key] < LITTLE for key in ("bytes_sent", "bytes_received"))


@in_loop
async def test_interceptors_see_it_among_the_metadata_as_in_grpc_aio(server):
    seen = []

    class Looks(aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            seen.append(details.metadata)
            return await continuation(details, request)

    async with aio.insecure_channel(server.address, interceptors=[Looks()]) as channel:
        entry = ("grpc-internal-encoding-request", "gzip")
        for metadata, wanted in [
            (None, [entry]),
            ((("a", "1"),), [("a", "1"), entry]),
            ([("a", "1")], [("a", "1"), entry]),
            (aio.Metadata(("a", "1")), [("a", "1"), entry]),
        ]:
            assert await sent(channel, metadata=metadata, compression=grpc.Compression.Gzip) < LITTLE
            shown = seen.pop()
            assert metadata is None or type(shown) is type(metadata)
            assert [tuple(item) for item in shown] == wanted
        with pytest.raises(ValueError, match="compression"):
            channel.unary_unary("/test.Service/Echo")(LARGE, compression=7)
