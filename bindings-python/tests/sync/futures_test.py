"""Futures of unary responses, and callbacks."""

import contextvars
import threading

import grpc
import pytest

import linkspan

ECHO = "/test.Service/Echo"


def test_the_result_comes_later(channel):
    future = channel.unary_unary(ECHO, response_deserializer=bytes.decode).future(b"x")
    assert future.result() == "x"
    assert future.result(timeout=0) == "x"
    assert future.done() and not future.running() and not future.cancelled()
    assert future.exception() is None and future.traceback() is None
    assert future.code() is grpc.StatusCode.OK
    assert isinstance(future, grpc.Future) and isinstance(future, grpc.Call)


def test_a_failed_future_is_its_own_exception(channel):
    future = channel.unary_unary("/test.Service/Status").future(b"9 not now")
    assert future.exception() is future
    assert future.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert future.traceback() is not None
    with pytest.raises(grpc.RpcError) as caught:
        future.result()
    assert caught.value is future


def test_a_result_that_does_not_come_in_time(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        future = channel.unary_unary("/test.Service/Hold").future(b"x")
        own_server.expect("ARRIVED Hold")
        for wait in (future.result, future.exception, future.traceback):
            with pytest.raises(grpc.FutureTimeoutError):
                wait(timeout=0.05)
            with pytest.raises(linkspan.FutureTimeoutError):
                wait(0)
        assert future.running()
        channel.unary_unary("/test.Service/Release")(b"")
        assert future.result(30) == b"x"


def test_a_cancelled_future(own_server):
    with linkspan.insecure_channel(own_server.address) as channel:
        future = channel.unary_unary("/test.Service/Hang").future(b"")
        own_server.expect("ARRIVED Hang")
        assert future.cancel() is True
        assert future.cancel() is False
        assert future.cancelled() and future.done()
        for wait in (future.result, future.exception):
            with pytest.raises(grpc.FutureCancelledError):
                wait()
        assert future.code() is grpc.StatusCode.CANCELLED
        own_server.expect("ENDED Hang")


def test_a_deserializer_that_fails(channel):
    future = channel.unary_unary(ECHO, response_deserializer=lambda m: 1 / 0).future(b"x")
    with pytest.raises(grpc.RpcError):
        future.result()
    assert future.code() is grpc.StatusCode.INTERNAL
    assert future.details() == "Exception deserializing response!"
    assert isinstance(future.__cause__, ZeroDivisionError)


def test_done_callbacks_get_the_call_on_the_callback_thread_in_their_context(own_server):
    variable = contextvars.ContextVar("variable", default="unset")
    told, seen = threading.Event(), []

    def on_done(call):
        seen.append((call, call.code(), threading.current_thread().name, variable.get()))
        told.set()

    with linkspan.insecure_channel(own_server.address) as channel:
        future = channel.unary_unary("/test.Service/Hold").future(b"x")
        own_server.expect("ARRIVED Hold")
        variable.set("mine")
        future.add_done_callback(on_done)
        channel.unary_unary("/test.Service/Release")(b"")
        assert told.wait(30)
    assert seen == [(future, grpc.StatusCode.OK, "linkspan-callbacks", "mine")]


def test_a_callback_added_after_the_end_runs_at_once(channel):
    future = channel.unary_unary(ECHO).future(b"x")
    future.result()
    seen = []
    future.add_done_callback(lambda call: seen.append((call, threading.current_thread())))
    assert seen == [(future, threading.current_thread())]
    assert future.add_callback(lambda: seen.append("never")) is False
    assert len(seen) == 1


def test_add_callback_is_told_the_end_without_arguments(own_server):
    told = threading.Event()
    with linkspan.insecure_channel(own_server.address) as channel:
        call = channel.unary_stream("/test.Service/OneThenHang")(b"x")
        next(call)
        assert call.add_callback(told.set) is True
        call.cancel()
        assert told.wait(30)


def test_a_callback_that_raises_is_logged_and_the_next_one_runs(channel, caplog):
    told = threading.Event()
    future = channel.unary_unary("/test.Service/Status").future(b"5 x", timeout=30)
    both = channel.unary_stream("/test.Service/OneThenHang")(b"x")
    next(both)
    both.add_done_callback(lambda call: 1 / 0)
    both.add_done_callback(lambda call: told.set())
    both.cancel()
    assert told.wait(30)
    assert "ZeroDivisionError" in caplog.text
    assert future.exception() is future


def test_a_callback_may_make_calls(channel):
    answers, told = [], threading.Event()
    call = channel.unary_unary(ECHO)
    first = channel.unary_stream("/test.Service/OneThenHang")(b"x")
    next(first)

    def on_done(_):
        answers.append(call(b"from a callback"))
        answers.append(call.future(b"and later").result())
        told.set()

    first.add_done_callback(on_done)
    first.cancel()
    assert told.wait(30)
    assert answers == [b"from a callback", b"and later"]
