"""What one demo client said, kept in the order it came."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Plan:
    """A client of the demo and where its calls must go."""

    name: str
    command: tuple
    # The servers of its target, in order: calls go to the first, after the kill to the second.
    servers: tuple
    # True for a client that knows one server only: its calls wait until that one is back.
    waits: bool = False

    @property
    def refuge(self):
        """The server that must answer once the first one was killed."""
        return self.servers[0] if self.waits else self.servers[1]


@dataclasses.dataclass
class Record:
    plan: Plan
    states: list = dataclasses.field(default_factory=list)
    calls: list = dataclasses.field(default_factory=list)
    errors: list = dataclasses.field(default_factory=list)
    done: dict = None
    exit_code: int = None
    # Lines that are not what a client may print.
    garbage: list = dataclasses.field(default_factory=list)

    def add(self, event):
        kind = event.get("kind")
        if kind == "done":
            self.done = event
        elif kind in ("state", "calls", "error"):
            {"state": self.states, "calls": self.calls, "error": self.errors}[kind].append(event)
        else:
            self.garbage.append(event)

    @property
    def ok(self):
        return self.calls[-1]["ok"] if self.calls else 0

    def ok_until(self, time):
        """Good calls counted up to that time (a client tells its totals twice a second)."""
        return max((calls["ok"] for calls in self.calls if calls["t"] <= time), default=0)

    def left_ready_since(self, time):
        """True when the channel lost its connection since then; closing it at the end is no loss."""
        changes = (state for state in self.states if state["t"] >= time)
        return any(state["from"] == "READY" and state["to"] != "SHUTDOWN" for state in changes)
