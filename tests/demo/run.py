#!/usr/bin/env python3
"""Three real servers, clients in C, Python and Node at the same time, and one server killed and restarted.

Shows every client's state changes with their causes, its calls, its failures and which servers answered. Ends by
itself and exits 1 when a client saw what it should not (tests/demo/verdict.py says what that is).
`make demo` builds what this needs.
"""

import contextlib
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from demo import show  # noqa: E402
from demo.record import Plan, Record  # noqa: E402
from demo.verdict import complaints  # noqa: E402
from server.running import VENV_PYTHON, RunningServer, end_group  # noqa: E402

SERVERS = ("server-1", "server-2", "server-3")
PYTHON_CLIENT = (str(VENV_PYTHON), "tests/python/demo_client.py")
CLIENTS = (
    Plan("c", ("target/c/demo_client",), ("server-1", "server-2", "server-3")),
    Plan("python-blocking", (*PYTHON_CLIENT, "--face", "blocking"), ("server-1", "server-3", "server-2")),
    Plan("node", ("node", "tests/node/demo_client.cjs"), ("server-1", "server-2", "server-3")),
    Plan("python-asyncio", (*PYTHON_CLIENT, "--face", "asyncio"), ("server-1",), waits=True),
)

# The play is about who takes over from whom, so all clients keep to one server until it is lost (pick_first).
ONE_SERVER_AT_A_TIME = {**os.environ, "LINKSPAN_PRESET": "grpc"}

CLIENT_SECONDS = 14
CALLS_BEFORE_KILL = 600
DOWN_SECONDS = 2
COUNTS_EVERY_SECONDS = 2
HANG_GUARD_SECONDS = 50


def main():
    # SIGTERM must end servers and clients too, so it takes the way of an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as cleanup:
        demo = Demo(cleanup)
        demo.run()
    return demo.judge()


class Demo:
    def __init__(self, cleanup):
        self._started = _milliseconds()
        self._servers = {}
        self._events = queue.SimpleQueue()
        self._records = {}
        self._counts_shown_at = {}
        self._killed_at = self._restarted_at = None
        for name in SERVERS:
            server = cleanup.enter_context(RunningServer.identity(name))
            self._servers[name] = server
            show.line(self._now(), name, f"listens on {server.address} (grpcio)")
        for plan in CLIENTS:
            self._start_client(plan, cleanup)

    def run(self):
        """Follows the clients to their end; kills and restarts server-1 when they have got going."""
        while any(record.exit_code is None for record in self._records.values()):
            if self._now() > HANG_GUARD_SECONDS:
                show.stage(self._now(), f"a client still runs after {HANG_GUARD_SECONDS} s; ending it")
                break
            self._next_event()
            if self._killed_at is None:
                if all(record.ok >= CALLS_BEFORE_KILL for record in self._records.values()):
                    self._kill()
            elif self._restarted_at is None and _milliseconds() >= self._killed_at + DOWN_SECONDS * 1000:
                self._restart()
        show.stage(self._now(), "all clients have ended")

    def judge(self):
        """Prints one verdict per client; the exit code of the demo."""
        print()
        if self._restarted_at is None:
            print("The clients never got going together, so no server was killed.")
            killed_at = restarted_at = _milliseconds()
        else:
            killed_at, restarted_at = self._killed_at, self._restarted_at
        good = self._restarted_at is not None
        for record in self._records.values():
            found = complaints(record, killed_at, restarted_at)
            show.verdict(record, found)
            good = good and not found
        return 0 if good else 1

    def _start_client(self, plan, cleanup):
        addresses = ",".join(self._servers[name].address for name in plan.servers)
        command = [*plan.command, "--name", plan.name, "--target", f"ipv4:{addresses}"]
        command += ["--seconds", str(CLIENT_SECONDS)] + (["--wait-for-ready"] if plan.waits else [])
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=ONE_SERVER_AT_A_TIME,
        )
        cleanup.callback(end_group, process)
        self._records[plan.name] = Record(plan)
        threading.Thread(target=self._read_client, args=(plan.name, process), daemon=True).start()
        how = "and its calls wait for ready" if plan.waits else "in this order"
        show.line(self._now(), plan.name, f"knows {', '.join(plan.servers)} {how}")

    def _read_client(self, name, process):
        for line in process.stdout:
            try:
                event = json.loads(line)
                event = event if isinstance(event, dict) else {"kind": "garbage", "line": line}
            except ValueError:
                event = {"kind": "garbage", "line": line}
            self._events.put((name, event))
        self._events.put((name, {"kind": "exit", "code": process.wait()}))

    def _next_event(self):
        try:
            name, event = self._events.get(timeout=0.1)
        except queue.Empty:
            return
        record = self._records[name]
        if event.get("kind") == "exit":
            record.exit_code = event["code"]
            return
        record.add(event)
        self._show(name, event)

    def _show(self, name, event):
        # The client's own time: its lines may have waited while a server was starting.
        seconds = (event.get("t", self._started) - self._started) / 1000
        kind = event.get("kind")
        if kind == "state":
            show.state_change(seconds, name, event)
        elif kind == "error":
            show.failed_call(seconds, name, event)
        elif kind == "calls" and seconds - self._counts_shown_at.get(name, 0) >= COUNTS_EVERY_SECONDS:
            self._counts_shown_at[name] = seconds
            show.call_counts(seconds, name, event)

    def _kill(self):
        self._killed_at = _milliseconds()
        show.stage(self._now(), "server-1 is killed (SIGKILL)")
        self._servers["server-1"].kill()

    def _restart(self):
        show.stage(self._now(), "server-1 is started again on its port")
        self._servers["server-1"].restart()
        self._restarted_at = _milliseconds()

    def _now(self):
        return (_milliseconds() - self._started) / 1000


def _milliseconds():
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
