"""What channels look like at one moment."""

import json
import threading

import linkspan

ECHO = "/test.Service/Echo"


# [CZ-10]
def test_a_channel_shows_its_addresses_and_their_connections(server):
    with linkspan.insecure_channel(server.address) as channel:
        assert channel.snapshot()["isPartial"]
        channel.unary_unary(ECHO)(b"")
        snapshot = channel.snapshot()
        assert not snapshot["isPartial"]
        assert snapshot["data"]["state"] == {"state": "READY"}
        assert snapshot["data"]["policy"] == "pick_first"
        (address,) = (one for one in snapshot["subchannels"] if one["connections"])
        (connection,) = address["connections"]
        assert connection["state"] == "ready"
        assert connection["streamsSucceeded"] == connection["streamsStarted"] == 1
        assert connection["tls"] is None
        assert json.loads(json.dumps(snapshot)) == snapshot

        (same,) = (one for one in linkspan.snapshot()["channels"] if one["ref"] == snapshot["ref"])
        assert same["data"]["callsSucceeded"] == 1
    closed = channel.snapshot()
    assert closed["isPartial"]
    assert closed["data"]["state"] == {"state": "SHUTDOWN"}


def test_many_threads_may_look_while_calls_run(server):
    with linkspan.insecure_channel(server.address) as channel:
        channel.unary_unary(ECHO)(b"")
        partial = []
        looking = [
            threading.Thread(target=lambda: partial.extend(channel.snapshot()["isPartial"] for _ in range(50)))
            for _ in range(4)
        ]
        for thread in looking:
            thread.start()
        for _ in range(50):
            channel.unary_unary(ECHO)(b"")
        for thread in looking:
            thread.join()
    assert partial == [False] * 200
