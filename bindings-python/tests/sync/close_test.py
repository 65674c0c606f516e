"""What closing a channel does to its calls."""

import threading

import grpc
import pytest

import linkspan


def test_close_ends_running_calls_as_cancelled(own_server):
    channel = linkspan.insecure_channel(own_server.address)
    future = channel.unary_unary("/test.Service/Hang").future(b"")
    stream = channel.unary_stream("/test.Service/OneThenHang")(b"x")
    next(stream)
    own_server.expect("ARRIVED OneThenHang")
    raised = []

    def block():
        try:
            channel.unary_unary("/test.Service/Hold")(b"")
        except grpc.RpcError as error:
            raised.append(error)

    blocked = threading.Thread(target=block)
    blocked.start()
    own_server.expect("ARRIVED Hold")
    channel.close()
    blocked.join(30)
    with pytest.raises(grpc.RpcError):
        next(stream)
    for call in (future, stream, *raised):
        assert call.code() is grpc.StatusCode.CANCELLED
        assert "Channel closed!" in call.details()
    assert len(raised) == 1
    assert not future.cancelled()


def test_close_may_be_called_again(server):
    channel = linkspan.insecure_channel(server.address)
    channel.close()
    channel.close()


def test_a_call_after_close_is_a_value_error(server):
    channel = linkspan.insecure_channel(server.address)
    unary, stream = channel.unary_unary("/test.Service/Echo"), channel.stream_unary("/test.Service/Collect")
    channel.close()
    attempts = [
        lambda: unary(b""),
        lambda: unary.with_call(b""),
        lambda: unary.future(b""),
        lambda: stream([]),
        lambda: channel.unary_stream("/test.Service/Count")(b""),
        lambda: channel.stream_stream("/test.Service/Talk")([]),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError) as caught:
            attempt()
        assert str(caught.value) == "Cannot invoke RPC on closed channel!"


def test_leaving_the_with_block_closes(server):
    with linkspan.insecure_channel(server.address) as channel:
        pass
    assert channel.metrics()["state"] == "SHUTDOWN"


def test_dropping_the_channel_object_leaves_its_calls_alone(own_server):
    channel = linkspan.insecure_channel(own_server.address)
    future = channel.unary_unary("/test.Service/Hold").future(b"x")
    release = channel.unary_unary("/test.Service/Release")
    own_server.expect("ARRIVED Hold")
    del channel
    release(b"")
    assert future.result(30) == b"x"
