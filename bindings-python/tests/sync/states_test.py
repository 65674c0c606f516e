"""States, their subscribers, and what a channel remembers."""

import json
import queue
import threading
import time

import grpc
import pytest
from support.processes import running_server

import linkspan

States = grpc.ChannelConnectivity


# [CONN-8]
def test_a_subscriber_is_told_the_state_now_and_every_change(server):
    told = queue.Queue()
    channel = linkspan.insecure_channel(server.address)
    channel.subscribe(told.put)
    assert told.get(timeout=30) is States.IDLE
    channel.unary_unary("/test.Service/Echo")(b"")
    assert told.get(timeout=30) is States.CONNECTING
    assert told.get(timeout=30) is States.READY
    channel.close()
    assert told.get(timeout=30) is States.SHUTDOWN


def test_subscribing_alone_does_not_connect(server):
    told = queue.Queue()
    with linkspan.insecure_channel(server.address) as channel:
        channel.subscribe(told.put)
        assert told.get(timeout=30) is States.IDLE
        assert channel.metrics()["connect_attempts"] == 0


def test_subscribing_with_try_to_connect_connects(server):
    told = queue.Queue()
    with linkspan.insecure_channel(server.address) as channel:
        channel.subscribe(told.put, try_to_connect=True)
        while told.get(timeout=30) is not States.READY:
            pass


def test_several_subscribers_see_the_same_and_one_that_left_sees_nothing(server):
    first, second = queue.Queue(), queue.Queue()
    with linkspan.insecure_channel(server.address) as channel:
        channel.subscribe(first.put)
        channel.subscribe(second.put)
        assert (first.get(timeout=30), second.get(timeout=30)) == (States.IDLE, States.IDLE)
        channel.unsubscribe(first.put)
        channel.unary_unary("/test.Service/Echo")(b"")
        assert [second.get(timeout=30) for _ in range(2)] == [States.CONNECTING, States.READY]
    assert second.get(timeout=30) is States.SHUTDOWN
    assert first.empty()


def test_unsubscribing_what_never_subscribed_does_nothing(server):
    with linkspan.insecure_channel(server.address) as channel:
        channel.unsubscribe(print)


def test_a_lost_server_and_its_return_are_told():
    told = queue.Queue()
    options = [("grpc.initial_reconnect_backoff_ms", 100)]
    with running_server() as server, linkspan.insecure_channel(server.address, options=options) as channel:
        channel.subscribe(told.put, try_to_connect=True)
        while told.get(timeout=30) is not States.READY:
            pass
        server.child.kill()
        assert told.get(timeout=30) is States.IDLE
        channel.subscribe(lambda state: None, try_to_connect=True)
        assert told.get(timeout=30) is States.CONNECTING
        assert told.get(timeout=30) is States.TRANSIENT_FAILURE
        with running_server(server.address):
            while told.get(timeout=30) is not States.READY:
                pass
            assert channel.unary_unary("/test.Service/Echo")(b"x") == b"x"


def test_channel_ready_future_is_done_when_the_channel_is_ready(server):
    with linkspan.insecure_channel(server.address) as channel:
        future = linkspan.channel_ready_future(channel)
        told = threading.Event()
        future.add_done_callback(lambda done: told.set())
        assert future.result(timeout=30) is None
        assert future.done() and not future.cancelled() and told.wait(30)
        assert isinstance(future, grpc.Future)
        assert channel.metrics()["state"] == "READY"


def test_channel_ready_future_times_out_and_can_be_cancelled(refused_address):
    with linkspan.insecure_channel(refused_address) as channel:
        future = linkspan.channel_ready_future(channel)
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(timeout=0.1)
        assert future.cancel() is True
        assert future.cancel() is False
        with pytest.raises(grpc.FutureCancelledError):
            future.result()


def test_grpcios_channel_ready_future_works_on_our_channel(server):
    with linkspan.insecure_channel(server.address) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)


def test_events_tell_what_happened_and_why(server):
    with linkspan.insecure_channel(server.address) as channel:
        assert list(channel.events()) == []
        channel.unary_unary("/test.Service/Echo")(b"")
        connecting, ready = channel.events()
        assert (connecting.from_state, connecting.to_state) == (States.IDLE, States.CONNECTING)
        assert ready.to_state is States.READY and ready.address == server.address
        assert connecting.cause in str(connecting) and "IDLE → CONNECTING" in str(connecting)
        assert list(channel.events(after=connecting.sequence)) == [ready]


def test_metrics_tell_the_calls_that_wait_and_the_limits(own_server):
    limits = [("linkspan.max_concurrent_requests", 1), ("linkspan.max_queued_calls", 5)]
    with linkspan.insecure_channel(own_server.address, options=limits) as channel:
        hang = channel.unary_unary("/test.Service/Hang")
        calls = [hang.future(b"") for _ in range(3)]
        own_server.expect("ARRIVED Hang")
        metrics = seen(channel, lambda metrics: metrics["calls"]["queued"] == 2)
        assert (metrics["calls"]["in_flight"], metrics["max_concurrent_requests"], metrics["max_queued_calls"]) == (3, 1, 5)
        assert metrics["subchannels"] == 1
        assert "max_concurrent_requests_per_address" not in metrics
        for call in calls:
            call.cancel()


def test_metrics_tell_open_circuit_breakers(server):
    breaker = [("linkspan.breaker", '{"consecutiveFailures": 1, "openTime": "600s"}')]
    with linkspan.insecure_channel(server.address, options=breaker) as channel:
        assert (channel.metrics()["breakers_open"], channel.metrics()["breaker_trips"]) == (0, 0)
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/test.Service/Status")(b"14 x")
        metrics = seen(channel, lambda metrics: metrics["breakers_open"] == 1)
        assert metrics["breaker_trips"] == 1


def seen(channel, wanted):
    """The first metrics that are as wanted; fails the test when none are."""
    deadline = time.monotonic() + 30
    while not wanted(metrics := channel.metrics()):
        assert time.monotonic() < deadline, metrics
        time.sleep(0.001)
    return metrics


def test_metrics_are_plain_and_outlive_the_channel(server):
    channel = linkspan.insecure_channel(server.address)
    channel.unary_unary("/test.Service/Echo")(b"12345")
    with pytest.raises(grpc.RpcError):
        channel.unary_unary("/test.Service/Status")(b"5 x")
    metrics = json.loads(json.dumps(channel.metrics()))
    assert metrics["calls"]["by_code"] == {"OK": 1, "NOT_FOUND": 1}
    assert metrics["connections"][0]["remote_address"] == server.address
    assert metrics["connections"][0]["state"] == "ready"
    channel.close()
    assert channel.metrics()["state"] == "SHUTDOWN"
    assert channel.metrics()["calls"]["started"] == 2
