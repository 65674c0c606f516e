#!/usr/bin/env python3
"""gRPC's interop cases through tinyproxy, an HTTP proxy nobody here wrote: `run.py HOST:PORT` of an interop server.

The environment names the proxy and its password. No password and a wrong one are refused, and none is ever told.
"""

import contextlib
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTEROP = ("cargo", "run", "--quiet", "-p", "linkspan-core", "--example", "interop", "--")
SKIPPED_EXIT_CODE = 77
GUARD_SECONDS = 300
START_GUARD_SECONDS = 30

CONFIG = """\
Port {port}
Listen 127.0.0.1
Timeout 600
MaxClients 100
BasicAuth user pass-word
"""


def main(server):
    tinyproxy = shutil.which("tinyproxy", path="/usr/bin:/usr/local/bin:/usr/sbin:/usr/local/sbin")
    if tinyproxy is None:
        print("tinyproxy is not installed (apt-get install tinyproxy)")
        return SKIPPED_EXIT_CODE
    with tempfile.TemporaryDirectory() as folder, Proxy(tinyproxy, pathlib.Path(folder)) as proxy:
        outcome, told = interop(server, f"http://user:pass%2Dword@{proxy.address}")
        print(told, end="")
        tunnels = proxy.requests_for(server)
        print(f"{tunnels} tunnels to {server} through tinyproxy at {proxy.address}")
        problems = []
        if outcome != 0:
            problems.append("the interop cases failed")
        if tunnels == 0:
            problems.append("the proxy was not used")
        refused = f"{server} via proxy {proxy.address}: the proxy refused CONNECT: "
        for user, wanted in (("", "it asks for user and password"), ("user:secret@", "it did not accept the user and password")):
            outcome, told = interop(server, f"http://{user}{proxy.address}", "empty_unary")
            if outcome == 0 or refused not in told or wanted not in told or "secret" in told:
                problems.append(f"with {user!r} it should be told that {wanted}: {told}")
    for problem in problems:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


def interop(server, proxy, *cases):
    """The exit code and the output of the interop program where the environment names this proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [*INTEROP, server, *cases], cwd=ROOT, env={**kept, "grpc_proxy": proxy}, text=True, timeout=GUARD_SECONDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout


class Proxy:
    """A running tinyproxy. Leaving the `with` block ends it."""

    def __init__(self, tinyproxy, folder):
        # It takes no port of the kernel's choice; one that was free just now will do.
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        config = folder / "tinyproxy.conf"
        config.write_text(CONFIG.format(port=port), encoding="utf-8")
        self._lines = []
        self._process = subprocess.Popen(
            [tinyproxy, "-d", "-c", config], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self):
        accepts = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(accepts,), daemon=True).start()
        try:
            started = accepts.get(timeout=START_GUARD_SECONDS)
        except queue.Empty:
            started = False
        if not started:
            self.__exit__()
            sys.exit("tinyproxy did not start:\n" + "".join(self._lines))
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=START_GUARD_SECONDS)

    def requests_for(self, server):
        return sum(f"CONNECT {server} HTTP/1.1" in line for line in self._lines)

    def _read(self, accepts):
        for line in self._process.stdout:
            self._lines.append(line)
            if "Accepting connections" in line:
                accepts.put(True)
        accepts.put(False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: run.py HOST:PORT")
    sys.exit(main(sys.argv[1]))
