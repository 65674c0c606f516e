"""Calls spread over servers that grpcio runs, as a channel's policy says."""

import collections
import contextlib
import json
import struct
from concurrent import futures

import grpc
import pytest
from support.chance import could_be_chance
from support.processes import running_server

import linkspan

ECHO = "/test.Service/Echo"
SERVERS = 4
CALLS = 902
CHANNELS = 200


@contextlib.contextmanager
def running_servers(count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running_server()).address for _ in range(count)]


def channel_to(addresses, policy, **config):
    """A channel that has this one policy, with this config."""
    service_config = json.dumps({"loadBalancingConfig": [{policy: config}]})
    return linkspan.insecure_channel("ipv4:" + ",".join(addresses), [("grpc.service_config", service_config)])


def peers(channel, count):
    """Which server answered how many of so many calls."""
    echo = channel.unary_unary(ECHO)
    return collections.Counter(echo.with_call(b"", wait_for_ready=True)[1].peer for _ in range(count))


def wait_until_all_serve(channel, count):
    """A channel is READY with its first connection; the others follow by themselves."""
    seen = set()
    for _ in range(10_000):
        seen |= set(peers(channel, 1))
        if len(seen) == count:
            return
    raise AssertionError(f"only {seen} served")


def are_equal(counts):
    return max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("policy", "are_right"),
    [("round_robin", are_equal), ("least_request_experimental", could_be_chance)],
)
def test_every_server_gets_its_share(policy, are_right):
    with running_servers(SERVERS) as addresses, channel_to(addresses, policy) as channel:
        wait_until_all_serve(channel, SERVERS)
        served = peers(channel, CALLS)
    assert len(served) == SERVERS, served
    assert are_right(served.values()), served


@pytest.mark.parametrize(
    ("policy", "config"),
    [
        ("pick_first", {"shuffleAddressList": True}),
        ("random_subsetting_experimental", {"subsetSize": 1, "childPolicy": [{"round_robin": {}}]}),
    ],
)
def test_channels_that_use_one_server_each_are_spread_over_them(policy, config):
    served = collections.Counter()
    with running_servers(SERVERS) as addresses:
        for _ in range(CHANNELS):
            with channel_to(addresses, policy, **config) as channel:
                served += peers(channel, 1)
    assert len(served) == SERVERS, served
    assert could_be_chance(served.values()), served


def test_a_key_has_its_server_whichever_channel_asks():
    with running_servers(SERVERS) as addresses:
        by_channel = []
        for _ in range(2):
            with channel_to(addresses, "ring_hash_experimental", requestHashHeader="user") as channel:
                echo = channel.unary_unary(ECHO)
                of_key = {}
                for number in range(CALLS):
                    key = str(number % (CALLS // 2))
                    peer = echo.with_call(b"", wait_for_ready=True, metadata=[("user", key)])[1].peer
                    assert of_key.setdefault(key, peer) == peer, key
                by_channel.append(of_key)
    assert by_channel[0] == by_channel[1]
    shares = collections.Counter(by_channel[0].values())
    # A ring is not even: with 256 places for each server a share differs by a sixteenth, and with so few keys by a twelfth; six times that.
    assert len(shares) == SERVERS, shares
    assert all(0.1 < count / len(by_channel[0]) < 0.45 for count in shares.values()), shares


def test_servers_get_calls_by_the_weight_that_they_tell():
    shares = [4, 2, 1]
    with contextlib.ExitStack() as stack:
        addresses = [stack.enter_context(weighted_server(share)) for share in shares]
        config = {"blackoutPeriod": "0s", "weightUpdatePeriod": "0.1s"}
        channel = stack.enter_context(channel_to(addresses, "weighted_round_robin", **config))

        wait_until_all_serve(channel, len(shares))
        # Until all have told their weights, and these are in use.
        assert any(in_shares(peers(channel, 70), addresses, shares) for _ in range(1_000))
        served = peers(channel, 700)
    assert in_shares(served, addresses, shares), served


def in_shares(served, addresses, shares):
    """Whether each server got its share of the calls, one more or less."""
    round_of_all = served.total() / sum(shares)
    return all(abs(served[address] - share * round_of_all) <= 1 for address, share in zip(addresses, shares, strict=True))


@contextlib.contextmanager
def weighted_server(weight):
    """A grpcio server that tells with every call that it could take so many times a hundred calls in a second (ORCA)."""
    # xds.data.orca.v3.OrcaLoadReport { cpu_utilization: 1 / weight, rps_fractional: 100 }
    report = struct.pack("<BdBd", 0x09, 1 / weight, 0x31, 100.0)

    def echo(request, context):
        context.set_trailing_metadata([("endpoint-load-metrics-bin", report)])
        return request

    server = grpc.server(futures.ThreadPoolExecutor(1))
    service, _, method = ECHO[1:].partition("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


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
