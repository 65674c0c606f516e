"""The command line of the interop program: flags as --name=value, with the names gRPC's interop clients have, then cases."""

import argparse
import pathlib

import linkspan
from linkspan import aio


def parser():
    parser = argparse.ArgumentParser(prog="interop.py", description="gRPC's interop cases through linkspan's two Python faces")
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="without one: those every interop server serves")
    parser.add_argument("--ca_file", type=pathlib.Path, help="TLS, with these roots")
    parser.add_argument("--server_host_override", help="the name to ask for and to check")
    parser.add_argument("--soak_iterations", type=int, default=10)
    parser.add_argument("--soak_max_failures", type=int, default=0)
    parser.add_argument("--soak_per_iteration_max_acceptable_latency_ms", type=int, default=1000)
    parser.add_argument("--soak_overall_timeout_seconds", type=float, help="default: what all iterations may take together")
    parser.add_argument("--soak_min_time_ms_between_rpcs", type=int, default=0)
    parser.add_argument("--soak_request_size", type=int, default=271_828)
    parser.add_argument("--soak_response_size", type=int, default=314_159)
    parser.add_argument("--soak_num_threads", type=int, default=1)
    parser.add_argument("--soak_log", help="where the line of each iteration goes; standard output without it")
    return parser


def blocking_channel(arguments, options=()):
    return _channel(linkspan, arguments, options)


def asyncio_channel(arguments, options=()):
    return _channel(aio, arguments, options)


def _channel(face, arguments, options):
    options = list(options)
    if arguments.server_host_override:
        options.append(("grpc.ssl_target_name_override", arguments.server_host_override))
    if not arguments.ca_file:
        return face.insecure_channel(arguments.target, options)
    credentials = linkspan.ssl_channel_credentials(arguments.ca_file.read_bytes())
    return face.secure_channel(arguments.target, credentials, options)
