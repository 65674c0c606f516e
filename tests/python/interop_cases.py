"""What gRPC's interop cases send and expect; how a face sends it is said in interop_blocking and interop_asyncio."""

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

CASES = (
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


def expect_status(code, details, wanted_code, wanted_details=None):
    expect("status code", wanted_code, code)
    if wanted_details is not None:
        expect("status message", wanted_details, details)
