"""A token on every unary call, by an interceptor.

    interceptor_auth.py HOST:PORT      (a gRPC interop server)
"""

import sys

import linkspan


class Details:
    """What it lacks stays as the caller asked for it."""

    def __init__(self, metadata):
        self.metadata = metadata


class Token(linkspan.UnaryUnaryClientInterceptor):
    def __init__(self, token):
        self._token = token

    def intercept_unary_unary(self, continuation, client_call_details, request):
        metadata = [*(client_call_details.metadata or ()), ("x-grpc-test-echo-initial", f"Bearer {self._token}")]
        return continuation(Details(metadata), request)


with linkspan.insecure_channel(sys.argv[1]) as channel:
    channel = linkspan.intercept_channel(channel, Token("secret"))
    _, call = channel.unary_unary("/grpc.testing.TestService/UnaryCall").with_call(b"", timeout=10)
    print(dict(call.initial_metadata())["x-grpc-test-echo-initial"])
