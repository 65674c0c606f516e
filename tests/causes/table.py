"""The table of causes: the ways in which a call fails, and what its text must say of each.

[CONN-26], [DL-5], [WIRE-244]: phase, address where there is one, cause, and how far the request came. The words are those a reader needs;
golden/native.txt has the whole texts.
"""

import dataclasses

from causes import plays
from parity.cases import ASK_FOR_ABORTED, EMPTY_CALL, UNARY_CALL, Case

HEALTH_OF_X = '{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"x"}}'
TIMEOUT_OF_METHODS = '{"methodConfig":[{"name":[{}],"timeout":"0.2s"}]}'
# Long enough for what comes before, short enough to wait for.
SOON = 250


@dataclasses.dataclass(frozen=True)
class Row:
    """One cause. `phase` is None where the text is not the engine's and has no trail."""

    case: Case
    # Languages that have no way to do this.
    not_in: tuple
    phase: str
    sent: str
    addresses: tuple
    words: tuple

    @property
    def name(self):
        return self.case.name


def row(name, target, code, phase, sent, *words, addresses=("SERVER",), scheme="ipv4:", not_in=(), **how):
    """`sent` is "sent", "not sent" or "refused": the server says that it did not process the request."""
    case = Case(name, f"{scheme}{target}", "status", code, "", **how)
    return Row(case, not_in, phase, sent, addresses, words)


def rows(stage):
    return [
        *_names_and_sockets(stage),
        *_other_protocols(stage),
        *_tls(stage),
        *_proxies(stage),
        *_waiting(stage),
        *_streams(stage),
        *_connections_lost(stage),
        *_answers(stage),
        *_sizes(stage),
        *_ended_here(stage),
    ]


def _names_and_sockets(stage):
    """[CONN-20], [CONN-26], [CONN-41], [CONN-65], [NAME-44], [DL-4]"""
    unused = dict(addresses=())
    short_dial = "linkspan.connect_timeout_ms=i:150"
    first, second = stage.refused("FIRST"), stage.peer(plays.leaves_at_once, "SECOND")
    yield row("connection_refused", stage.refused(), "UNAVAILABLE", "connect", "not sent", "Connection refused (os error 111)")
    yield row("two_addresses_fail_differently", f"{first},{second}", "UNAVAILABLE", "connect", "not sent", "Connection refused",
              "closed by the server", addresses=("FIRST", "SECOND"), options="grpc.happy_eyeballs_connection_attempt_delay_ms=i:2000")
    yield row("name_that_nobody_has", "nobody.invalid:50051", "UNAVAILABLE", "resolve", "not sent", "nobody.invalid:50051",
              scheme="dns:///", **unused)
    yield row("deadline_while_a_name_is_tried_again", "nobody.invalid:50051", "DEADLINE_EXCEEDED", "resolve", "not sent",
              "DNS resolution failed for nobody.invalid:50051", scheme="dns:///", how="wait_for_ready", timeout_ms=SOON, **unused)
    yield row("network_unreachable", "255.255.255.255:1", "UNAVAILABLE", "connect", "not sent", "255.255.255.255:1",
              "Network is unreachable (os error 101)", **unused)
    yield row("missing_unix_socket", "/linkspan-no-such-folder/socket", "UNAVAILABLE", "connect", "not sent",
              "unix:/linkspan-no-such-folder/socket", "os error 2", scheme="unix:", **unused)
    yield row("connect_timeout_without_an_answer", stage.full(), "UNAVAILABLE", "connect", "not sent", "timed out", "the connection to open",
              options=short_dial)
    yield row("connect_timeout_without_settings", stage.peer(plays.says_nothing), "UNAVAILABLE", "connect", "not sent", "timed out",
              "the server's HTTP/2 SETTINGS", options=short_dial)
    yield row("deadline_while_connecting", stage.full(), "DEADLINE_EXCEEDED", "connect", "not sent", "the connection to open", timeout_ms=SOON)
    yield row("deadline_before_settings", stage.peer(plays.says_nothing), "DEADLINE_EXCEEDED", "connect", "not sent",
              "the server's HTTP/2 SETTINGS", timeout_ms=SOON)
    yield row("closed_at_once", stage.peer(plays.leaves_at_once), "UNAVAILABLE", "connect", "not sent", "closed by the server",
              "before its HTTP/2 SETTINGS")


