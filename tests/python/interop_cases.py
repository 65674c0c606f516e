"""What gRPC's interop cases send and expect; how a face sends it is said in interop_blocking and interop_asyncio."""

import time

import grpc

from generated import messages

LARGE_REQUEST = 271_828
LARGE_RESPONSE = 314_159
REQUEST_SIZES = (27_182, 8, 1_828, 45_904)
RESPONSE_SIZES = (31_415, 9, 2_653, 58_979)

INITIAL_KEY = "x-grpc-test-echo-initial"
INITIAL_VALUE = "test_initial_metadata_value"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"
TRAILING_VALUE = b"\xab\xab\xab"
CUSTOM_METADATA = ((INITIAL_KEY, INITIAL_VALUE), (TRAILING_KEY, TRAILING_VALUE))

STATUS_CODE = grpc.StatusCode.UNKNOWN
STATUS_MESSAGE = "test status message"
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"

# Long enough for any machine; a call that reaches it has failed.
GUARD_SECONDS = 60
SLEEPING_SERVER_TIMEOUT_SECONDS = 0.001

# What a case's channel is made with.
OPTIONS = {
    "pick_first_unary": (("grpc.service_config", '{"loadBalancingConfig": [{"pick_first": {}}]}'),),
    "max_concurrent_streams_connection_scaling": (
        ("grpc.service_config", '{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}'),
    ),
}
PICKS = 100
CONCURRENT_CALLS = 1_000
LONG_LIVED_CALLS = 5
LONG_LIVED_INTERVAL_SECONDS = 0.2
VERY_LARGE_REQUEST = 10 << 20
# Sent compressed, and as it is; and what is to come so.
COMPRESSED_REQUESTS = ((27_182, True), (45_904, False))
COMPRESSED_RESPONSES = ((31_415, True), (92_653, False))
# cpu 0.8210, memory 0.5847, request cost {cost: 3456.32}, utilization {util: 0.30499}: a TestOrcaReport, and an OrcaLoadReport, whose maps have
# other numbers.
_LOAD = "091283c0caa145ea3f1112143fc6dcb5e23f{}0f0a04636f737411713d0ad7a300ab40{}0f0a047574696c11bed9e6c6f484d33f"
ASKED_LOAD, TOLD_LOAD = bytes.fromhex(_LOAD.format("1a", "22")), bytes.fromhex(_LOAD.format("22", "2a"))
# The same without a cost, to be told beside the calls; then cpu 0.29309, memory 0.2, utilization {util: 0.2039}. Asked, and told.
_OUT_OF_BAND = (
    "091283c0caa145ea3f1112143fc6dcb5e23f{}0f0a047574696c11bed9e6c6f484d33f",
    "098b37328ffcc1d23f119a9999999999c93f{}0f0a047574696c1161c3d32b6519ca3f",
)
OUT_OF_BAND_LOADS = tuple(tuple(bytes.fromhex(load.format(number)) for number in ("22", "2a")) for load in _OUT_OF_BAND)
STREAM_CORE_METRICS = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
# An OrcaLoadReportRequest: a report each second.
EVERY_SECOND = bytes.fromhex("0a020801")
OUT_OF_BAND_GUARD_SECONDS = 30
REPORTED_WITHIN_SECONDS = 10
# Of the cases that need a server that breaks rules.
CALLS_AT_ONCE = 10
SECONDS_BETWEEN_CALLS = 1
LINE_BREAKS = {ord("\n"): " ", ord("\r"): " "}

# What every interop server serves.
EVERYWHERE = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
)
CASES = (
    *EVERYWHERE,
    "pick_first_unary",
    "max_concurrent_streams_connection_scaling",
    "concurrent_large_unary",
    "long_lived_channel",
    "very_large_request",
    "orca_per_rpc",
    "orca_oob",
    "client_compressed_unary",
    "client_compressed_unary_noprobe",
    "server_compressed_unary",
    "client_compressed_streaming",
    "client_compressed_streaming_noprobe",
    "server_compressed_streaming",
    "rpc_soak",
    "channel_soak",
    "goaway",
    "rst_after_header",
    "rst_during_data",
    "rst_after_data",
    "ping",
    "max_streams",
    "data_frame_padding",
    "no_df_padding_sanity_test",
)


class Unexpected(Exception):
    """What was expected and what came."""


