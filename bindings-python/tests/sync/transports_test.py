"""Plaintext, unix sockets and TLS, on both faces."""

import asyncio
import time

import grpc
import pytest
from support.interop import interop_server
from support.processes import running_server

import linkspan
from linkspan import aio

EMPTY_CALL = "/grpc.testing.TestService/EmptyCall"


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    certificate = tmp_path_factory.mktemp("certificates") / "root.pem"
    with interop_server("--tls", "--cert-out", certificate) as process:
        process.certificate = certificate.read_bytes()
        process.port = process.address.rpartition(":")[2]
        yield process


def empty_call(channel):
    with channel:
        return channel.unary_unary(EMPTY_CALL)(b"", timeout=30)


def empty_call_in_a_loop(target, credentials):
    async def call():
        async with aio.secure_channel(target, credentials) as channel:
            return await channel.unary_unary(EMPTY_CALL)(b"", timeout=30)

    return asyncio.run(call())


def test_a_unix_socket(tmp_path):
    path = tmp_path / "socket"
    with running_server("127.0.0.1:0", f"unix:{path}"), linkspan.insecure_channel(f"unix:{path}") as channel:
        response, call = channel.unary_unary("/test.Service/Echo").with_call(b"x")
    assert response == b"x"
    assert str(path) in call.peer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tls_with_given_roots(tls_server, host):
    credentials = linkspan.ssl_channel_credentials(tls_server.certificate)
    target = f"{host}:{tls_server.port}"
    assert empty_call(linkspan.secure_channel(target, credentials)) == b""
    assert empty_call(linkspan.connect(target, credentials=credentials)) == b""
    assert empty_call_in_a_loop(target, credentials) == b""


def test_roots_in_a_file_are_read_again(tls_server, tmp_path):
    file = tmp_path / "ca.crt"
    file.write_bytes(tls_server.certificate)
    credentials = linkspan.file_channel_credentials(roots=file)
    target = f"localhost:{tls_server.port}"
    assert empty_call(linkspan.secure_channel(target, credentials)) == b""
    assert empty_call_in_a_loop(target, credentials) == b""
    options = [("linkspan.tls_reload_interval_ms", 10)]
    with linkspan.secure_channel(target, credentials, options) as channel:
        channel.unary_unary(EMPTY_CALL)(b"", timeout=30)
        file.write_bytes(b"broken")
        comes_to_tell(channel, f"stays in use: root certificates in {file}: no certificate found")
        assert channel.unary_unary(EMPTY_CALL)(b"", timeout=30) == b""
        file.write_bytes(tls_server.certificate + tls_server.certificate)
        comes_to_tell(channel, "the TLS files were read again")
        assert channel.unary_unary(EMPTY_CALL)(b"", timeout=30) == b""


def comes_to_tell(channel, words):
    guard = time.monotonic() + 60
    while not any(words in event.cause for event in channel.events()):
        assert time.monotonic() < guard, [event.cause for event in channel.events()]
        time.sleep(0.01)


def test_grpcios_credentials_are_taken_over(tls_server):
    credentials = grpc.ssl_channel_credentials(tls_server.certificate)
    assert empty_call(linkspan.secure_channel(f"localhost:{tls_server.port}", credentials)) == b""
    assert empty_call_in_a_loop(f"localhost:{tls_server.port}", credentials) == b""


def test_grpcios_insecure_credentials_are_plaintext(server):
    from grpc import experimental

    credentials = experimental.insecure_channel_credentials()
    with linkspan.secure_channel(server.address, credentials) as channel:
        assert channel.unary_unary("/test.Service/Echo")(b"x") == b"x"




def test_grpcios_other_credentials_are_refused_with_what_to_pass_instead():
    with pytest.raises(ValueError) as caught:
        linkspan.secure_channel("localhost:1", grpc.alts_channel_credentials())
    assert "ALTS" in str(caught.value) and "ssl_channel_credentials" in str(caught.value)


def test_an_unknown_authority_is_not_trusted(tls_server):
    credentials = linkspan.ssl_channel_credentials()
    with linkspan.secure_channel(f"localhost:{tls_server.port}", credentials) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(EMPTY_CALL)(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "certificate" in caught.value.details().lower()


def test_a_name_the_certificate_does_not_hold_is_refused_unless_overridden(tls_server):
    credentials = linkspan.ssl_channel_credentials(tls_server.certificate)
    target = f"127.0.0.1:{tls_server.port}"
    options = [("grpc.ssl_target_name_override", "other.example")]
    with linkspan.secure_channel(target, credentials, options) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(EMPTY_CALL)(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    options = [("grpc.ssl_target_name_override", "localhost")]
    assert empty_call(linkspan.secure_channel(target, credentials, options)) == b""


def test_connect_without_credentials_means_tls(server):
    with linkspan.connect(server.address) as channel, pytest.raises(linkspan.RpcError) as caught:
        channel.unary_unary("/test.Service/Echo")(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "tls" in caught.value.details().lower()