def _other_protocols(stage):
    """[WIRE-6], [WIRE-150], [WIRE-160]"""
    http1 = "HTTP/1.1 {}\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nno"
    for name, status in (("http1_server", "400 Bad Request"), ("http1_server_that_is_content", "200 OK")):
        yield row(name, stage.peer(plays.begins_with(http1.format(status).encode())), "UNAVAILABLE", "connect", "not sent",
                  "the server answered in HTTP/1")
    tls = stage.peer(plays.speaks_tls(stage.server(), plays.says_nothing))
    yield row("plaintext_to_tls", tls, "UNAVAILABLE", "connect", "not sent", "closed by the server", "as servers do that want TLS")
    # The alert that most of them send before that.
    alert = stage.peer(plays.begins_with(bytes.fromhex("15030100020246")))
    yield row("plaintext_to_tls_that_says_so", alert, "UNAVAILABLE", "connect", "not sent", "the server answered in TLS; use TLS credentials")
    yield row("something_else_entirely", stage.peer(plays.begins_with(b"220 mail.example ESMTP\r\n")), "UNAVAILABLE", "connect", "not sent",
              "did not begin with an HTTP/2 SETTINGS frame")
    for status, code in (("200", "UNKNOWN"), ("404", "UNIMPLEMENTED"), ("503", "UNAVAILABLE")):
        yield row(f"http2_without_grpc_{status}", stage.peer(plays.with_web_page(status)), code, "wait", "sent", f"HTTP {status}", "text/html")


def _tls(stage):
    """[WIRE-3], [CONN-40], [CONN-41], [NAME-35]"""

    def tls(name, *words, play=plays.says_nothing, client="", code="UNAVAILABLE", more=None, **server):
        peer = stage.peer(plays.speaks_tls(stage.server(**server), play))
        how = f"{stage.roots()} {client and stage.shown_by_client(client)}"
        return row(name, peer, code, "tls", "not sent", *words, how=how, **(more or {}))

    def raw(name, play, *words, code="UNAVAILABLE", **more):
        return row(name, stage.peer(play), code, "tls", "not sent", *words, how=stage.roots(), **more)

    yield tls("certificate_expired", "certificate expired", certificate="expired")
    yield tls("certificate_not_valid_yet", "is valid in", "clock", certificate="early")
    yield tls("certificate_for_another_name", "127.0.0.1", "other.example", certificate="other-name")
    yield tls("certificate_of_nobody_we_trust", "signed by nobody who is trusted", certificate="self-signed")
    yield tls("client_certificate_missing", "asks for a client certificate", wants_client=True)
    yield tls("client_certificate_not_accepted", "refused the client's certificate", client="stranger", wants_client=True)
    yield tls("no_agreement_on_http2", "did not agree on HTTP/2", speaks_http2=False)
    # The alerts protocol_version and handshake_failure, RFC 8446 §6.
    yield raw("tls_too_old", plays.begins_with(bytes.fromhex("15030100020246")), "none of the versions of TLS")
    yield raw("no_common_cipher", plays.begins_with(bytes.fromhex("15030300020228")), "HandshakeFailure")
    yield raw("tls_to_plaintext", plays.begins_with(bytes.fromhex("000000040000000000")), "is not TLS")
    yield raw("tls_to_http1", plays.begins_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "is not TLS")
    yield raw("closed_in_the_handshake", plays.leaves_at_once, "the server closed the connection")
    yield raw("handshake_stalls", plays.says_nothing, "timed out", "the TLS handshake", options="linkspan.connect_timeout_ms=i:150")
    yield raw("deadline_in_the_handshake", plays.says_nothing, "the TLS handshake", code="DEADLINE_EXCEEDED", timeout_ms=SOON)


def _proxies(stage):
    """[CONN-174], [CONN-176]"""
    destination = "192.0.2.1:50051"

    def proxied(name, proxy, *words, user="", code="UNAVAILABLE", more="", **rest):
        options = f"grpc.http_proxy=s:http://{user}{proxy} {more}"
        return row(name, destination, code, "connect", "not sent", destination, *words, addresses=("PROXY",), options=options, **rest)

    def answering(status):
        return stage.peer(plays.proxy_answers(f"HTTP/1.1 {status}\r\n\r\n".encode()), "PROXY")

    yield proxied("proxy_forbids", answering("403 Forbidden"), "the proxy refused CONNECT: 403 Forbidden")
    yield proxied("proxy_wants_a_password", answering("407 Proxy Authentication Required"), "it asks for user and password")
    yield proxied("proxy_does_not_accept_the_password", answering("407 Proxy Authentication Required"), "it did not accept", user="me:no@")
    yield proxied("proxy_refused", stage.refused("PROXY"), "the proxy cannot be reached", "Connection refused")
    yield proxied("proxy_closes", stage.peer(plays.leaves_at_once, "PROXY"), "the proxy closed the connection")
    yield proxied("proxy_says_nothing", stage.peer(plays.says_nothing, "PROXY"), "the proxy's answer to CONNECT",
                  code="DEADLINE_EXCEEDED", timeout_ms=SOON)


