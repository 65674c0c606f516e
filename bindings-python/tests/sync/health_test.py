"""Servers that tell their health by grpcio's own health service, and channels whose service config has it asked for."""

import collections
import contextlib
import json
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import linkspan

ECHO = "/test.Service/Echo"
SERVICE = "test.Service"
CONFIG = json.dumps({"healthCheckConfig": {"serviceName": SERVICE}, "loadBalancingConfig": [{"round_robin": {}}]})

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """A server that echoes, says how healthy it is, and counts its calls."""

    def __init__(self, status):
        self.calls = 0
        # A Watch holds a thread for as long as it lasts.
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        echo = grpc.unary_unary_rpc_method_handler(self._echo)
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Echo": echo})])
        self._health = None
        if status is not None:
            self._health = health.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
            self.says(status)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _echo(self, message, _context):
        self.calls += 1
        return message

    def says(self, status):
        self._health.set(SERVICE, status)

    def stop(self):
        self._server.stop(None).wait()


@contextlib.contextmanager
def running(*statuses):
    with contextlib.ExitStack() as stack:
        servers = [Server(status) for status in statuses]
        for server in servers:
            stack.callback(server.stop)
        target = "ipv4:" + ",".join(server.address for server in servers)
        channel = stack.enter_context(linkspan.insecure_channel(target, [("grpc.service_config", CONFIG)]))
        yield servers, channel


def peers(channel, count):
    """Which server answered how many of so many calls."""
    echo = channel.unary_unary(ECHO)
    return collections.Counter(echo.with_call(b"", wait_for_ready=True)[1].peer for _ in range(count))


def wait_until_only(channel, wanted):
    """A server that changes its mind is heard a moment later."""
    for _ in range(10_000):
        served = set(peers(channel, 10))
        if served == wanted:
            return
    raise AssertionError(f"{served} served instead of {wanted}")


def test_only_servers_that_say_serving_get_calls_and_each_as_soon_as_it_says_so():
    with running(SERVING, NOT_SERVING) as ([first, second], channel):
        peers(channel, 100)
        assert (first.calls, second.calls) == (100, 0)
        names = [next(iter(peers(channel, 1)))]
        second.says(SERVING)
        for _ in range(10_000):
            names = sorted(set(names) | set(peers(channel, 1)))
            if len(names) == 2:
                break
        assert len(names) == 2
        first.says(NOT_SERVING)
        [of_second] = [name for name in names if name.endswith(second.address.rpartition(":")[2])]
        wait_until_only(channel, {of_second})


def test_with_no_server_that_is_healthy_calls_say_what_each_one_said():
    with running(NOT_SERVING) as ([server], channel):
        echo = channel.unary_unary(ECHO)
        with pytest.raises(linkspan.RpcError) as caught:
            echo(b"")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert f'{server.address} says NOT_SERVING for "{SERVICE}"' in caught.value.details()
        waiting = echo.future(b"served", wait_for_ready=True, timeout=60)
        server.says(SERVING)
        assert waiting.result() == b"served"


def test_a_server_without_the_health_service_is_used():
    with running(None) as ([server], channel):
        peers(channel, 10)
        assert server.calls == 10
