"""The demo's clients in C and Node as clients under test: they call until their time is over and count."""

import json
import subprocess
import threading

from server.running import ROOT, end_group

COMMANDS = {"c": ("target/c/demo_client",), "node": ("node", "tests/node/demo_client.cjs")}
END_GUARD_SECONDS = 60


class DemoClient:
    def __init__(self, language, target, seconds):
        self.language = language
        self.errors = []
        self._done = None
        self._end_guard = seconds + END_GUARD_SECONDS
        command = [*COMMANDS[language], "--name", language, "--target", target, "--seconds", str(seconds)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        # Read as it comes: a pipe that is full would stop the client.
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def finish(self):
        """Waits for its end; its closing line."""
        self._reading.join(self._end_guard)
        if self._done is None:
            raise RuntimeError(f"the client in {self.language} did not end well; {self.errors[:3]}")
        return self._done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self._process)

    def _read(self):
        for line in self._process.stdout:
            told = json.loads(line)
            if told["kind"] == "error":
                self.errors.append(told)
            elif told["kind"] == "done":
                self._done = told
