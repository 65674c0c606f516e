"""Blocking unary calls."""

import json
import math
import threading

import grpc
import pytest

import linkspan

ECHO = "/test.Service/Echo"


def test_bytes_go_there_and_back(channel):
    assert channel.unary_unary(ECHO)(b"there and back") == b"there and back"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3_000_000])
def test_messages_of_any_size_come_back_whole(channel, size):
    message = bytes(range(256)) * (size // 256 + 1)
    assert channel.unary_unary(ECHO)(message[:size]) == message[:size]


def test_serializers_are_applied(channel):
    call = channel.unary_unary(ECHO, request_serializer=str.encode, response_deserializer=bytes.decode)
    assert call("ü") == "ü"


def test_all_arguments_may_be_given_by_position(channel):
    assert channel.unary_unary(ECHO)(b"x", 10, (("a", "1"),), None, True, None) == b"x"


def test_all_arguments_may_be_given_by_keyword(channel):
    call = channel.unary_unary(method=ECHO, request_serializer=None, response_deserializer=None)
    assert call(request=b"x", timeout=10, metadata=None, credentials=None, wait_for_ready=False) == b"x"


def test_with_call_gives_metadata_and_status(channel, server):
    sent = (("echo-text", "value"), ("echo-text", "second"), ("echo-raw-bin", b"\x00\xff"))
    response, call = channel.unary_unary(ECHO).with_call(b"x", metadata=sent)
    assert response == b"x"
    assert call.code() is grpc.StatusCode.OK
    assert call.details() == ""
    assert call.debug_error_string() == ""
    assert call.peer == server.address
    for received in (call.initial_metadata(), call.trailing_metadata()):
        echoed = [tuple(item) for item in received if item.key.startswith("echo-")]
        assert echoed == list(sent)
        assert dict(received)["echo-raw-bin"] == b"\x00\xff"


def test_metadata_is_accepted_in_every_form(channel):
    forms = [(b"a", "str"), ["b", b"bytes"], ("c-bin", b"\xff")]
    received = json.loads(channel.unary_unary("/test.Service/Metadata")(b"", metadata=iter(forms)))
    assert [pair for pair in received if pair[0] in ("a", "b", "c-bin")] == [["a", "str"], ["b", "bytes"], ["c-bin", "ff"]]


def test_grpcios_metadata_objects_are_accepted(channel):
    metadata = grpc.aio.Metadata(("a", "1"), ("a", "2"))
    received = json.loads(channel.unary_unary("/test.Service/Metadata")(b"", metadata=metadata))
    assert [value for key, value in received if key == "a"] == ["1", "2"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("Upper", "v"), ("", "v"), (":path", "v"), ("k", "a\nb"), ("k", "a\0b"), ("k", "\r"), ("k", "ü")],
)
def test_metadata_that_breaks_a_rule_ends_the_call_unsent(channel, key, value):
    with pytest.raises(linkspan.RpcError) as caught:
        channel.unary_unary(ECHO)(b"", metadata=((key, value),))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details().startswith("Invalid metadata")
    assert repr(key).replace("'", '"') in caught.value.details()
    assert not caught.value.sent


def test_the_user_agent_says_python_and_linkspan(server):
    options = [("grpc.primary_user_agent", "mine/1"), ("grpc.primary_user_agent", "and/2")]
    with linkspan.insecure_channel(server.address, options=options) as channel:
        received = dict(json.loads(channel.unary_unary("/test.Service/Metadata")(b"")))
    assert received["user-agent"].startswith("mine/1 and/2 grpc-python-linkspan/")


def test_the_servers_status_is_raised(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Service/Status")(b"5 no such thing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "no such thing"
    assert ("why", "asked-for") in caught.value.trailing_metadata()
    assert ("raw-bin", b"\x00\xff") in caught.value.trailing_metadata()


def test_an_unknown_method_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Service/NoSuchMethod")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_deadline_ends_a_call(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Service/Hang")(b"", timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.sent


def test_a_deadline_says_how_far_the_call_came(silent_address):
    with linkspan.insecure_channel(silent_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"", timeout=0.1)
    assert caught.value.details().startswith("Deadline Exceeded")
    assert silent_address in caught.value.details()
    assert not caught.value.sent


@pytest.mark.parametrize("timeout", [0, -1, -1e300, -math.inf])
def test_a_timeout_that_is_over_sends_nothing(channel, timeout):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"", timeout=timeout)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert not caught.value.sent


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 1e10, 60])
def test_a_very_long_timeout_is_none(channel, timeout):
    assert channel.unary_unary(ECHO)(b"x", timeout=timeout) == b"x"


def test_a_call_to_nobody_fails_at_once(refused_address):
    with linkspan.insecure_channel(refused_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details().startswith("failed to connect to all addresses; last error: ")


def test_wait_for_ready_waits_until_the_deadline(refused_address):
    with linkspan.insecure_channel(refused_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"", wait_for_ready=True, timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_response_above_the_limit_names_both_sizes(server):
    with linkspan.insecure_channel(server.address, options=[("grpc.max_receive_message_length", 10)]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(ECHO)(bytes(11))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "11" in caught.value.details() and "10" in caught.value.details()


# [WIRE-242]
@pytest.mark.parametrize("broken", [lambda request: 1 / 0, lambda request: None])
def test_a_serializer_that_fails_sends_nothing(channel, broken, caplog):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO, request_serializer=broken)("x")
    error = caught.value
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "Exception serializing request!"
    assert isinstance(error.__cause__, (ZeroDivisionError, TypeError))
    assert not error.sent


# [WIRE-242]
@pytest.mark.parametrize("broken", [lambda response: 1 / 0, lambda response: None])
@pytest.mark.parametrize("how", ["__call__", "with_call"])
def test_a_deserializer_that_fails_is_internal(channel, broken, how):
    with pytest.raises(grpc.RpcError) as caught:
        getattr(channel.unary_unary(ECHO, response_deserializer=broken), how)(b"x")
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "Exception deserializing response!"
    assert isinstance(caught.value.__cause__, (ZeroDivisionError, TypeError))


def test_call_credentials_on_plaintext_are_refused(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"", credentials=grpc.access_token_call_credentials("token"))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_attributes_can_be_set_and_registered_methods_have_a_handle(channel):
    plain = channel.unary_unary(ECHO)
    plain.__name__ = "echo"
    plain._prefetch_first_result_ = False
    assert not hasattr(plain, "_registered_call_handle")
    for registered in (True, 7):
        call = channel.unary_unary(ECHO, _registered_method=registered)
        assert call._registered_call_handle != 0
        assert call(b"x") == b"x"
    assert isinstance(channel._get_registered_call_handle(ECHO), int)


def test_a_stub_outlives_its_channel_object(server):
    call = linkspan.insecure_channel(server.address).unary_unary(ECHO)
    assert call(b"x") == b"x"


def test_many_threads_use_one_channel(channel):
    call = channel.unary_unary(ECHO)
    wrong = []

    def work(name):
        for number in range(200):
            message = f"{name}-{number}".encode()
            if call(message) != message:
                wrong.append(message)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_connect_speaks_linkspans_own_words(server, silent_address):
    credentials = linkspan.insecure_channel_credentials()
    with linkspan.connect(server.address, credentials=credentials) as channel:
        assert channel.unary_unary(ECHO)(b"x") == b"x"
    with linkspan.connect(silent_address, credentials=credentials) as channel:
        with pytest.raises(linkspan.RpcError) as caught:
            channel.unary_unary(ECHO)(b"", timeout=0.1)
    assert caught.value.details().startswith("deadline exceeded")
