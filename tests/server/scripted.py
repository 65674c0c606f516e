"""Starts the fault server and the proxy of tests/server/faults, and grpcio's servers, and tells them what to do.

The commands are those of their sources: `server.set(max_connection_age_ms=5000)`, `server.do("goaway", code=11)`,
`proxy.do("black_hole")`. Each returns when it was obeyed. The first line and the commands are lines of a pipe, so any
language can do the same.
"""

import contextlib
import json
import subprocess
import time

from server.running import ROOT, START_GUARD_SECONDS, VENV_PYTHON, read_line

TEST_SERVER = ROOT / "target" / "release" / "test-server"

# A graceful end waits for calls; nothing else takes time.
ANSWER_GUARD_SECONDS = 120


class _Scripted:
    """One process; leaving the `with` block ends it. `address` is host:port."""

    def __init__(self, *command):
        self._process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        line = read_line(self._process.stdout, START_GUARD_SECONDS)
        word, _, self.address = line.strip().partition(" ")
        if word != "LISTENING":
            self.stop()
            raise RuntimeError(f"{command[0]} did not say where it listens; its first line was {line!r}")

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def do(self, action, **how):
        return self._tell({"do": action, **how})

    def counts(self):
        return self._tell({"ask": "counts"})

    def wait_until(self, is_so, what, guard_seconds=60):
        """Asks for the counts until they say so; returns them. A guard time only ends what hangs."""
        end = time.monotonic() + guard_seconds
        while True:
            counts = self.counts()
            if is_so(counts):
                return counts
            if time.monotonic() > end:
                raise TimeoutError(f"not within {guard_seconds} s: {what}; last seen: {counts}")
            time.sleep(0.01)

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _tell(self, command):
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        line = read_line(self._process.stdout, ANSWER_GUARD_SECONDS)
        if not line.endswith("\n"):
            raise RuntimeError(f"no answer to {command}; so far: {line!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(f"{command}: {answer['error']}")
        return answer


class FaultServer(_Scripted):
    """A server of grpc.testing.TestService that follows every rule until it is told not to."""

    def __init__(self, name="faults", **behaviour):
        super().__init__(TEST_SERVER, "serve", "--name", name)
        if behaviour:
            self.set(**behaviour)

    def set(self, **behaviour):
        """Changes what is named of the server's behaviour; what was set before stays."""
        self._tell({"set": behaviour})

    def shut_down(self, grace_seconds=30):
        """Takes no new connections and ends the open ones gracefully; returns when all have ended."""
        self._tell({"shutdown": int(grace_seconds * 1000)})

    def restart(self):
        """Takes connections again, on the port it had."""
        self._tell({"listen": True})

    def crash(self):
        """Every connection is reset and nobody listens, as after SIGKILL."""
        self._tell({"listen": False})
        self.do("abort")


class Proxy(_Scripted):
    """Relays byte streams to one address until it is told not to."""

    def __init__(self, to):
        super().__init__(TEST_SERVER, "proxy", "--to", to)


class GrpcioServers(_Scripted):
    """So many grpcio servers, in one process of their own, or one on each of the hosts. `address` is all of theirs, joined by commas."""

    def __init__(self, servers=1, ports=1, max_streams=None, hosts=()):
        limit = () if max_streams is None else ("--max-streams", max_streams)
        where = ("--hosts", ",".join(hosts)) if hosts else ("--servers", servers, "--ports", ports)
        super().__init__(VENV_PYTHON, ROOT / "tests" / "server" / "grpcio_servers.py", *where, *limit)

    @property
    def addresses(self):
        return self.address.split(",")

    def calls(self):
        """How many calls each server got so far."""
        return [server["calls"] for server in self.counts()["servers"]]

    def let_go(self):
        """Answers the calls of `Hold`, those to come at once."""
        self._tell({"set": {"held": False}})

    def let_fail_every_second_call(self, *numbers):
        """Of these servers, counted from 0; the others fail none."""
        self._tell({"set": {"halves": numbers}})
