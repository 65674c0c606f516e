"""The situations in which all languages must say the same, with what that is.

A case is one channel and one unary call on it. The programs get them as lines of
`case TAB target TAB method TAB timeout_ms TAB request_hex TAB options TAB how` (`-`: no timeout; how: see `core/examples/parity.rs`).
"""

import dataclasses

from parity.sources import registry

EMPTY_CALL = "/grpc.testing.TestService/EmptyCall"
UNARY_CALL = "/grpc.testing.TestService/UnaryCall"

# SimpleRequest{response_size: 1000} and {response_status: {code: 10, message: "lost the race"}}.
ASK_FOR_1000_BYTES = "10e807"
ASK_FOR_ABORTED = "3a11080a120d6c6f7374207468652072616365"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    target: str
    # Where the error shows (create, call, status, or "" for none) and its kind or status code.
    error_at: str
    kind_or_code: str
    # The channel's state when the call has ended; "" when there was no channel.
    final_state: str
    # Words a user needs and the text must therefore contain.
    text_has: tuple = ()
    method: str = EMPTY_CALL
    timeout_ms: int = None
    request_hex: str = ""
    options: str = ""
    how: str = ""

    def line(self):
        timeout = "-" if self.timeout_ms is None else str(self.timeout_ms)
        return "\t".join((self.name, self.target, self.method, timeout, self.request_hex, self.options, self.how))


def cases(server, refused, first_of_both, second_of_both, silent):
    """All cases; the arguments are host:port of a server, three ports nobody listens on and one that never answers.

    A port that has just refused is left alone for a moment, and which of two is tried first would then be chance: the case with two
    ports has its own.
    """
    return [
        *_good(f"ipv4:{server}"),
        *_statuses(f"ipv4:{server}", f"ipv4:{refused}", f"ipv4:{first_of_both},{second_of_both}", f"ipv4:{silent}"),
        *_bad_targets(),
        *_bad_options(f"ipv4:{server}"),
        *_every_option_with_a_wrong_type(f"ipv4:{server}"),
        *_bad_calls(f"ipv4:{server}"),
    ]


def _good(server):
    def good(name, target, **rest):
        return Case(name, target, "", "OK", "READY", **rest)

    return [
        good("good_call", server),
        good("good_call_by_host_and_port", server.removeprefix("ipv4:")),
        good("good_call_with_deadline", server, timeout_ms=30_000),
        good("unknown_grpc_option_is_accepted", server, options="grpc.no_such_option=i:1"),
    ]


def _statuses(server, refused, both_refused, silent):
    def ends(name, target, code, final_state, *text_has, **rest):
        return Case(name, target, "status", code, final_state, text_has, **rest)

    return [
        ends("status_of_the_server", server, "ABORTED", "READY", "lost the race",
             method=UNARY_CALL, request_hex=ASK_FOR_ABORTED),
        ends("unimplemented_method", server, "UNIMPLEMENTED", "READY", method="/grpc.testing.TestService/NoSuchCall"),
        ends("connection_refused", refused, "UNAVAILABLE", "TRANSIENT_FAILURE",
             "failed to connect to all addresses", refused.removeprefix("ipv4:"), "refused"),
        ends("both_addresses_refused", both_refused, "UNAVAILABLE", "TRANSIENT_FAILURE", "refused"),
        ends("missing_unix_socket", "unix:/linkspan-no-such-folder/socket", "UNAVAILABLE", "TRANSIENT_FAILURE",
             "/linkspan-no-such-folder/socket", "os error 2"),
        ends("deadline_on_a_server_that_never_answers", silent, "DEADLINE_EXCEEDED", "CONNECTING", timeout_ms=300),
        ends("response_too_large", server, "RESOURCE_EXHAUSTED", "READY", "10",
             method=UNARY_CALL, request_hex=ASK_FOR_1000_BYTES, options="grpc.max_receive_message_length=i:10"),
        ends("request_too_large", server, "RESOURCE_EXHAUSTED", "IDLE", "10",
             method=UNARY_CALL, request_hex=ASK_FOR_ABORTED, options="grpc.max_send_message_length=i:10"),
    ]


def _bad_targets():
    def refused(name, target, *text_has):
        return Case(name, target, "create", "BadTarget", "", text_has)

    return [
        refused("empty_target", "", "empty"),
        refused("port_0", "localhost:0", "port", "0"),
        refused("port_99999", "localhost:99999", "port", "99999"),
        refused("ipv4_port_99999", "ipv4:127.0.0.1:99999", "port", "99999"),
        refused("unknown_scheme", "foo://x", "foo", "dns"),
        refused("ipv4_that_is_no_address", "ipv4:not-an-address:443", "not-an-address"),
        refused("ipv6_without_closing_bracket", "ipv6:[::1:443", "[::1:443"),
        refused("unix_without_path", "unix:", "unix"),
    ]


def _bad_options(server):
    def refused(name, kind, options, *text_has):
        return Case(name, server, "create", kind, "", text_has, options=options)

    return [
        refused("unknown_linkspan_option", "Unsupported", "linkspan.prese=s:grpc", "linkspan.prese", "linkspan.preset"),
        refused("option_of_the_wrong_type", "BadOption", "grpc.max_receive_message_length=s:large",
                "grpc.max_receive_message_length", "text"),
        refused("preset_that_does_not_exist", "BadOption", "linkspan.preset=s:fancy", "fancy", "resilient"),
        refused("breaker_with_a_mistake", "BadOption", 'linkspan.breaker=s:{"failureRatio":50}', "failureRatio", "50"),
        refused("names_by_a_resolver_nobody_gave", "Unsupported", "linkspan.dns=s:host", "linkspan.dns", "system"),
    ]


def _every_option_with_a_wrong_type(server):
    """Only a language that knows the key and its type can refuse the value so: option names are the same everywhere."""
    for key, kind in registry().items():
        value = "i:1" if kind == "text" else "s:wrong"
        yield Case(f"wrong_type_of_{key}", server, "create", "BadOption", "", (key,), options=f"{key}={value}")


def _bad_calls(server):
    def refused(name, target, kind, final_state, method, *text_has):
        return Case(name, target, "call", kind, final_state, text_has, method=method)

    return [
        refused("method_without_slash", server, "State", "IDLE", EMPTY_CALL[1:], EMPTY_CALL[1:]),
        refused("empty_method", server, "State", "IDLE", "", "method"),
        refused("call_after_close", f"@closed {server}", "Closed", "SHUTDOWN", EMPTY_CALL, "closed"),
    ]