def expect(what, wanted, came):
    if came != wanted:
        raise Unexpected(f"{what}: expected {shown(wanted)}, came {shown(came)}")


def shown(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def payload(size):
    return messages.Payload(body=bytes(size))


def large_request():
    return messages.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST))


def small_request():
    return messages.SimpleRequest(response_size=1, payload=payload(1))


def identity_request():
    return messages.SimpleRequest(response_size=1, payload=payload(1), fill_server_id=True)


def very_large_request():
    return messages.SimpleRequest(response_size=10, payload=payload(VERY_LARGE_REQUEST))


def judged_request(is_expected):
    """A large one, which is said to come compressed or as it is."""
    request = large_request()
    request.expect_compressed.value = is_expected
    return request


def asking_request(is_wanted):
    request = large_request()
    request.response_compressed.value = is_wanted
    return request


def judged_input(size, is_expected):
    expected = messages.BoolValue(value=is_expected)
    return messages.StreamingInputCallRequest(payload=payload(size), expect_compressed=expected)


def asking_output():
    asked = ((size, messages.BoolValue(value=is_wanted)) for size, is_wanted in COMPRESSED_RESPONSES)
    parameters = [messages.ResponseParameters(size=size, compressed=compressed) for size, compressed in asked]
    return messages.StreamingOutputCallRequest(response_parameters=parameters)


def compression(is_compressed):
    return grpc.Compression.Gzip if is_compressed else grpc.Compression.NoCompression


def peer_request():
    parameters = messages.ResponseParameters(fill_peer_socket_address=messages.BoolValue(value=True))
    return messages.StreamingOutputCallRequest(response_parameters=[parameters])


def load_request():
    return messages.SimpleRequest(orca_per_query_report=ASKED_LOAD)


def expect_load(trailing):
    """The server tells its load with the call; here it is read where policies read it too."""
    expect("load in the trailers", [TOLD_LOAD], [value for key, value in trailing if key == "endpoint-load-metrics-bin"])


def out_of_band_request(load):
    parameters = [messages.ResponseParameters(size=1)]
    return messages.StreamingOutputCallRequest(response_parameters=parameters, orca_oob_report=load)


class Reported:
    """Whether reports that come one by one show a load, which they must do in time."""

    def __init__(self, load):
        self._load = load
        self._until = time.monotonic() + REPORTED_WITHIN_SECONDS

    def is_in(self, report):
        expect("end of the reports", False, report is grpc.aio.EOF)
        if report != self._load and time.monotonic() > self._until:
            expect(f"load in a report after {REPORTED_WITHIN_SECONDS} s", self._load, report)
        return report == self._load


def status_request(message):
    return messages.SimpleRequest(response_status=messages.EchoStatus(code=STATUS_CODE.value[0], message=message))


def input_requests():
    return (messages.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES)


def output_request(sizes, request_size=0):
    parameters = [messages.ResponseParameters(size=size) for size in sizes]
    return messages.StreamingOutputCallRequest(response_parameters=parameters, payload=payload(request_size))


def status_output_request(message):
    status = messages.EchoStatus(code=STATUS_CODE.value[0], message=message)
    return messages.StreamingOutputCallRequest(response_status=status)


def expect_body(size, response):
    expect("length of the response's body", size, len(response.payload.body))
    expect("bytes of the response's body other than zero", 0, len(response.payload.body.strip(b"\0")))


def expect_echoes(initial, trailing):
    for name, metadata, key, value in (
        ("initial metadata", initial, INITIAL_KEY, INITIAL_VALUE),
        ("trailing metadata", trailing, TRAILING_KEY, TRAILING_VALUE),
    ):
        expect(f"{key} in the {name}", [value], [v for k, v in metadata if k == key])


def expect_same_server(responses):
    names = {response.server_id for response in responses}
    expect("servers that do not say who they are", False, "" in names)
    expect("servers", 1, len(names))


def expect_two_connections(peers):
    """Two calls on the first, the third on the second."""
    is_good = peers[0] and peers[0] == peers[1] and peers[0] != peers[2]
    expect(f"calls on the connections they should be on, which are {peers}", True, bool(is_good))


def expect_status(code, details, wanted_code, wanted_details=None):
    expect("status code", wanted_code, code)
    if wanted_details is not None:
        expect("status message", wanted_details, details)
