"""Bad input is refused where the mistake is made, with the argument's name."""

import pytest

import linkspan
from linkspan import aio

METHOD = "/test.Service/Echo"
FACES = [linkspan.insecure_channel, aio.insecure_channel]


class Index:
    def __index__(self):
        return 1_000_000


class PointerOnly:
    def __int__(self):
        return 0x7F0000000000


@pytest.mark.parametrize("make", FACES)
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"grpc.keepalive_time_ms": 1}, ValueError, "list(options.items())"),
        (["grpc.keepalive_time_ms"], ValueError, "pairs"),
        ([("a", 1, 2)], ValueError, "pairs"),
        (7, ValueError, "pairs"),
        ([("linkspan.prest", "grpc")], ValueError, "linkspan.preset"),
        ([("linkspan.preset", "fancy")], ValueError, "resilient"),
        ([("grpc.max_receive_message_length", None)], TypeError, "grpc.max_receive_message_length"),
        ([("grpc.max_receive_message_length", 1.5)], TypeError, "grpc.max_receive_message_length"),
        ([("grpc.max_receive_message_length", object())], TypeError, "grpc.max_receive_message_length"),
        ([("grpc.max_receive_message_length", "large")], ValueError, "grpc.max_receive_message_length"),
        ([("grpc.max_receive_message_length", 2**31)], OverflowError, "grpc.max_receive_message_length"),
        ([(1, 1)], TypeError, "key"),
    ],
)
def test_a_bad_option_is_refused_by_name(make, options, error, words):
    with pytest.raises(error) as caught:
        make("localhost:1", options=options)
    assert words in str(caught.value)


@pytest.mark.parametrize("make", FACES)
def test_every_way_to_write_an_option_is_accepted(make):
    make(
        "localhost:1",
        options=(
            (b"grpc.max_receive_message_length", Index()),
            ["grpc.enable_retries", True],
            ("grpc.primary_user_agent", b"a/1"),
            ("grpc.some_pointer", PointerOnly()),
            ("SingleThreadedUnaryStream", 1),
            ("linkspan.backoff_jitter", 0.1),
        ),
    )


@pytest.mark.parametrize(
    ("target", "error"), [(None, TypeError), (7, TypeError), ("localhost:99999", ValueError), ("foo://x", ValueError)]
)
@pytest.mark.parametrize("make", FACES)
def test_a_bad_target_is_refused(make, target, error):
    with pytest.raises(error, match="target"):
        make(target)


def test_an_empty_target_is_refused_at_once_by_the_blocking_face():
    with pytest.raises(ValueError, match="target"):
        linkspan.insecure_channel("")


def test_a_target_may_be_bytes():
    linkspan.insecure_channel(b"localhost:1").close()


@pytest.mark.parametrize("make", FACES)
@pytest.mark.parametrize(("method", "error"), [("a/b", ValueError), ("", ValueError), (None, TypeError)])
def test_a_bad_method_is_refused_when_it_is_made_callable(make, method, error):
    with pytest.raises(error, match="method"):
        make("localhost:1").unary_unary(method)


def test_a_method_may_be_bytes(channel):
    assert channel.unary_unary(METHOD.encode())(b"x") == b"x"


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_request_that_is_not_bytes_is_refused(channel, kind):
    with pytest.raises(TypeError, match="bytes"):
        getattr(channel, kind)(METHOD)("text")


def test_a_serializer_that_gives_no_bytes_is_refused(channel):
    with pytest.raises(TypeError, match="bytes"):
        channel.unary_unary(METHOD, request_serializer=lambda request: "text")(b"")


@pytest.mark.parametrize(("timeout", "error"), [(float("nan"), ValueError), ("1", TypeError)])
def test_a_bad_timeout_is_refused(channel, timeout, error):
    with pytest.raises(error, match="timeout"):
        channel.unary_unary(METHOD)(b"", timeout=timeout)


@pytest.mark.parametrize(
    "metadata", [7, [("key",)], ["key"], [("key", 7)], [(7, "value")], [("key-bin", "text")], [("a", "1", "2")]]
)
def test_metadata_of_wrong_types_is_refused(channel, metadata):
    with pytest.raises(TypeError, match="metadata"):
        channel.unary_unary(METHOD)(b"", metadata=metadata)


def test_an_unknown_keyword_is_refused(channel):
    with pytest.raises(TypeError, match="time_out"):
        channel.unary_unary(METHOD)(b"", time_out=1)


@pytest.mark.parametrize("credentials", [None, 7, "tls", b"pem"])
def test_credentials_of_the_wrong_kind_are_refused(credentials):
    with pytest.raises(TypeError, match="credentials"):
        linkspan.secure_channel("localhost:1", credentials)
    with pytest.raises(TypeError, match="credentials"):
        aio.secure_channel("localhost:1", credentials)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"root_certificates": b"secret words"}, "root certificates"),
        ({"private_key": b"other secret words", "certificate_chain": b"secret words"}, "certificate chain"),
        ({"certificate_chain": b"secret words"}, "private key"),
    ],
)
def test_broken_pem_is_refused_without_showing_it(arguments, words):
    with pytest.raises(ValueError) as caught:
        linkspan.ssl_channel_credentials(**arguments)
    assert words in str(caught.value)
    assert "secret words" not in str(caught.value)


def test_pem_must_be_bytes():
    with pytest.raises(TypeError, match="root_certificates"):
        linkspan.ssl_channel_credentials("text")


def test_files_must_be_paths_and_are_named():
    with pytest.raises(TypeError, match="roots must be a path"):
        linkspan.file_channel_credentials(roots=b"pem")
    with pytest.raises(ValueError, match="root certificates in /no/such/file: cannot be read"):
        linkspan.file_channel_credentials(roots="/no/such/file")
    with pytest.raises(ValueError, match="without a private key"):
        linkspan.file_channel_credentials(chain="/no/such/file")


@pytest.mark.parametrize("compression", [3, "gzip", -1])
def test_an_unknown_compression_is_refused(channel, compression):
    with pytest.raises(ValueError, match="compression"):
        linkspan.insecure_channel("localhost:1", compression=compression)
    with pytest.raises(ValueError, match="compression"):
        channel.unary_unary(METHOD)(b"", compression=compression)


def test_refusals_name_their_kind():
    with pytest.raises(ValueError) as caught:
        linkspan.insecure_channel("foo://x")
    assert caught.value.kind == "BadTarget"
