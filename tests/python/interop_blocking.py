"""The interop cases through the blocking face, over generated stubs."""

import collections
import concurrent.futures
import queue
import time

import grpc

from generated import messages, services
from interop_arguments import blocking_channel
from interop_cases import (
    CALLS_AT_ONCE,
    COMPRESSED_REQUESTS,
    COMPRESSED_RESPONSES,
    CONCURRENT_CALLS,
    CUSTOM_METADATA,
    EVERY_SECOND,
    GUARD_SECONDS,
    LARGE_RESPONSE,
    LONG_LIVED_CALLS,
    LONG_LIVED_INTERVAL_SECONDS,
    OUT_OF_BAND_GUARD_SECONDS,
    OUT_OF_BAND_LOADS,
    PICKS,
    REQUEST_SIZES,
    RESPONSE_SIZES,
    SECONDS_BETWEEN_CALLS,
    SLEEPING_SERVER_TIMEOUT_SECONDS,
    SPECIAL_MESSAGE,
    STATUS_CODE,
    STATUS_MESSAGE,
    STREAM_CORE_METRICS,
    Reported,
    Unexpected,
    asking_output,
    asking_request,
    compression,
    expect,
    expect_body,
    expect_echoes,
    expect_load,
    expect_same_server,
    expect_status,
    expect_two_connections,
    identity_request,
    input_requests,
    judged_input,
    judged_request,
    large_request,
    load_request,
    out_of_band_request,
    output_request,
    peer_request,
    shown,
    small_request,
    status_output_request,
    status_request,
    very_large_request,
)
from interop_soak import Soak

END = object()


