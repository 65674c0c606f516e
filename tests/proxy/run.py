#!/usr/bin/env python3
"""gRPC's interop cases through proxy.py, an HTTP proxy nobody here wrote: `run.py HOST:PORT` of an interop server.

The environment names the proxy and its password. No password and a wrong one are refused, and none is ever told.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTEROP = ("cargo", "run", "--quiet", "-p", "linkspan-core", "--example", "interop", "--")
PROXY = (str(ROOT / ".tools/venv/bin/python"), "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0", "--num-acceptors", "1",
         "--num-workers", "1", "--threaded", "--basic-auth", "user:pass-word")
GUARD_SECONDS = 300
START_GUARD_SECONDS = 30


def main(server):
    with tempfile.TemporaryDirectory() as folder, Proxy(pathlib.Path(folder)) as proxy:
        outcome, told = interop(server, f"http://user:pass%2Dword@{proxy.address}")
        print(told, end="")
        problems = []
        if outcome != 0:
            problems.append("the interop cases failed")
        refused = f"{server} via proxy {proxy.address}: the proxy refused CONNECT: "
        for user, wanted in (("", "it asks for user and password"), ("user:secret@", "it did not accept the user and password")):
            outcome, told = interop(server, f"http://{user}{proxy.address}", "empty_unary")
            if outcome == 0 or refused not in told or wanted not in told or "secret" in told:
                problems.append(f"with {user!r} it should be told that {wanted}: {told}")
    # Tunnels are logged when they are over.
    tunnels = proxy.tunnels_to(server)
    print(f"{tunnels} tunnels to {server} through proxy.py at {proxy.address}")
    if tunnels == 0:
        problems.append("the proxy was not used")
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
    """A running proxy. Leaving the `with` block ends it."""

    def __init__(self, folder):
        self._port_file = folder / "port"
        self._lines = []
        self._process = subprocess.Popen(
            [*PROXY, "--port-file", str(self._port_file)], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=lambda: self._lines.extend(self._process.stdout), daemon=True)
        self._reader.start()

    def __enter__(self):
        until = time.monotonic() + START_GUARD_SECONDS
        while not (self._port_file.exists() and self._port_file.read_text().strip()):
            if time.monotonic() > until or self._process.poll() is not None:
                self.__exit__()
                sys.exit("the proxy did not start:\n" + "".join(self._lines))
            time.sleep(0.05)
        self.address = f"127.0.0.1:{self._port_file.read_text().strip()}"
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=START_GUARD_SECONDS)
        self._reader.join(timeout=START_GUARD_SECONDS)

    def tunnels_to(self, server):
        return sum(f"CONNECT {server} - " in line for line in self._lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: run.py HOST:PORT")
    sys.exit(main(sys.argv[1]))
