"""A client process: started on its core, asked one thing at a time, ended whatever happens."""

import contextlib
import json
import math
import subprocess
import tempfile
import time

from bench import pinned
from server.running import end_group, read_line

HELLO_GUARD_SECONDS = 60
# How long a process may take to end after its last word.
END_GUARD_SECONDS = 10
# Of what a process wrote before it ended; a traceback says what happened in its last line.
LOG_BYTES_READ, LOG_LINES_SHOWN = 4000, 3


class Unsupported(Exception):
    """The client says that it cannot do this, and why."""


class Failed(Exception):
    """There is no result, and why. The client may have ended: see `is_running`."""


class ClientProcess:
    """Leaving the `with` block ends the process."""

    def __init__(self, command, core=None):
        self._log = tempfile.TemporaryFile()
        try:
            self._process = pinned.start(command, core, stderr=self._log)
        except OSError as error:
            self._log.close()
            raise Failed(f"cannot be started: {error}") from None

    @property
    def is_running(self):
        return self._process is not None

    def answer(self, guard_seconds=HELLO_GUARD_SECONDS):
        """The next line, which may be the greeting. Raises Unsupported or Failed."""
        deadline = time.monotonic() + guard_seconds
        line = read_line(self._process.stdout, guard_seconds)
        if not line.endswith("\n"):
            silent = time.monotonic() >= deadline
            raise Failed(f"no answer within {guard_seconds:g} s{self._last_words()}" if silent else self._ending())
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            # Whatever comes next may be the answer to this command or to another one.
            raise Failed(f"said what is no answer: {_one_line(line)[:200]}{self._last_words()}")
        if "unsupported" in answer:
            raise Unsupported(_one_line(answer["unsupported"]))
        if "error" in answer:
            raise Failed(_one_line(answer["error"]))
        return answer

    def ask(self, command, guard_seconds):
        """The answer to one command."""
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            raise Failed(self._ending()) from None
        return self.answer(guard_seconds)

    def end(self):
        if self._process is not None:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=END_GUARD_SECONDS)
            self._kill()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _ending(self):
        """How the process ended that has closed its output."""
        try:
            how = f"ended with exit code {self._process.wait(timeout=END_GUARD_SECONDS)}"
        except subprocess.TimeoutExpired:
            how = "closed its output"
        return f"{how}{self._last_words()}"

    def _last_words(self):
        """Ends the process; the end of its standard error, as the rest of a sentence."""
        self._kill()
        size = self._log.seek(0, 2)
        self._log.seek(max(0, size - LOG_BYTES_READ))
        lines = [_one_line(line) for line in self._log.read().decode("utf-8", "replace").splitlines()]
        text = " | ".join([line for line in lines if line][-LOG_LINES_SHOWN:])
        return f": {text}" if text else ""

    def _kill(self):
        end_group(self._process)
        self._process.stdin.close()
        self._process.stdout.close()
        self._process = None


def _one_line(text):
    return " ".join(str(text).split())


def checked(answer, fields):
    """The answer of a run, when it is one: every figure there, and something done."""
    for field in fields:
        value = answer.get(field)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise Failed(f"an answer without a number for {field}: {json.dumps(answer)[:200]}")
        if value < 0 and field != "bytes":
            raise Failed(f"an answer with a negative {field}: {json.dumps(answer)[:200]}")
    for field in ("operations", "wall_s"):
        if field in fields and answer[field] == 0:
            raise Failed(f"an answer with {field} 0: {json.dumps(answer)[:200]}")
    return answer
