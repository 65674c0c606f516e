"""Starts a caller (tests/python/caller.py, core/examples/caller) and reads what it tells."""

import json
import subprocess

from faults.history import History
from faults.program import Program
from server.running import ROOT, VENV_PYTHON

PYTHON = (str(VENV_PYTHON), "tests/python/caller.py")
RUST = (str(ROOT / "target" / "release" / "examples" / "caller"),)


def build_rust():
    """The one in Rust is an example of core, which no other build makes."""
    command = ("cargo", "build", "--quiet", "--release", "-p", "linkspan-core", "--example", "caller")
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


class Caller(Program):
    """A running caller; `history` grows as it tells."""

    def __init__(self, target, program=PYTHON, options=None, **settings):
        command = [*program, "--target", target]
        for name, value in settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        for key, value in (options or {}).items():
            command += ["--option", f"{key}={value}"]
        self.history = History()
        super().__init__(command, self._on_line, stdin=subprocess.PIPE)

    def tell(self, addresses):
        """The one in Rust has these for the target `told:` from now on."""
        self.process.stdin.write(",".join(addresses) + "\n")
        self.process.stdin.flush()

    def finish(self):
        """Asks it to end and waits until its calls have; its history."""
        self.process.stdin.close()
        self.wait()
        if self.history.exit_code != 0 or self.history.done is None or self.history.garbage:
            raise RuntimeError(f"the caller did not end well ({self.history.exit_code}): {self.history.told()}")
        return self.history

    def on_end(self, exit_code):
        self.history.end(exit_code)

    def _on_line(self, line):
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        self.history.add(parsed if isinstance(parsed, dict) else {"line": line})
