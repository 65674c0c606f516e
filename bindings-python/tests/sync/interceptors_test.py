"""Interceptors of the blocking face: ours, grpcio's, and either library's `intercept_channel`."""

import collections

import grpc
import pytest

import linkspan

ECHO = "/test.Service/Echo"


class Details(collections.namedtuple("Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready")), grpc.ClientCallDetails):
    """What existing interceptors pass on: grpcio's base class, and no compression."""


class Everywhere(
    linkspan.UnaryUnaryClientInterceptor,
    linkspan.UnaryStreamClientInterceptor,
    linkspan.StreamUnaryClientInterceptor,
    linkspan.StreamStreamClientInterceptor,
):
    """Notes its name and adds it to the metadata."""

    def __init__(self, name, notes):
        self._name = name
        self._notes = notes

    def _intercept(self, continuation, details, request):
        self._notes.append(f"{self._name} before")
        metadata = [*(details.metadata or ()), ("echo-who", self._name)]
        call = continuation(Details(details.method, details.timeout, metadata, None, None), request)
        self._notes.append(f"{self._name} after")
        return call

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = _intercept


class GrpcioKind(grpc.UnaryUnaryClientInterceptor):
    """Written for grpcio."""

    def __init__(self):
        self.seen = []

    def intercept_unary_unary(self, continuation, client_call_details, request):
        call = continuation(client_call_details, request)
        self.seen.append((client_call_details.method, call.code(), call.done()))
        return call


@pytest.fixture
def notes():
    return []


@pytest.fixture
def intercepted(channel, notes):
    return linkspan.intercept_channel(channel, Everywhere("outer", notes), Everywhere("inner", notes))


def test_the_first_listed_runs_first(intercepted, notes):
    assert intercepted.unary_unary(ECHO)(b"x") == b"x"
    assert notes == ["outer before", "inner before", "inner after", "outer after"]


def test_what_interceptors_add_reaches_the_server(intercepted):
    response, call = intercepted.unary_unary(ECHO).with_call(b"x", metadata=[("echo-who", "caller")])
    assert response == b"x"
    assert [item.value for item in call.trailing_metadata()] == ["caller", "outer", "inner"]


def test_all_four_kinds_and_the_future(intercepted):
    assert list(intercepted.unary_stream("/test.Service/Count")(b"2")) == [b"0", b"1"]
    assert intercepted.stream_unary("/test.Service/Collect")(iter([b"a", b"b"])) == b"a,b"
    assert list(intercepted.stream_stream("/test.Service/Talk")([b"a"])) == [b"a"]
    assert intercepted.unary_unary(ECHO).future(b"x").result(30) == b"x"
    assert intercepted.stream_unary("/test.Service/Collect").future([b"a"]).result(30) == b"a"
    assert isinstance(intercepted, grpc.Channel)
    assert isinstance(intercepted.unary_unary(ECHO), grpc.UnaryUnaryMultiCallable)


@pytest.mark.parametrize("intercept_channel", [linkspan.intercept_channel, grpc.intercept_channel])
def test_grpcios_interceptors_work_on_our_channel_with_either_function(channel, intercept_channel):
    interceptor = GrpcioKind()
    intercepted = intercept_channel(channel, interceptor)
    assert intercepted.unary_unary(ECHO)(b"x") == b"x"
    assert interceptor.seen == [(ECHO, grpc.StatusCode.OK, True)]
    with pytest.raises(grpc.RpcError) as caught:
        intercepted.unary_unary("/test.Service/Status")(b"5 x")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert interceptor.seen[1][1:] == (grpc.StatusCode.NOT_FOUND, True)


def test_our_interceptors_work_on_grpcios_channel(server, notes):
    with grpc.insecure_channel(server.address) as channel:
        for intercept_channel in (linkspan.intercept_channel, grpc.intercept_channel):
            intercepted = intercept_channel(channel, Everywhere("one", notes))
            response, call = intercepted.unary_unary(ECHO).with_call(b"x")
            assert response == b"x" and call.code() is grpc.StatusCode.OK
            with pytest.raises(grpc.RpcError):
                intercepted.unary_unary("/test.Service/Status")(b"5 x")
            assert intercepted.stream_unary("/test.Service/Collect")(iter([b"a"])) == b"a"


def test_a_continuation_never_raises_an_rpc_error(channel):
    class Swallow(linkspan.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            call = continuation(details, request)
            assert call.exception() is call
            return continuation(Renamed(), b"instead")

    class Renamed:
        method = ECHO

    intercepted = linkspan.intercept_channel(channel, Swallow())
    assert intercepted.unary_unary("/test.Service/Status")(b"5 x") == b"instead"


def test_an_interceptors_own_exception_reaches_the_caller(channel):
    class Broken(linkspan.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            raise LookupError("mine")

    intercepted = linkspan.intercept_channel(channel, Broken())
    for call in (intercepted.unary_unary(ECHO), intercepted.unary_unary(ECHO).future):
        with pytest.raises(LookupError, match="mine"):
            call(b"x")


def test_an_interceptor_of_another_kind_is_passed_by(channel):
    intercepted = linkspan.intercept_channel(channel, GrpcioKind())
    assert type(intercepted.unary_stream(ECHO)) is linkspan.UnaryStreamMultiCallable


def test_what_is_no_interceptor_is_refused(channel):
    with pytest.raises(TypeError, match="object"):
        linkspan.intercept_channel(channel, object())


def test_the_rest_of_an_intercepted_channel_is_the_channels(intercepted, channel):
    linkspan.channel_ready_future(intercepted).result(timeout=30)
    assert intercepted.metrics()["state"] == "READY"
    assert list(intercepted.events()) == list(channel.events())
    intercepted.close()
    assert channel.metrics()["state"] == "SHUTDOWN"
