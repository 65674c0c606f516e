"""Starts a caller (tests/python/caller.py, core/examples/caller.rs) and reads what it tells."""

import json
import subprocess
import threading

from faults.history import History
from server.running import ROOT, VENV_PYTHON, end_group

PYTHON = (str(VENV_PYTHON), "tests/python/caller.py")
RUST = (str(ROOT / "target" / "release" / "examples" / "caller"),)

END_GUARD_SECONDS = 60


class Caller:
    """A running caller; `history` grows as it tells. Leaving the `with` block ends the process."""

    def __init__(self, target, program=PYTHON, options=None, **settings):
        command = [*program, "--target", target]
        for name, value in settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        for key, value in (options or {}).items():
            command += ["--option", f"{key}={value}"]
        self.history = History()
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def finish(self):
        """Asks it to end and waits until its calls have; its history."""
        self._process.stdin.close()
        self._reading.join(END_GUARD_SECONDS)
        if self.history.exit_code != 0 or self.history.done is None or self.history.garbage:
            raise RuntimeError(f"the caller did not end well ({self.history.exit_code}): {self.history.told()}")
        return self.history

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self._process)

    def _read(self):
        for line in self._process.stdout:
            try:
                parsed = json.loads(line)
            except ValueError:
                parsed = None
            self.history.add(parsed if isinstance(parsed, dict) else {"line": line})
        self.history.end(self._process.wait())
