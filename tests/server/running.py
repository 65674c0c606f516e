"""Starts the test servers and stops them again, whatever happens in between."""

import os
import pathlib
import select
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTEROP_SERVER = ROOT / ".tools" / "bin" / "interop-server"
TONIC_SERVER = ROOT / "target" / "release" / "tonic-server"
VENV_PYTHON = ROOT / ".tools" / "venv" / "bin" / "python"
GRPCIO_INTEROP_SERVER = ROOT / "tests" / "server" / "grpcio_interop_server.py"
GRPC_JS_INTEROP_SERVER = ROOT / "tests" / "node" / "interop_server.cjs"
JAVA_SERVER = ROOT / ".tools" / "java" / "classes" / "InteropServer.class"
IDENTITY_SERVER = ROOT / "tests" / "server" / "identity_server.py"

START_GUARD_SECONDS = 30
SHUT_DOWN_GUARD_SECONDS = 60


class Missing(Exception):
    """A program that a test is about is not on this machine."""


class RunningServer:
    """One server process. `address` is host:port; leaving the `with` block ends the process."""

    def __init__(self, command):
        self._command = [str(part) for part in command]
        self._process = None
        self.address = None
        self._start(port=0)

    @classmethod
    def interop(cls, *flags):
        """grpc-go's interop server (built by tests/server/build.sh)."""
        return cls([INTEROP_SERVER, *flags])

    @classmethod
    def grpcio(cls, *flags):
        """Everything of the interop service, on grpcio."""
        return cls([VENV_PYTHON, GRPCIO_INTEROP_SERVER, *flags])

    @classmethod
    def grpc_js(cls, *flags):
        """The interop service on grpc-js."""
        return cls(["node", GRPC_JS_INTEROP_SERVER, *flags])

    @classmethod
    def grpc_java(cls, *flags):
        """The interop service on grpc-java (built by tests/server/java/build.sh)."""
        folder = JAVA_SERVER.parents[1]
        return cls(["java", "-cp", f"{JAVA_SERVER.parent}:{folder}/lib/*", "InteropServer", folder / "interop.descriptors", *flags])

    @classmethod
    def identity(cls, name, host="127.0.0.1"):
        """A grpcio server whose responses carry `name`."""
        return cls([VENV_PYTHON, IDENTITY_SERVER, "--name", name, "--host", host])

    @classmethod
    def tonic(cls):
        """tonic's server, which gives every message back; built here, because only long tests need it."""
        build = ("cargo", "build", "--quiet", "--release", "-p", "linkspan-tonic-server")
        subprocess.run(build, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
        return cls([TONIC_SERVER])

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def kill(self):
        """SIGKILL: the kernel closes its sockets, nobody says goodbye."""
        self._process.kill()
        self._reap()

    def shut_down(self):
        """SIGTERM, and waits for its end: grpc-go's server lets its calls end before."""
        self._process.terminate()
        self._process.wait(timeout=SHUT_DOWN_GUARD_SECONDS)
        self._reap()

    def restart(self):
        """Starts it again on the port it had."""
        self._start(self.port)

    def stop(self):
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _start(self, port):
        self._process = subprocess.Popen(
            [*self._command, "--port", str(port)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        try:
            self.address = self._listening_line()
        except BaseException:
            self.kill()
            raise

    def _listening_line(self):
        line = read_line(self._process.stdout, START_GUARD_SECONDS)
        word, _, address = line.strip().partition(" ")
        if word != "LISTENING":
            raise RuntimeError(f"{self._command[0]} did not say where it listens; its first line was {line!r}")
        return address

    def _reap(self):
        self._process.wait()
        self._process.stdout.close()
        self._process = None


def read_line(stream, guard_seconds):
    """One line of a pipe as text; what has come when the stream ends or the guard time is over."""
    deadline = time.monotonic() + guard_seconds
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([stream], [], [], max(0, deadline - time.monotonic()))
        byte = os.read(stream.fileno(), 1) if readable else b""
        if not byte:
            break
        line += byte
    return line.decode("utf-8", "replace")


def end_group(process):
    """Ends a process that was started with start_new_session=True, and everything it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
