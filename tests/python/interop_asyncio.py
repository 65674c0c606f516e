"""The interop cases through the asyncio face, over generated stubs."""

import asyncio

import grpc

from generated import messages, services
from interop_arguments import asyncio_channel
from interop_cases import (
    CALLS_AT_ONCE,
    COMPRESSED_REQUESTS,
    COMPRESSED_RESPONSES,
    CONCURRENT_CALLS,
    CUSTOM_METADATA,
    EVERY_SECOND,
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


class Asyncio:
    """One loop and one channel; a coroutine per case."""

    def __init__(self, arguments, options):
        self._arguments = arguments
        self._runner = asyncio.Runner() if hasattr(asyncio, "Runner") else _OldRunner()
        self._channel = asyncio_channel(arguments, options)
        self._service = services.TestServiceStub(self._channel)
        self._missing_service = services.UnimplementedServiceStub(self._channel)

    def run(self, case):
        self._runner.run(getattr(self, case)())

    def close(self):
        self._runner.run(self._channel.close())
        self._runner.close()

    async def empty_unary(self):
        response = await self._service.EmptyCall(messages.Empty())
        expect("size of the response", 0, response.ByteSize())

    async def large_unary(self):
        expect_body(LARGE_RESPONSE, await self._service.UnaryCall(large_request()))

    async def client_streaming(self):
        response = await self._service.StreamingInputCall(input_requests())
        expect("aggregated size", sum(REQUEST_SIZES), response.aggregated_payload_size)

    async def server_streaming(self):
        call = self._service.StreamingOutputCall(output_request(RESPONSE_SIZES))
        responses = [response async for response in call]
        expect("number of responses", len(RESPONSE_SIZES), len(responses))
        for size, response in zip(RESPONSE_SIZES, responses):
            expect_body(size, response)

    async def ping_pong(self):
        call = self._service.FullDuplexCall()
        for request_size, response_size in zip(REQUEST_SIZES, RESPONSE_SIZES):
            await call.write(output_request([response_size], request_size))
            expect_body(response_size, await call.read())
        await call.done_writing()
        expect("what follows the last response", grpc.aio.EOF, await call.read())
        expect("status code", grpc.StatusCode.OK, await call.code())

    async def empty_stream(self):
        call = self._service.FullDuplexCall(iter(()))
        expect("responses", [], [response async for response in call])
        expect("status code", grpc.StatusCode.OK, await call.code())

    async def custom_metadata(self):
        call = self._service.UnaryCall(small_request(), metadata=CUSTOM_METADATA)
        await call
        expect_echoes(await call.initial_metadata(), await call.trailing_metadata())

        call = self._service.FullDuplexCall(metadata=CUSTOM_METADATA)
        await call.write(output_request([1], 1))
        expect_body(1, await call.read())
        await call.done_writing()
        expect("what follows the last response", grpc.aio.EOF, await call.read())
        expect_echoes(await call.initial_metadata(), await call.trailing_metadata())

    async def status_code_and_message(self):
        await self._unary_fails(status_request(STATUS_MESSAGE), STATUS_MESSAGE)
        call = self._service.FullDuplexCall(iter((status_output_request(STATUS_MESSAGE),)))
        error = await failure_of(call.read())
        expect_status(error.code(), error.details(), STATUS_CODE, STATUS_MESSAGE)

    async def special_status_message(self):
        await self._unary_fails(status_request(SPECIAL_MESSAGE), SPECIAL_MESSAGE)

    async def _unary_fails(self, request, message):
        error = await failure_of(self._service.UnaryCall(request))
        expect_status(error.code(), error.details(), STATUS_CODE, message)

    async def client_compressed_unary(self):
        error = await failure_of(self._service.UnaryCall(judged_request(True), compression=compression(False)))
        expect_status(error.code(), error.details(), grpc.StatusCode.INVALID_ARGUMENT)
        await self.client_compressed_unary_noprobe()

    async def client_compressed_unary_noprobe(self):
        for is_compressed in (True, False):
            request = judged_request(is_compressed)
            expect_body(LARGE_RESPONSE, await self._service.UnaryCall(request, compression=compression(is_compressed)))

    async def server_compressed_unary(self):
        for is_wanted in (True, False):
            expect_body(LARGE_RESPONSE, await self._service.UnaryCall(asking_request(is_wanted)))

    async def client_compressed_streaming(self):
        size, _ = COMPRESSED_REQUESTS[0]
        error = await failure_of(self._service.StreamingInputCall(iter((judged_input(size, True),)), compression=compression(False)))
        expect_status(error.code(), error.details(), grpc.StatusCode.INVALID_ARGUMENT)
        await self.client_compressed_streaming_noprobe()

    async def client_compressed_streaming_noprobe(self):
        # Two calls: as in grpcio, a call's messages are all compressed or none is.
        total = 0
        for size, is_compressed in COMPRESSED_REQUESTS:
            requests = iter((judged_input(size, is_compressed),))
            response = await self._service.StreamingInputCall(requests, compression=compression(is_compressed))
            total += response.aggregated_payload_size
        expect("aggregated size", sum(size for size, _ in COMPRESSED_REQUESTS), total)

    async def server_compressed_streaming(self):
        call = self._service.StreamingOutputCall(asking_output())
        responses = [response async for response in call]
        expect("number of responses", len(COMPRESSED_RESPONSES), len(responses))
        for (size, _), response in zip(COMPRESSED_RESPONSES, responses):
            expect_body(size, response)

    async def orca_per_rpc(self):
        call = self._service.UnaryCall(load_request())
        await call
        expect_load(await call.trailing_metadata())

    async def orca_oob(self):
        # The engine's policies do not read such reports yet, so the listener is this program's own: a stream of them on the same channel.
        reports = self._channel.unary_stream(STREAM_CORE_METRICS)(EVERY_SECOND, timeout=OUT_OF_BAND_GUARD_SECONDS)
        call = self._service.FullDuplexCall(timeout=OUT_OF_BAND_GUARD_SECONDS)
        for asked, told in OUT_OF_BAND_LOADS:
            await call.write(out_of_band_request(asked))
            expect_body(1, await call.read())
            reported = Reported(told)
            while not reported.is_in(await reports.read()):
                pass
        await call.done_writing()
        expect("what follows the last response", grpc.aio.EOF, await call.read())
        expect("status code", grpc.StatusCode.OK, await call.code())
        expect("cancel took effect", True, reports.cancel())

    async def unimplemented_method(self):
        error = await failure_of(self._service.UnimplementedCall(messages.Empty()))
        expect_status(error.code(), error.details(), grpc.StatusCode.UNIMPLEMENTED)

    async def unimplemented_service(self):
        error = await failure_of(self._missing_service.UnimplementedCall(messages.Empty()))
        expect_status(error.code(), error.details(), grpc.StatusCode.UNIMPLEMENTED)

    async def cancel_after_begin(self):
        call = self._service.StreamingInputCall()
        expect("cancel took effect", True, call.cancel())
        expect("status code", grpc.StatusCode.CANCELLED, await call.code())
        await expect_cancelled(call)

    async def cancel_after_first_response(self):
        call = self._service.FullDuplexCall()
        await call.write(output_request([RESPONSE_SIZES[0]], REQUEST_SIZES[0]))
        expect_body(RESPONSE_SIZES[0], await call.read())
        expect("cancel took effect", True, call.cancel())
        await expect_cancelled(call.read())
        expect("status code", grpc.StatusCode.CANCELLED, await call.code())

    async def timeout_on_sleeping_server(self):
        call = self._service.FullDuplexCall(timeout=SLEEPING_SERVER_TIMEOUT_SECONDS)
        try:
            await call.write(output_request([], REQUEST_SIZES[0]))
        except (grpc.RpcError, asyncio.InvalidStateError):
            # The deadline may pass before the message is out.
            pass
        error = await failure_of(call.read())
        expect_status(error.code(), error.details(), grpc.StatusCode.DEADLINE_EXCEEDED)


    async def pick_first_unary(self):
        expect_same_server([await self._service.UnaryCall(identity_request()) for _ in range(PICKS)])

    async def max_concurrent_streams_connection_scaling(self):
        calls, peers = [self._service.FullDuplexCall() for _ in range(3)], []
        for call in calls:
            await call.write(peer_request())
            peers.append((await call.read()).peer_socket_address)
        for call in calls:
            await call.done_writing()
            expect("what follows the last response", grpc.aio.EOF, await call.read())
        expect_two_connections(peers)

    async def concurrent_large_unary(self):
        await self._large_at_once(CONCURRENT_CALLS)

    async def _large_at_once(self, count):
        await asyncio.gather(*(self.large_unary() for _ in range(count)))

    async def long_lived_channel(self):
        for _ in range(LONG_LIVED_CALLS):
            await self.large_unary()
            await asyncio.sleep(LONG_LIVED_INTERVAL_SECONDS)

    async def very_large_request(self):
        expect_body(10, await self._service.UnaryCall(very_large_request()))

    async def rpc_soak(self):
        await self._soak(self._channel)

    async def channel_soak(self):
        await self._soak(None)

    async def _soak(self, shared):
        soak = Soak(self._arguments)

        async def work():
            for started in soak.turns():
                channel = shared or asyncio_channel(self._arguments)
                call = services.TestServiceStub(channel).UnaryCall(soak.request)
                error = None
                try:
                    soak.check(await call)
                except (grpc.RpcError, Unexpected) as failure:
                    error = failure
                # grpc.aio's calls do not tell who answered.
                pause = soak.note(started, None, error)
                if shared is None:
                    await channel.close()
                await asyncio.sleep(pause)

        await asyncio.gather(*(work() for _ in range(soak.workers)))
        soak.judge()

    # The negative cases of HTTP/2, [H2-1] to [H2-8]: the server does what its script says.

    async def goaway(self):
        await self.large_unary()
        await asyncio.sleep(SECONDS_BETWEEN_CALLS)
        await self.large_unary()

    async def rst_after_header(self):
        error = await failure_of(self._service.UnaryCall(large_request()))
        expect_status(error.code(), error.details(), grpc.StatusCode.INTERNAL)

    rst_during_data = rst_after_data = rst_after_header

    async def max_streams(self):
        await self.large_unary()
        await self._large_at_once(CALLS_AT_ONCE)

    ping = data_frame_padding = no_df_padding_sanity_test = large_unary


async def failure_of(awaitable):
    """The error of a call that must fail, caught as existing programs catch it."""
    try:
        came = await awaitable
    except grpc.aio.AioRpcError as error:
        return error
    raise Unexpected(f"expected an error, came {shown(came)}")


async def expect_cancelled(awaitable):
    try:
        came = await awaitable
    except asyncio.CancelledError:
        return
    raise Unexpected(f"expected CancelledError, came {shown(came)}")


class _OldRunner:
    """What `asyncio.Runner` is from Python 3.11 on, as far as it is used here."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()

    def run(self, coroutine):
        return self._loop.run_until_complete(coroutine)

    def close(self):
        self._loop.close()
