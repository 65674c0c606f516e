"""Lets the clients take turns: in every round each does each of its workloads once, one after the other."""

import contextlib
import sys
import time

from bench.client import ClientProcess, Failed, Unsupported, checked
from bench.pinned import open_files_limit
from bench.plan import warms_up
from bench.report.summary import Results, Series

# Far beyond what anything here takes; only what hangs meets it.
GUARD_SECONDS = {"steady": 30, "start": 60, "memory": 120, "idle": 300}
# Files a program needs beside its channels.
SPARE_FILES = 200


def take_turns(plan, server, core, progress=None):
    """Runs the plan and returns its Results."""
    with Turns(plan, server, core, progress or Progress(plan)) as turns:
        turns.run()
        return turns.results


class Turns:
    def __init__(self, plan, server, core, progress):
        self._plan = plan
        self._server = server
        self._core = core
        self._progress = progress
        self._residents = {}
        # What clients said that could not even be started; asking again would only take time.
        self._broken = {}
        self.results = Results(Series(cell, client, _absence(cell, client)) for cell in plan.cells for client in cell.clients)

    def run(self):
        for round_number in range(self._plan.rounds + 1):
            for cell in self._plan.cells:
                if self._takes_place(cell, round_number):
                    for client in cell.clients:
                        self._turn(round_number, cell, client)
        self._progress.done()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._residents.values():
            process.end()

    def _takes_place(self, cell, round_number):
        """Round 0 is the warm-up, of which nothing is kept."""
        return warms_up(cell) if round_number == 0 else round_number <= self._plan.rounds_of(cell)

    def _turn(self, round_number, cell, client):
        series = self.results.series(cell.name, client.name)
        if series.absent or series.failed:
            return
        self._progress.show(round_number, cell, client)
        try:
            answer = checked(self._answer(cell, client, self._plan.window(round_number, client)), cell.workload.fields)
            if round_number:
                series.rounds.append(answer)
        except Unsupported as reason:
            series.absent = str(reason)
        except Failed as reason:
            if self._server.has_ended:
                raise SystemExit(f"the echo server ended during {cell.name} of {client.name}") from None
            series.failed = str(reason)

    def _answer(self, cell, client, seconds):
        workload = cell.workload
        command = cell.command(seconds)
        guard_seconds = GUARD_SECONDS[workload.kind] + command.get("seconds", 0)
        if workload.is_resident:
            return self._ask_resident(client, command, guard_seconds)
        if workload.kind == "start":
            with ClientProcess([*client.command, "--start", *self._server.arguments], self._core) as process:
                return process.answer(guard_seconds)
        with self._greeted(client) as process:
            return process.ask(command, guard_seconds)

    def _ask_resident(self, client, command, guard_seconds):
        process = self._residents.get(client.name)
        if process is None:
            process = self._residents[client.name] = self._greeted(client)
        try:
            return process.ask(command, guard_seconds)
        finally:
            if not process.is_running:
                self._residents.pop(client.name).end()

    def _greeted(self, client):
        """A new process that has said what it is."""
        if client.name in self._broken:
            raise Failed(self._broken[client.name])
        with contextlib.ExitStack() as undo:
            try:
                process = undo.enter_context(ClientProcess([*client.command, *self._server.arguments], self._core))
                greeting = process.answer()
                if "client" not in greeting:
                    raise Failed(f"its first line does not say what it is: {greeting}")
            except (Failed, Unsupported) as reason:
                self._broken[client.name] = str(reason)
                raise Failed(str(reason)) from None
            self.results.greetings[client.name] = greeting
            undo.pop_all()
            return process


class Progress:
    """Tells on standard error where the run is: in place on a terminal, else a line per round."""

    def __init__(self, plan, stream=None):
        self._plan = plan
        self._stream = stream or sys.stderr
        self._started = time.monotonic()
        self._round = None

    def show(self, round_number, cell, client):
        name = f"round {round_number} of {self._plan.rounds}" if round_number else "warm-up"
        minutes = (time.monotonic() - self._started) / 60
        line = f"{minutes:5.1f} of {self._plan.minutes:.1f} min  {name}"
        if self._stream.isatty():
            print(f"\r\x1b[K{line}  {cell.name}  {client.name}", end="", file=self._stream, flush=True)
        elif round_number != self._round:
            print(line, file=self._stream, flush=True)
        self._round = round_number

    def done(self):
        if self._stream.isatty():
            print("\r\x1b[K", end="", file=self._stream, flush=True)


def _absence(cell, client):
    """Why the client cannot take part here; None when it can."""
    needed = cell.workload.channels + SPARE_FILES
    if cell.workload.channels > 1 and open_files_limit() < needed:
        return f"needs {needed:,} open files, and no more than {open_files_limit():,} are allowed here (ulimit -n)"
    return client.missing
