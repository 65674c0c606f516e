"""What the clients are asked to do (README.md, "A client") and what a good answer has."""

import dataclasses

WARMUP_SECONDS = 0.1
CPU = ("wall_s", "user_s", "system_s")


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    # What one operation is, in the words of the table.
    operation: str
    command: dict
    # Which figures the answer has; the table's columns follow from it.
    kind: str = "steady"
    # The fields without which an answer is no result.
    fields: tuple = ("operations", *CPU)
    # Seconds one run takes in a process of its own; None for what a resident process does in the plan's window.
    fresh_seconds: float | None = None
    # Channels that are open at once.
    channels: int = 1

    @property
    def is_resident(self):
        return self.fresh_seconds is None


@dataclasses.dataclass(frozen=True)
class Cell:
    """A workload with its parameters, and the clients that take turns in it."""

    workload: Workload
    parameters: dict
    clients: tuple

    @property
    def name(self):
        variant = "".join(f"@{value}" for value in self.parameters.values())
        return f"{self.workload.name}{variant}"

    @property
    def variant(self):
        """The parameters in words."""
        plural = {key: "" if value == 1 else "es" for key, value in self.parameters.items()}
        return ", ".join(PARAMETERS[key].format(value, plural[key]) for key, value in self.parameters.items())

    def command(self, seconds):
        window = {"warmup_s": WARMUP_SECONDS, "seconds": round(seconds, 3)} if self.workload.is_resident else {}
        return {**self.workload.command, **self.parameters, **window}


PARAMETERS = {"in_flight": "{} in flight", "addresses": "{} address{}"}

STREAM_MESSAGES = 10_000
# Less than HTTP/2's first window (65,535 bytes): what is measured is the library, not the wait for the peer's window.
BLAST_MESSAGES = 500
MEMORY_CHANNELS = 500
IDLE_CHANNELS = 10_000
IDLE_SECONDS = 3
KEPT_ALIVE_CHANNELS = 1_000
# Each channel is pinged once in the time it is looked at.
KEEPALIVE_SECONDS = 10

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("unary", "unary calls of 64 bytes", "call", {"workload": "unary", "size": 64}),
        Workload("unary_threads", "unary calls of 64 bytes, one blocking thread each", "call",
                 {"workload": "unary_threads", "size": 64}),
        Workload("server_stream", f"server streams of {STREAM_MESSAGES:,} messages of 64 bytes", "message",
                 {"workload": "server_stream", "messages": STREAM_MESSAGES}),
        Workload("ping_pong", "messages of 64 bytes there and back on one stream", "round trip",
                 {"workload": "ping_pong", "size": 64}),
        Workload("blast", f"streams of {BLAST_MESSAGES} messages of 64 bytes there and back", "message",
                 {"workload": "blast", "size": 64, "messages": BLAST_MESSAGES}),
        Workload("unary_1mib", "unary calls of 1 MiB", "call", {"workload": "unary", "size": 1 << 20, "in_flight": 1}),
        Workload("unary_tls", "unary calls of 64 bytes over TLS", "call", {"workload": "unary_tls", "size": 64}),
        Workload("pick", "unary calls on a channel of many addresses, 16 in flight", "call",
                 {"workload": "pick", "in_flight": 16, "size": 64}),
        Workload("start", "a fresh process: load the library, make the first call", "start", {}, kind="start",
                 fields=("import_s", "first_call_s", "user_s", "system_s"), fresh_seconds=0.8),
        Workload("memory", f"memory of {MEMORY_CHANNELS} connected channels after one call each", "channel",
                 {"workload": "memory", "channels": MEMORY_CHANNELS}, kind="memory",
                 fields=("operations", "bytes", *CPU), fresh_seconds=2.5, channels=MEMORY_CHANNELS),
        Workload("idle", f"{IDLE_CHANNELS:,} connected channels on which nothing happens", "channel",
                 {"workload": "idle", "channels": IDLE_CHANNELS, "warmup_s": WARMUP_SECONDS, "seconds": IDLE_SECONDS}, kind="idle",
                 fields=("operations", "bytes", "open_s", *CPU), fresh_seconds=20, channels=IDLE_CHANNELS),
        Workload("idle_keepalive",
                 f"{KEPT_ALIVE_CHANNELS:,} connected channels that are pinged every {KEEPALIVE_SECONDS} s and otherwise left alone", "channel",
                 {"workload": "idle", "channels": KEPT_ALIVE_CHANNELS, "keepalive_s": KEEPALIVE_SECONDS, "warmup_s": WARMUP_SECONDS,
                  "seconds": KEEPALIVE_SECONDS}, kind="idle",
                 fields=("operations", "bytes", "open_s", *CPU), fresh_seconds=KEEPALIVE_SECONDS + 2, channels=KEPT_ALIVE_CHANNELS),
    )
}
