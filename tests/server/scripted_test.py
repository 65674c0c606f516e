"""The fault server and the proxy as a test uses them: started, told what to do, and spoken to by grpcio, which shares no code
with them."""

import pathlib
import sys

import grpc
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "python"))

from generated import messages, services  # noqa: E402
from server.scripted import FaultServer, Proxy  # noqa: E402

GUARD_SECONDS = 30


@pytest.fixture
def server():
    with FaultServer("me") as running:
        yield running


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.address) as channel:
        yield services.TestServiceStub(channel)


def failure(call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=GUARD_SECONDS)
    return caught.value


def test_every_method_is_served(stub, server):
    request = messages.SimpleRequest(response_size=100_000, fill_server_id=True)
    response = stub.UnaryCall(request, timeout=GUARD_SECONDS)
    assert (len(response.payload.body), response.server_id) == (100_000, "me")
    assert stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS) == messages.Empty()

    parameters = [messages.ResponseParameters(size=size, interval_us=1000) for size in (1, 70_000, 0)]
    output = messages.StreamingOutputCallRequest(response_parameters=parameters)
    sizes = [len(part.payload.body) for part in stub.StreamingOutputCall(output, timeout=GUARD_SECONDS)]
    assert sizes == [1, 70_000, 0]
    sizes = [len(part.payload.body) for part in stub.FullDuplexCall(iter([output] * 2), timeout=GUARD_SECONDS)]
    assert sizes == [1, 70_000, 0] * 2

    payload = messages.Payload(body=bytes(70_000))
    inputs = [messages.StreamingInputCallRequest(payload=payload)] * 3
    assert stub.StreamingInputCall(iter(inputs), timeout=GUARD_SECONDS).aggregated_payload_size == 210_000
    assert server.counts()["calls"] == {
        "EmptyCall": 1, "FullDuplexCall": 1, "StreamingInputCall": 1, "StreamingOutputCall": 1, "UnaryCall": 1,
    }


def test_a_status_is_the_one_that_was_asked_for(stub):
    status = messages.EchoStatus(code=5, message="not here")
    error = failure(stub.UnaryCall, messages.SimpleRequest(response_status=status))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "not here")
    assert failure(stub.UnimplementedCall, messages.Empty()).code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_spoilt_call_fails_and_the_next_does_not(stub, server):
    server.set(calls=[{"at": "half_message", "then": {"reset": 2}, "first": 1}])
    assert failure(stub.EmptyCall, messages.Empty()).code() == grpc.StatusCode.INTERNAL
    stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS)


def test_a_restart_serves_on_the_same_port(server):
    with grpc.insecure_channel(server.address) as channel:
        stub = services.TestServiceStub(channel)
        stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS)
        server.shut_down()
        server.restart()
        stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS, wait_for_ready=True)
    first, second = server.counts()["connections"]
    assert first["goaways"] == [[0, "graceful"], [0, "graceful"]] and second["goaways"] == []


def test_a_crash_resets_and_refuses(server):
    with grpc.insecure_channel(server.address) as channel:
        stub = services.TestServiceStub(channel)
        stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS)
        server.crash()
        assert failure(stub.EmptyCall, messages.Empty()).code() == grpc.StatusCode.UNAVAILABLE
        server.restart()
        stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS, wait_for_ready=True)
    assert [each["goaways"] for each in server.counts()["connections"]] == [[], []]


def test_a_call_id_that_comes_twice_is_told(stub, server):
    for call_id in ("a", "b", "a"):
        stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS, metadata=(("x-call-id", call_id),))
    counts = server.counts()
    assert (counts["call_ids"], counts["repeated"]) == (2, {"a": 2})


def test_through_the_proxy(server):
    with Proxy(server.address) as proxy, grpc.insecure_channel(proxy.address) as channel:
        stub = services.TestServiceStub(channel)
        stub.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS)
        proxy.do("black_hole", new=True)
        with pytest.raises(grpc.RpcError) as caught:
            stub.EmptyCall(messages.Empty(), timeout=0.3)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert server.counts()["calls"] == {"EmptyCall": 1}
        assert proxy.counts()["connections"][0]["to_client"] > 0


def test_what_means_nothing_is_an_error(server):
    with pytest.raises(ValueError, match="max_conection_age_ms"):
        server.set(max_conection_age_ms=5)
    with pytest.raises(ValueError, match="dance"):
        server.do("dance")