def _waiting(stage):
    """[CONN-128], [LB-127], [WIRE-9], [DL-4], [DL-5]"""
    no_streams = plays.greets_and_waits(plays.ALLOWS_NO_STREAMS)
    one_connection = "linkspan.max_connections_per_subchannel=i:1"
    yield row("deadline_at_the_stream_limit", stage.peer(no_streams), "DEADLINE_EXCEEDED", "queue", "not sent", "0 of 0 in use", timeout_ms=SOON,
              options=one_connection)
    one_stream = plays.greets_and_waits(plays.ALLOWS_ONE_STREAM)
    yield row("deadline_behind_another_stream", stage.peer(one_stream), "DEADLINE_EXCEEDED", "queue", "not sent", "1 of 1 in use", how="beside=1",
              timeout_ms=SOON, options=one_connection)
    yield row("deadline_at_a_limit_of_ours", stage.peer(plays.greets_and_waits()), "DEADLINE_EXCEEDED", "queue", "not sent",
              "linkspan.max_concurrent_requests", how="beside=1", timeout_ms=SOON, options="linkspan.max_concurrent_requests=i:1", addresses=())
    begun = stage.file("begun")
    yield row("too_many_wait", stage.peer(plays.tells_of_the_connection(begun)), "RESOURCE_EXHAUSTED", "connect", "not sent",
              "linkspan.max_queued_calls", how=f"beside=1 start_once={begun}", options="linkspan.max_queued_calls=i:1")
    yield row("deadline_past_already", stage.refused(), "DEADLINE_EXCEEDED", "queue", "not sent", "past when the call was made", timeout_ms=0, addresses=())
    yield row("deadline_of_the_channel", stage.peer(plays.greets_and_waits()), "DEADLINE_EXCEEDED", "wait", "sent",
              "linkspan.default_timeout_ms", options=f"linkspan.default_timeout_ms=i:{SOON}")
    yield row("deadline_of_the_method", stage.peer(plays.greets_and_waits()), "DEADLINE_EXCEEDED", "wait", "sent", "service config",
              options=f"grpc.service_config=s:{TIMEOUT_OF_METHODS}")
    yield row("deadline_while_the_server_thinks", stage.peer(plays.greets_and_waits()), "DEADLINE_EXCEEDED", "wait", "sent", timeout_ms=SOON)
    yield row("deadline_while_the_request_is_sent", stage.peer(plays.greets_and_waits(plays.OPENS_NO_WINDOW)), "DEADLINE_EXCEEDED", "send",
              "sent", timeout_ms=SOON, how="request_size=100000")
    yield row("breaker_open", stage.peer(plays.resets_streams_with(2)), "UNAVAILABLE", "connect", "not sent", "circuit breaker",
              "1 failure", how="earlier=1", options='linkspan.breaker=s:{"consecutiveFailures":1}')
    yield row("server_not_healthy", stage.peer(plays.is_not_serving), "UNAVAILABLE", "connect", "not sent", "NOT_SERVING",
              options=f"grpc.service_config=s:{HEALTH_OF_X}")


def _streams(stage):
    """[WIRE-165], [WIRE-166], [WIRE-191], [RETRY-1], [RETRY-3]"""
    once = "linkspan.preset=s:grpc"
    yield row("stream_refused_again_and_again", stage.peer(plays.resets_streams_with(7)), "UNAVAILABLE", "wait", "refused", "REFUSED_STREAM",
              options=once)
    yield row("goaway_refuses_again_and_again", stage.peer(plays.goes_away_from_all), "UNAVAILABLE", "wait", "refused", 'NO_ERROR "max_age"',
              options=once)
    for name, number, code in (
        ("INTERNAL_ERROR", 2, "INTERNAL"),
        ("CANCEL", 8, "CANCELLED"),
        ("ENHANCE_YOUR_CALM", 11, "RESOURCE_EXHAUSTED"),
        ("INADEQUATE_SECURITY", 12, "PERMISSION_DENIED"),
    ):
        play = plays.resets_streams_with(number)
        yield row(f"stream_reset_with_{name.lower()}", stage.peer(play), code, "wait", "sent", f"reset the stream with {name}")