class Blocking:
    """One channel; a method per case."""

    def __init__(self, arguments, options):
        self._arguments = arguments
        self._channel = blocking_channel(arguments, options)
        self._service = services.TestServiceStub(self._channel)
        self._missing_service = services.UnimplementedServiceStub(self._channel)

    def run(self, case):
        getattr(self, case)()

    def close(self):
        self._channel.close()

    def empty_unary(self):
        response = self._service.EmptyCall(messages.Empty(), timeout=GUARD_SECONDS)
        expect("size of the response", 0, response.ByteSize())

    def large_unary(self):
        expect_body(LARGE_RESPONSE, self._service.UnaryCall(large_request(), timeout=GUARD_SECONDS))

    def client_streaming(self):
        response = self._service.StreamingInputCall(input_requests(), timeout=GUARD_SECONDS)
        expect("aggregated size", sum(REQUEST_SIZES), response.aggregated_payload_size)

    def server_streaming(self):
        responses = list(self._service.StreamingOutputCall(output_request(RESPONSE_SIZES), timeout=GUARD_SECONDS))
        expect("number of responses", len(RESPONSE_SIZES), len(responses))
        for size, response in zip(RESPONSE_SIZES, responses):
            expect_body(size, response)

    def ping_pong(self):
        requests = queue.SimpleQueue()
        call = self._service.FullDuplexCall(iter(requests.get, END), timeout=GUARD_SECONDS)
        for request_size, response_size in zip(REQUEST_SIZES, RESPONSE_SIZES):
            requests.put(output_request([response_size], request_size))
            expect_body(response_size, next(call))
        requests.put(END)
        expect("further responses", [], list(call))
        expect("status code", grpc.StatusCode.OK, call.code())

    def empty_stream(self):
        call = self._service.FullDuplexCall(iter(()), timeout=GUARD_SECONDS)
        expect("responses", [], list(call))
        expect("status code", grpc.StatusCode.OK, call.code())

    def custom_metadata(self):
        _, call = self._service.UnaryCall.with_call(
            small_request(), metadata=CUSTOM_METADATA, timeout=GUARD_SECONDS
        )
        expect_echoes(call.initial_metadata(), call.trailing_metadata())

        requests = queue.SimpleQueue()
        requests.put(output_request([1], 1))
        call = self._service.FullDuplexCall(
            iter(requests.get, END), metadata=CUSTOM_METADATA, timeout=GUARD_SECONDS
        )
        expect_body(1, next(call))
        requests.put(END)
        expect("further responses", [], list(call))
        expect_echoes(call.initial_metadata(), call.trailing_metadata())

    def status_code_and_message(self):
        self._unary_fails(status_request(STATUS_MESSAGE), STATUS_MESSAGE)
        call = self._service.FullDuplexCall(iter((status_output_request(STATUS_MESSAGE),)), timeout=GUARD_SECONDS)
        error = failure_of(lambda: list(call))
        expect("the raised error is the call", True, error is call)
        expect_status(error.code(), error.details(), STATUS_CODE, STATUS_MESSAGE)

    def special_status_message(self):
        self._unary_fails(status_request(SPECIAL_MESSAGE), SPECIAL_MESSAGE)

    def _unary_fails(self, request, message):
        error = failure_of(lambda: self._service.UnaryCall(request, timeout=GUARD_SECONDS))
        expect_status(error.code(), error.details(), STATUS_CODE, message)

    def client_compressed_unary(self):
        error = failure_of(lambda: self._service.UnaryCall(judged_request(True), compression=compression(False), timeout=GUARD_SECONDS))
        expect_status(error.code(), error.details(), grpc.StatusCode.INVALID_ARGUMENT)
        self.client_compressed_unary_noprobe()

    def client_compressed_unary_noprobe(self):
        for is_compressed in (True, False):
            request = judged_request(is_compressed)
            expect_body(LARGE_RESPONSE, self._service.UnaryCall(request, compression=compression(is_compressed), timeout=GUARD_SECONDS))

    def server_compressed_unary(self):
        for is_wanted in (True, False):
            expect_body(LARGE_RESPONSE, self._service.UnaryCall(asking_request(is_wanted), timeout=GUARD_SECONDS))

    def client_compressed_streaming(self):
        size, _ = COMPRESSED_REQUESTS[0]
        requests = (judged_input(size, True),)
        error = failure_of(lambda: self._service.StreamingInputCall(iter(requests), compression=compression(False), timeout=GUARD_SECONDS))
        expect_status(error.code(), error.details(), grpc.StatusCode.INVALID_ARGUMENT)
        self.client_compressed_streaming_noprobe()

    def client_compressed_streaming_noprobe(self):
        # Two calls: as in grpcio, a call's messages are all compressed or none is.
        total = 0
        for size, is_compressed in COMPRESSED_REQUESTS:
            requests = iter((judged_input(size, is_compressed),))
            response = self._service.StreamingInputCall(requests, compression=compression(is_compressed), timeout=GUARD_SECONDS)
            total += response.aggregated_payload_size
        expect("aggregated size", sum(size for size, _ in COMPRESSED_REQUESTS), total)

    def server_compressed_streaming(self):
        responses = list(self._service.StreamingOutputCall(asking_output(), timeout=GUARD_SECONDS))
        expect("number of responses", len(COMPRESSED_RESPONSES), len(responses))
        for (size, _), response in zip(COMPRESSED_RESPONSES, responses):
            expect_body(size, response)

    def orca_per_rpc(self):
        _, call = self._service.UnaryCall.with_call(load_request(), timeout=GUARD_SECONDS)
        expect_load(call.trailing_metadata())

    def orca_oob(self):
        # The engine's policies do not read such reports yet, so the listener is this program's own: a stream of them on the same channel.
        reports = self._channel.unary_stream(STREAM_CORE_METRICS)(EVERY_SECOND, timeout=OUT_OF_BAND_GUARD_SECONDS)
        requests = queue.SimpleQueue()
        call = self._service.FullDuplexCall(iter(requests.get, END), timeout=OUT_OF_BAND_GUARD_SECONDS)
        for asked, told in OUT_OF_BAND_LOADS:
            requests.put(out_of_band_request(asked))
            expect_body(1, next(call))
            reported = Reported(told)
            while not reported.is_in(next(reports)):
                pass
        requests.put(END)
        expect("further responses", [], list(call))
        expect("status code", grpc.StatusCode.OK, call.code())
        expect("cancel took effect", True, reports.cancel())

    def unimplemented_method(self):
        error = failure_of(lambda: self._service.UnimplementedCall(messages.Empty(), timeout=GUARD_SECONDS))
        expect_status(error.code(), error.details(), grpc.StatusCode.UNIMPLEMENTED)

    def unimplemented_service(self):
        error = failure_of(lambda: self._missing_service.UnimplementedCall(messages.Empty(), timeout=GUARD_SECONDS))
        expect_status(error.code(), error.details(), grpc.StatusCode.UNIMPLEMENTED)

    def cancel_after_begin(self):
        requests = queue.SimpleQueue()
        call = self._service.StreamingInputCall.future(iter(requests.get, END), timeout=GUARD_SECONDS)
        expect("cancel took effect", True, call.cancel())
        requests.put(END)
        expect("status code", grpc.StatusCode.CANCELLED, call.code())
        expect("the future is cancelled", True, call.cancelled())

    def cancel_after_first_response(self):
        requests = queue.SimpleQueue()
        call = self._service.FullDuplexCall(iter(requests.get, END), timeout=GUARD_SECONDS)
        requests.put(output_request([RESPONSE_SIZES[0]], REQUEST_SIZES[0]))
        expect_body(RESPONSE_SIZES[0], next(call))
        expect("cancel took effect", True, call.cancel())
        error = failure_of(lambda: next(call))
        requests.put(END)
        expect_status(error.code(), error.details(), grpc.StatusCode.CANCELLED)

    def timeout_on_sleeping_server(self):
        requests = queue.SimpleQueue()
        requests.put(output_request([], REQUEST_SIZES[0]))
        call = self._service.FullDuplexCall(iter(requests.get, END), timeout=SLEEPING_SERVER_TIMEOUT_SECONDS)
        error = failure_of(lambda: next(call))
        requests.put(END)
        expect_status(error.code(), error.details(), grpc.StatusCode.DEADLINE_EXCEEDED)


    def pick_first_unary(self):
        expect_same_server([self._service.UnaryCall(identity_request(), timeout=GUARD_SECONDS) for _ in range(PICKS)])

    def max_concurrent_streams_connection_scaling(self):
        all_requests, calls, peers = [], [], []
        for _ in range(3):
            requests = queue.SimpleQueue()
            requests.put(peer_request())
            call = self._service.FullDuplexCall(iter(requests.get, END), timeout=GUARD_SECONDS)
            peers.append(next(call).peer_socket_address)
            all_requests.append(requests)
            calls.append(call)
        for requests, call in zip(all_requests, calls):
            requests.put(END)
            expect("further responses", [], list(call))
        expect_two_connections(peers)

    def concurrent_large_unary(self):
        self._large_at_once(CONCURRENT_CALLS)

    def _large_at_once(self, count):
        request = large_request()
        futures = collections.deque(self._service.UnaryCall.future(request, timeout=GUARD_SECONDS) for _ in range(count))
        while futures:
            expect_body(LARGE_RESPONSE, futures.popleft().result())

    def long_lived_channel(self):
        for _ in range(LONG_LIVED_CALLS):
            self.large_unary()
            time.sleep(LONG_LIVED_INTERVAL_SECONDS)

    def very_large_request(self):
        expect_body(10, self._service.UnaryCall(very_large_request(), timeout=GUARD_SECONDS))

    def rpc_soak(self):
        self._soak(self._channel)

    def channel_soak(self):
        self._soak(None)

    def _soak(self, shared):
        soak = Soak(self._arguments)

        def work():
            for started in soak.turns():
                channel = shared or blocking_channel(self._arguments)
                try:
                    response, call = services.TestServiceStub(channel).UnaryCall.with_call(soak.request)
                    soak.check(response)
                    peer, error = call.peer, None
                except (grpc.RpcError, Unexpected) as failure:
                    peer, error = None, failure
                pause = soak.note(started, peer, error)
                if shared is None:
                    channel.close()
                time.sleep(pause)

        with concurrent.futures.ThreadPoolExecutor(soak.workers) as workers:
            for worker in [workers.submit(work) for _ in range(soak.workers)]:
                worker.result()
        soak.judge()

    # The negative cases of HTTP/2, [H2-1] to [H2-8]: the server does what its script says.

    def goaway(self):
        self.large_unary()
        time.sleep(SECONDS_BETWEEN_CALLS)
        self.large_unary()

    def rst_after_header(self):
        error = failure_of(lambda: self._service.UnaryCall(large_request(), timeout=GUARD_SECONDS))
        expect_status(error.code(), error.details(), grpc.StatusCode.INTERNAL)

    rst_during_data = rst_after_data = rst_after_header

    def max_streams(self):
        self.large_unary()
        self._large_at_once(CALLS_AT_ONCE)

    ping = data_frame_padding = no_df_padding_sanity_test = large_unary


def failure_of(action):
    """The error of a call that must fail, caught as existing programs catch it."""
    try:
        came = action()
    except grpc.RpcError as error:
        return error
    raise Unexpected(f"expected an error, came {shown(came)}")
