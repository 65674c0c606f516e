"""grpcio's servers as a scenario uses them: started, told what to do, and asked for what came."""

import grpc

from server.scripted import GrpcioServers

GUARD_SECONDS = 30


def call(address, method="Small", message=b""):
    """How it ended."""
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(f"/test.Service/{method}")(message, timeout=GUARD_SECONDS)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_each_server_counts_its_calls_and_fails_those_it_was_told_to():
    with GrpcioServers(2) as servers:
        servers.let_fail_every_second_call(1)
        first, second = servers.addresses
        assert [call(first) for _ in range(3)] == [grpc.StatusCode.OK] * 3
        ends = [call(second) for _ in range(4)]
        assert ends == [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK] * 2
        assert servers.calls() == [3, 4]
        assert [each["failed"] for each in servers.counts()["servers"]] == [0, 2]


def test_the_most_calls_at_once_are_counted_for_each_connection():
    with GrpcioServers(1, max_streams=100) as servers:
        for at_once in (3, 5):
            with grpc.insecure_channel(servers.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                calls = [channel.unary_unary("/test.Service/Sleep").future(b"1000", timeout=GUARD_SECONDS) for _ in range(at_once)]
                assert [each.result() for each in calls] == [b""] * at_once
        assert servers.counts()["servers"] == [{"calls": 8, "failed": 0, "most_at_once": [3, 5]}]


def test_servers_on_hosts_of_their_own_have_the_same_port():
    with GrpcioServers(hosts=("127.0.0.2", "127.0.0.3")) as servers:
        hosts, ports = zip(*(address.split(":") for address in servers.addresses))
        assert (hosts, len(set(ports))) == (("127.0.0.2", "127.0.0.3"), 1)
        assert [call(address) for address in servers.addresses] == [grpc.StatusCode.OK] * 2
        assert servers.calls() == [1, 1]
