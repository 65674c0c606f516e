"""Calls spread over servers that grpcio runs, as a channel's policy says."""

import collections
import contextlib
import json
from concurrent import futures

import grpc
import pytest
from support.processes import running_server

import linkspan

ECHO = "/test.Service/Echo"
SERVERS = 3
CALLS = 900
# Chance alone exceeds it once in a million runs: chi squared with two degrees of freedom.
MOST_CHI_SQUARED = 27.6


@contextlib.contextmanager
def running_servers(count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running_server()).address for _ in range(count)]


def peers(channel, count):
    """Which server answered how many of so many calls."""
    echo = channel.unary_unary(ECHO)
    return collections.Counter(echo.with_call(b"", wait_for_ready=True)[1].peer for _ in range(count))


def wait_until_all_serve(channel):
    """A channel is READY with its first connection; the others follow by themselves."""
    seen = set()
    for _ in range(10_000):
        seen |= set(peers(channel, 1))
        if len(seen) == SERVERS:
            return
    raise AssertionError(f"only {seen} served")


@pytest.mark.parametrize("policy", ["round_robin", "least_request"])
def test_every_server_gets_its_share(policy):
    with running_servers(SERVERS) as addresses:
        with linkspan.insecure_channel("ipv4:" + ",".join(addresses), [("linkspan.lb_policy", policy)]) as channel:
            wait_until_all_serve(channel)
            served = peers(channel, CALLS)
    expected = CALLS / SERVERS
    assert len(served) == SERVERS, served
    if policy == "round_robin":
        assert set(served.values()) == {expected}, served
    chi_squared = sum((count - expected) ** 2 / expected for count in served.values())
    assert chi_squared <= MOST_CHI_SQUARED, served


def test_a_server_that_fails_every_call_is_left_out():
    config = {
        "loadBalancingConfig": [
            {
                "outlier_detection_experimental": {
                    "interval": "0.2s",
                    "maxEjectionPercent": 50,
                    "failurePercentageEjection": {"threshold": 50, "minimumHosts": 2, "requestVolume": 5},
                    "childPolicy": [{"round_robin": {}}],
                }
            }
        ]
    }
    # It knows no method, so that all its calls end UNIMPLEMENTED.
    failing = grpc.server(futures.ThreadPoolExecutor(1))
    port = failing.add_insecure_port("127.0.0.1:0")
    failing.start()
    try:
        with running_servers(2) as good:
            target = "ipv4:" + ",".join([*good, f"127.0.0.1:{port}"])
            with linkspan.insecure_channel(target, [("grpc.service_config", json.dumps(config))]) as channel:
                call_until_a_hundred_are_good(channel)
    finally:
        failing.stop(None)


def call_until_a_hundred_are_good(channel):
    """Until calls have failed, and then a hundred in a row, of which each server would have had its share, are good."""
    echo = channel.unary_unary(ECHO)
    failed = good = 0
    for _ in range(100_000):
        try:
            echo(b"", wait_for_ready=True)
            good += 1
        except linkspan.RpcError as error:
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error
            failed, good = failed + 1, 0
        if failed and good == 100:
            return
    raise AssertionError(f"{failed} failed, and the failing server was asked to the end")
