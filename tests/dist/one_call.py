"""One unary call with the installed package: bytes in, bytes out."""

import sys

import linkspan

with linkspan.insecure_channel(sys.argv[1]) as channel:
    answer = channel.unary_unary("/grpc.testing.TestService/EmptyCall")(b"", timeout=10)
if answer != b"":
    sys.exit(f"expected an empty message, got {answer!r}")
