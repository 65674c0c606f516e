"""Request streams of the blocking face."""

import contextvars
import itertools
import threading

import grpc
import pytest

import linkspan

COLLECT = "/test.Service/Collect"
TALK = "/test.Service/Talk"


@pytest.mark.parametrize("requests", [[b"a", b"b"], (b"a", b"b"), iter([b"a", b"b"]), (m for m in (b"a", b"b"))])
def test_anything_iterable_is_sent(channel, requests):
    assert channel.stream_unary(COLLECT)(requests) == b"a,b"


def test_no_requests_at_all(channel):
    assert channel.stream_unary(COLLECT)([]) == b""
    assert channel.stream_unary(COLLECT)(iter(())) == b""
    assert list(channel.stream_stream(TALK)([])) == []


def test_a_sequence_needs_no_thread(channel):
    channel.stream_unary(COLLECT)([b"a"])
    before = threading.active_count()
    seen = []
    for response in channel.stream_stream(TALK)([b"a", b"b"]):
        seen.append(response)
        assert threading.active_count() == before
    assert seen == [b"a", b"b"]


@pytest.mark.parametrize("make", [list, iter])
def test_many_large_messages_pass_the_send_limit(channel, make):
    messages = [bytes([number]) * 100_000 for number in range(30)]
    assert channel.stream_unary(COLLECT)(make(messages)) == b",".join(messages)


@pytest.mark.parametrize("make", [list, iter])
def test_many_messages_there_and_back(channel, make):
    messages = [str(number).encode() for number in range(3000)]
    assert list(channel.stream_stream(TALK)(make(messages))) == messages


def test_with_call_and_future_of_a_request_stream(channel):
    response, call = channel.stream_unary(COLLECT).with_call(iter([b"a", b"b"]))
    assert response == b"a,b" and call.code() is grpc.StatusCode.OK
    assert channel.stream_unary(COLLECT).future([b"a"]).result(30) == b"a"


def test_a_conversation_waits_for_each_answer(channel):
    answered = threading.Semaphore(0)
    asked = []

    def requests():
        for number in range(5):
            asked.append(number)
            yield str(number).encode()
            answered.acquire()

    call = channel.stream_stream(TALK)(requests())
    for number, response in enumerate(call):
        assert response == str(number).encode()
        assert asked == list(range(number + 1))
        answered.release()


def test_the_iterator_is_pulled_only_as_far_as_there_is_room(own_server):
    pulled = itertools.count()
    last = 0

    def requests():
        nonlocal last
        for last in pulled:
            yield bytes(1_000_000)

    with linkspan.insecure_channel(own_server.address) as channel:
        future = channel.stream_unary("/test.Service/CollectHanging").future(requests())
        own_server.expect("ARRIVED CollectHanging")
        with pytest.raises(linkspan.FutureTimeoutError):
            future.result(timeout=0.5)
        # The server reads nothing, so its window and our send buffer are all that a megabyte per pull can fill.
        assert last < 40
        future.cancel()


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
def test_an_iterator_that_raises_ends_the_call(channel, kind, caplog):
    def requests():
        yield b"a"
        raise LookupError("no more")

    with pytest.raises(grpc.RpcError) as caught:
        list(getattr(channel, kind)("/test.Service/" + ("Collect" if kind == "stream_unary" else "Talk"))(requests()))
    error = caught.value
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "Exception iterating requests!"
    assert isinstance(error.__cause__, LookupError)
    assert "Exception iterating requests!" in caplog.text and "no more" in caplog.text


def test_requests_that_cannot_be_iterated_end_the_call(channel, caplog):
    with pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(COLLECT)(7)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Exception iterating requests!"
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("make", [list, iter])
def test_a_serializer_that_fails_ends_the_call(channel, make, caplog):
    with pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(COLLECT, request_serializer=lambda request: 1 / request)(make([0]))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "Exception serializing request!"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_the_iterator_runs_in_the_callers_context(channel):
    variable = contextvars.ContextVar("variable", default=b"unset")
    variable.set(b"mine")

    def requests():
        yield variable.get()

    assert channel.stream_unary(COLLECT)(requests()) == b"mine"


def test_a_server_that_ends_first_stops_the_iterator(channel):
    stopped = threading.Event()

    def requests():
        try:
            while True:
                yield bytes(1000)
        finally:
            stopped.set()

    call = channel.stream_stream("/test.Service/Refuse")(requests())
    with pytest.raises(grpc.RpcError):
        list(call)
    assert call.code() is grpc.StatusCode.PERMISSION_DENIED
    assert stopped.wait(30)