def _connections_lost(stage):
    """[WIRE-190], [WIRE-243], [CONN-82], [CONN-92], [CONN-95]"""
    lost = ("UNAVAILABLE", "wait", "sent")
    for name, parts in (
        ("before_headers", ()),
        ("after_headers", (plays.headers_part,)),
        ("inside_a_message", (plays.headers_part, plays.half_a_message_part)),
    ):
        yield row(f"connection_reset_{name}", stage.peer(plays.aborts_after(*parts)), *lost, "Connection reset by peer (os error 104)")
    for name, code, text in (("too_many_pings", 11, "too_many_pings"), ("max_age", 0, "max_age")):
        yield row(f"goaway_with_{name}", stage.peer(plays.goes_away_under_the_call(code, text)), *lost, "GOAWAY", f'"{text}"')
    keepalive = "linkspan.keepalive_min_time_ms=i:50 grpc.keepalive_time_ms=i:50 grpc.keepalive_timeout_ms=i:100"
    yield row("no_answer_to_a_ping", stage.peer(plays.greets_and_waits()), *lost, "keepalive", options=keepalive)
    twice = '{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":2,"initialBackoff":"0.01s","maxBackoff":"0.01s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
    yield row("connection_reset_with_every_attempt", stage.peer(plays.aborts_after()), *lost, "attempt 1", "attempt 2", "Connection reset by peer",
              options=f"grpc.service_config=s:{twice}")
    yield row("rule_of_http2_broken", stage.peer(plays.breaks_http2), "INTERNAL", "wait", "sent", "rule of HTTP/2")


def _answers(stage):
    """[WIRE-64], [WIRE-119], [WIRE-135], [WIRE-137], [WIRE-150], [WIRE-152], [WIRE-157], [WIRE-158]"""

    def answer(name, play, code, *words):
        return row(name, stage.peer(play), code, "wait", "sent", *words)

    headers = plays.GRPC_HEADERS
    yield answer("no_status", plays.with_messages(b"", trailers=(("x", "y"),)), "UNKNOWN", "none in the trailers")
    yield answer("status_that_is_no_number", plays.with_messages(b"", trailers=(("grpc-status", "fine"),)), "UNKNOWN", '"fine"')
    yield answer("no_status_and_no_body", plays.with_headers(*headers), "UNKNOWN", "none in a response without a body")
    yield answer("no_trailers", plays.without_trailers, "INTERNAL", "without trailers")
    yield answer("no_message", plays.with_messages(), "UNIMPLEMENTED", "no message where one was due")
    yield answer("two_messages", plays.with_messages(b"", b""), "UNIMPLEMENTED", "a second message")
    yield answer("metadata_that_is_not_base64", plays.with_messages(b"", headers=(*headers, ("x-bin", "!"))), "INTERNAL", '"x-bin"', "base64")
    yield answer("compressed_without_an_encoding", plays.with_messages(b"x", flag=1), "INTERNAL", "compressed")
    gzip = (*headers, ("grpc-encoding", "gzip"))
    yield answer("compressed_with_mistakes", plays.with_messages(b"no gzip", headers=gzip, flag=1), "INTERNAL", "gzip")
    unknown = (*headers, ("grpc-encoding", "lz77"))
    yield answer("compressed_as_nobody_asked", plays.with_messages(b"x", headers=unknown, flag=1), "INTERNAL", "lz77")
    yield answer("flag_that_does_not_exist", plays.with_messages(b"x", flag=7), "INTERNAL", "flag 7")
    aborted = plays.with_headers(*headers, ("grpc-status", "10"), ("grpc-message", "lost the race"))
    yield row("status_of_the_server", stage.peer(aborted), "ABORTED", None, None, "lost the race", addresses=())


def _sizes(stage):
    """[WIRE-72], [WIRE-93], [SC-23], [SC-24]"""
    yield row("answer_too_large", stage.peer(plays.with_messages(bytes(11))), "RESOURCE_EXHAUSTED", "wait", "sent", "11", "10",
              options="grpc.max_receive_message_length=i:10")
    yield row("request_too_large", stage.peer(plays.with_messages(b"")), "RESOURCE_EXHAUSTED", "send", "not sent", "10",
              method=UNARY_CALL, request_hex=ASK_FOR_ABORTED, options="grpc.max_send_message_length=i:10", addresses=())
    large = (*plays.GRPC_HEADERS, ("x", "y" * 16_300))
    yield row("headers_too_large", stage.peer(plays.with_messages(b"", headers=large)), "RESOURCE_EXHAUSTED", "wait", "sent", "16384")
    yield row("too_much_metadata", stage.peer(plays.with_messages(b"")), "RESOURCE_EXHAUSTED", "queue", "not sent", "40000",
              how="metadata=40000", addresses=())


def _ended_here(stage):
    """[CONN-154], [CAN-1], [CAN-5]"""
    running, queued, cancelled = (stage.file(name) for name in ("running", "queued", "cancelled"))
    yield row("channel_closed_while_queued", stage.peer(plays.tells_of_the_connection(queued)), "UNAVAILABLE", "connect", "not sent",
              "channel closed", how=f"close_once={queued}")
    yield row("channel_closed_while_running", stage.peer(plays.tells_of_the_call(running)), "CANCELLED", "wait", "sent",
              "channel closed while the call was running", how=f"close_once={running}", not_in=("node",))
    yield row("cancelled_by_the_caller", stage.peer(plays.tells_of_the_call(cancelled)), "CANCELLED", None, None,
              how=f"cancel_once={cancelled}", addresses=())
