"""What a demo client must have seen. Everything else is a complaint, and one complaint fails the demo."""

CALLS_IN_FLIGHT = 4


def complaints(record, killed_at, restarted_at):
    """The ways in which a client saw what it should not; empty when all is well. Times are Unix milliseconds."""
    if record.done is None or record.exit_code != 0:
        return [f"did not end well (exit code {record.exit_code}, {'a' if record.done else 'no'} closing line)"]
    return [
        *(f"printed something that is no event: {line}" for line in record.garbage),
        *_about_states(record, killed_at),
        *_about_failures(record, killed_at, restarted_at),
        *_about_servers(record),
        *_about_progress(record, killed_at, restarted_at),
    ]


def _about_states(record, killed_at):
    state = "IDLE"
    for change in record.states:
        if change["from"] != state:
            yield f"told a change from {change['from']} although the channel was {state}"
        if not change.get("cause"):
            yield f"told a change from {change['from']} to {change['to']} without its cause"
        state = change["to"]
    before = [change["to"] for change in record.states if change["t"] < killed_at]
    after = [change["to"] for change in record.states if change["t"] >= killed_at]
    if "READY" not in before:
        yield "never was READY before the kill"
    if not record.left_ready_since(killed_at):
        yield "did not notice the kill: the channel stayed READY"
    elif "READY" not in after:
        yield "did not become READY again after the kill"


def _about_failures(record, killed_at, restarted_at):
    for error in record.errors:
        if error["code"] != "UNAVAILABLE":
            yield f"a call failed {error['code']}: {error['text']}"
        elif not killed_at <= error["t"] <= restarted_at:
            yield f"a call failed while no server was down: {error['text']}"
    if record.done["failed"] != len(record.errors):
        yield f"counted {record.done['failed']} failed calls but told of {len(record.errors)}"
    if len(record.errors) > CALLS_IN_FLIGHT:
        yield f"{len(record.errors)} calls failed, more than the {CALLS_IN_FLIGHT} that were in flight at the kill"


def _about_servers(record):
    served = record.done["servers"]
    for server in (record.plan.servers[0], record.plan.refuge):
        if not served.get(server):
            yield f"no call went to {server}"
    for server in sorted(set(served) - {record.plan.servers[0], record.plan.refuge}):
        yield f"{served[server]} calls went to {server}, which was not its turn"
    if sum(served.values()) != record.done["ok"]:
        yield f"{record.done['ok']} good calls, but the servers' share adds up to {sum(served.values())}"


def _about_progress(record, killed_at, restarted_at):
    if record.ok_until(killed_at) == 0:
        yield "made no good call before the kill"
    if record.done["ok"] <= record.ok_until(restarted_at):
        yield "made no good call after the restart"
