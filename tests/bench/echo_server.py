"""The echo server of the benchmarks (README.md, "The server"), on its own core."""

import contextlib
import json
import subprocess

from bench import pinned
from server.running import end_group, read_line

COMMAND = ("target/release/bench-server",)
START_GUARD_SECONDS = 30


class EchoServer:
    """`arguments` is how a client is told where it listens. Leaving the `with` block ends it."""

    def __init__(self, core=None, command=COMMAND):
        try:
            self._process = pinned.start(command, core)
        except OSError as error:
            raise SystemExit(f"{command[0]} cannot be started ({error}); tests/bench/build.sh builds it") from None
        try:
            line = read_line(self._process.stdout, START_GUARD_SECONDS)
            addresses = json.loads(line)
            self.arguments = [part for key in ("echo", "stream", "tls", "ca") for part in (f"--{key}", addresses[key])]
        except (ValueError, KeyError, TypeError):
            self.stop()
            raise SystemExit(f"{command[0]} did not say where it listens; its first line was {line!r}") from None
        except BaseException:
            self.stop()
            raise

    @property
    def has_ended(self):
        return self._process.poll() is not None

    def stop(self):
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        end_group(self._process)
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
