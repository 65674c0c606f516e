"""Blocking streams: reading, failing, cancelling, and what garbage collection does."""

import gc
import threading

import grpc
import pytest

import linkspan

COUNT = "/test.Service/Count"


def test_responses_come_in_order(channel):
    call = channel.unary_stream(COUNT, response_deserializer=int)(b"1000")
    assert list(call) == list(range(1000))
    assert call.code() is grpc.StatusCode.OK
    assert call.details() == "" and call.debug_error_string() == ""
    assert call.result() is None
    assert call.exception() is None
    with pytest.raises(StopIteration):
        next(call)


def test_responses_before_a_failure_come_first_and_the_call_is_the_error(channel):
    call = channel.unary_stream("/test.Service/CountThenFail", response_deserializer=int)(b"20")
    seen = []
    with pytest.raises(grpc.RpcError) as caught:
        for number in call:
            seen.append(number)
    assert seen == list(range(20))
    assert caught.value is call
    assert call.code() is grpc.StatusCode.ABORTED
    assert call.details() == "enough"
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.exception() is call
    with pytest.raises(grpc.RpcError):
        call.result()


def test_metadata_of_a_stream(channel):
    call = channel.unary_stream("/test.Service/CountThenFail")(b"1")
    assert isinstance(call.initial_metadata(), tuple)
    assert list(call.trailing_metadata()) == []


def test_a_slow_reader_holds_the_server_back_and_loses_nothing(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.unary_stream("/test.Service/Endless")(b"100000")
        own_server.expect("ARRIVED Endless")
        for _ in range(50):
            assert len(next(call)) == 100_000
        received = channel.metrics()["bytes_received"]
        call.cancel()
        own_server.expect("ENDED Endless")
    # Windows and the few messages that may wait bound what a server can push at a reader.
    assert received < 50 * 100_000 + 20_000_000


def test_cancel_works_once_and_ends_the_call_at_the_server(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        assert next(call) == b"x"
        own_server.expect("ARRIVED OneThenHang")
        assert call.is_active() and call.running() and not call.done()
        assert call.cancel() is True
        assert call.cancel() is False
        assert not call.is_active() and call.done() and call.cancelled()
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        assert caught.value is call
        assert call.code() is grpc.StatusCode.CANCELLED
        assert call.details() == "Locally cancelled by application!"
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
        own_server.expect("ENDED OneThenHang")


def test_cancel_wakes_a_thread_that_waits_for_a_message(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        next(call)
        own_server.expect("ARRIVED OneThenHang")
        raised = []

        def read():
            try:
                next(call)
            except grpc.RpcError as error:
                raised.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        call.cancel()
        reader.join(30)
        assert raised == [call]


def test_a_collected_stream_is_cancelled(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        next(call)
        own_server.expect("ARRIVED OneThenHang")
        del call
        gc.collect()
        own_server.expect("ENDED OneThenHang")


def test_a_collected_stream_is_cancelled_while_its_request_iterator_waits(own_server):
    more = threading.Event()

    def requests():
        yield b"x"
        more.wait()

    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.stream_stream("/test.Service/TalkHanging")(requests())
        assert next(call) == b"x"
        own_server.expect("ARRIVED TalkHanging")
        del call
        gc.collect()
        own_server.expect("ENDED TalkHanging")
    more.set()


def test_the_deadline_ends_a_stream(channel):
    call = channel.unary_stream("/test.Service/OneThenHang")(b"x", timeout=0.3)
    assert next(call) == b"x"
    assert 0 < call.time_remaining() <= 0.3
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_deserializer_that_fails_cancels_the_stream(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang", response_deserializer=lambda m: 1 / 0)(b"x")
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        assert caught.value is call
        assert call.code() is grpc.StatusCode.INTERNAL
        assert call.details() == "Exception deserializing response!"
        assert isinstance(call.__cause__, ZeroDivisionError)
        own_server.expect("ENDED OneThenHang")


def test_several_threads_share_one_stream_and_each_message_goes_to_one(channel):
    call = channel.unary_stream(COUNT, response_deserializer=int)(b"2000")
    shares = [[] for _ in range(4)]
    readers = [threading.Thread(target=share.extend, args=(call,)) for share in shares]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert sorted(number for share in shares for number in share) == list(range(2000))
    assert all(share == sorted(share) for share in shares)


def test_a_thread_that_stops_reading_leaves_to_others_what_came_with_its_message(channel):
    call = channel.unary_stream(COUNT, response_deserializer=int)(b"100")
    mine, others = [], []
    other = threading.Thread(target=others.extend, args=(call,))
    mine.append(next(call))
    other.start()
    other.join(30)
    assert mine + others == list(range(100))


def test_a_call_object_looks_like_grpcios(channel):
    call = channel.unary_stream(COUNT)(b"1")
    assert isinstance(call, grpc.Call) and isinstance(call, grpc.Future) and isinstance(call, grpc.RpcError)
    assert isinstance(call, linkspan.Call) and isinstance(call, linkspan.Future)
    list(call)
    assert "StatusCode.OK" in str(call)


def test_a_stream_ended_by_its_server_before_any_message(channel):
    call = channel.stream_stream("/test.Service/Refuse")(iter([b"x"]))
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() is grpc.StatusCode.PERMISSION_DENIED
    assert call.details() == "not you"
