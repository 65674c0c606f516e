"""Processes that are always ended, and lines of their output awaited with a guard."""

import contextlib
import os
import pathlib
import select
import subprocess
import sys
import time

# Generous: reached only when something hangs.
GUARD_SECONDS = 30


class Process:
    """A running process and the lines it says."""

    def __init__(self, command, **settings):
        settings.setdefault("stdin", subprocess.DEVNULL)
        self.child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, **settings)
        self._unread = b""

    @property
    def pid(self):
        return self.child.pid

    def line(self):
        """The next line; fails the test when none comes."""
        deadline = time.monotonic() + GUARD_SECONDS
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self.child.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self.child.stdout.fileno(), 65536) if ready else b""
            assert more, f"{self.child.args} said no further line; unfinished: {self._unread!r}"
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def expect(self, wanted):
        """Reads lines up to this one."""
        for _ in range(10_000):
            if self.line() == wanted:
                return
        raise AssertionError(f"{wanted!r} never came")

    def wait(self, seconds=GUARD_SECONDS):
        """The exit status."""
        return self.child.wait(seconds)

    def rest(self):
        """The output up to its end."""
        return (self._unread + self.child.stdout.read()).decode()

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def running(*command, **settings):
    process = Process(command, **settings)
    try:
        yield process
    finally:
        process.end()


@contextlib.contextmanager
def running_server(*addresses):
    """The test server; its `address` is where it listens."""
    with running(sys.executable, pathlib.Path(__file__).with_name("server.py"), *addresses) as process:
        word, _, process.address = process.line().partition(" ")
        assert word == "LISTENING", word
        yield process


def run_program(source, *arguments, python_flags=()):
    """Runs Python source in a process of its own and gives its output; fails the test when it fails."""
    done = subprocess.run(
        [sys.executable, *python_flags, "-c", source, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
