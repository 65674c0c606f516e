"""Compression of the blocking face, with a grpcio server at the other end."""

import grpc
import pytest

import linkspan

# A message of which little is left when it is compressed; what was sent and received tells whether it was.
LARGE = b"x" * 100_000
LITTLE = 20_000

KINDS = [linkspan.Compression, grpc.Compression, int]


def crossed(channel, direction, call):
    """How many bytes crossed the connections in that direction while `call` ran."""
    before = channel.metrics()[direction]
    call()
    return channel.metrics()[direction] - before


def sent(channel, **arguments):
    return crossed(channel, "bytes_sent", lambda: channel.unary_unary("/test.Service/Echo")(LARGE, **arguments))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_is_compressed_as_it_says(channel, kind, number):
    assert sent(channel, compression=kind(number)) < LITTLE
    assert sent(channel) > len(LARGE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_compresses_its_calls_unless_they_say_otherwise(server, kind):
    with linkspan.insecure_channel(server.address, compression=kind(2)) as channel:
        assert sent(channel) < LITTLE
        assert sent(channel, compression=kind(1)) < LITTLE
        assert sent(channel, compression=kind(0)) > len(LARGE)


@pytest.mark.parametrize("make", [linkspan.insecure_channel, linkspan.connect])
def test_every_way_to_make_a_channel_takes_it_and_an_option_wins(server, make):
    plain = {"credentials": linkspan.insecure_channel_credentials()} if make is linkspan.connect else {}
    for options, compression, is_compressed in [
        ([("grpc.default_compression_algorithm", 2)], None, True),
        ([("grpc.default_compression_algorithm", 0)], linkspan.Compression.Gzip, False),
        (None, linkspan.Compression.Deflate, True),
        ([("grpc.compression_enabled_algorithms_bitset", 1)], linkspan.Compression.Deflate, False),
    ]:
        with make(server.address, options=options, compression=compression, **plain) as channel:
            assert (sent(channel) < LITTLE) is is_compressed


def test_grpcios_metadata_key_chooses_it_and_is_not_sent(channel):
    key = "grpc-internal-encoding-request"
    assert sent(channel, metadata=[(key, "gzip")]) < LITTLE
    assert sent(channel, metadata=[(key, "gzip")], compression=linkspan.Compression.NoCompression) > len(LARGE)
    received = channel.unary_unary("/test.Service/Metadata")(b"", metadata=[(key, "deflate"), ("mine", "1")])
    assert b'"mine"' in received and key.encode() not in received
    with pytest.raises(ValueError, match="snappy"):
        sent(channel, metadata=[(key, "snappy")])


def test_compressed_responses_come_back_whole(channel):
    received = crossed(
        channel, "bytes_received", lambda: check(channel.unary_unary("/test.Service/EchoGzip")(LARGE) == LARGE)
    )
    assert received < LITTLE
    messages = [LARGE, b"", b"short", LARGE]
    talk = channel.stream_stream("/test.Service/TalkDeflate")
    assert list(talk(iter(messages), compression=linkspan.Compression.Gzip)) == messages


def test_every_kind_of_call_takes_it(channel):
    gzip = linkspan.Compression.Gzip
    echo, collect = channel.unary_unary("/test.Service/Echo"), channel.stream_unary("/test.Service/Collect")
    for call in (
        lambda: echo.with_call(LARGE, compression=gzip),
        lambda: echo.future(LARGE, compression=gzip).result(),
        lambda: list(channel.unary_stream("/test.Service/Count")(b"3" + b" " * len(LARGE), compression=gzip)),
        lambda: collect(iter([LARGE, LARGE]), compression=gzip),
        lambda: collect.future(iter([LARGE]), compression=gzip).result(),
        lambda: list(channel.stream_stream("/test.Service/Talk")(iter([LARGE]), compression=gzip)),
    ):
        assert crossed(channel, "bytes_sent", call) < LITTLE


def test_a_bomb_ends_the_call_and_not_the_process(server):
    with linkspan.insecure_channel(server.address, options=[("grpc.max_receive_message_length", 50_000)]) as channel:
        with pytest.raises(linkspan.RpcError) as caught:
            channel.unary_unary("/test.Service/EchoGzip")(LARGE, compression=linkspan.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details().startswith("CLIENT: Received message decompresses to more than max (50000)")


def test_interceptors_see_it_and_may_change_it(channel):
    class Changes(linkspan.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            assert details.compression is None
            return continuation(details._replace(compression=linkspan.Compression.Gzip), request)

    intercepted = linkspan.intercept_channel(channel, Changes())
    call = intercepted.unary_unary("/test.Service/Echo")
    assert crossed(channel, "bytes_sent", lambda: call(LARGE)) < LITTLE


def check(is_true):
    assert is_true
