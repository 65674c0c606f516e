"""The negative cases of HTTP/2: what the scripted server does in each, and what it must have seen in the end.

The client expects the code INTERNAL of whatever is reset: PROTOCOL-HTTP2 has that for NO_ERROR.
"""

from server.scripted import FaultServer


def resets(phase):
    return {"calls": [{"at": phase, "then": {"reset": 0}}]}


# Case: what the server does.
SCRIPTS = {
    "goaway": {"goaway_after_answers": 1},  # [H2-1]
    "rst_after_header": resets("headers"),  # [H2-2]
    "rst_during_data": resets("half_message"),  # [H2-3]
    "rst_after_data": resets("message"),  # [H2-4]
    "ping": {"pings_around_answers": True},  # [H2-5]
    "max_streams": {"settings": {"max_concurrent_streams": 1}},  # [H2-6]
    "data_frame_padding": {"data": {"bytes": 5, "padding": 255}},  # [H2-7]
    "no_df_padding_sanity_test": {"data": {"bytes": 5}},  # [H2-8]
}


def run_all(client):
    """Runs every case; how many passed, and what was wrong."""
    passed, failures = 0, []
    for case, script in SCRIPTS.items():
        with FaultServer(**script) as server:
            said = client.run(server.address, [case])
            # The server has seen all that the client sent when its connections are over.
            counts = server.wait_until(are_over, "every connection ended")
        passed += said.passed
        failures += said.failures
        failures += [f"{case}: {what}" for what in wrong(case, counts["connections"], client.faces)]
    return passed, failures


def are_over(counts):
    return all(connection["ended_ms"] is not None for connection in counts["connections"])


def wrong(case, connections, faces):
    """What the server saw and should not have seen."""
    # Clients may connect again, without a call, to be ready for one.
    used = sum(connection["streams"] > 0 for connection in connections)
    if case == "goaway" and used != 2 * faces:
        yield f"{used} connections were used instead of 2 for each of {faces} channels"
    if case == "ping":
        for connection in connections:
            if connection["pings_sent"] == 0 or connection["pings_answered"] != connection["pings_sent"]:
                yield f"{connection['pings_answered']} of {connection['pings_sent']} PINGs were answered"
    if case == "max_streams":
        most = max(connection["most_streams"] for connection in connections)
        if most != 1:
            yield f"{most} streams at once"
