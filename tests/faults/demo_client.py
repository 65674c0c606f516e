"""The demo's clients in C and Node as clients under test: they call until their time is over and count."""

import json

from faults.program import Program

COMMANDS = {"c": ("target/c/demo_client",), "node": ("node", "tests/node/demo_client.cjs")}


class DemoClient(Program):
    def __init__(self, language, target, seconds):
        self.language = language
        self.errors = []
        self._done = None
        self._seconds = seconds
        command = [*COMMANDS[language], "--name", language, "--target", target, "--seconds", str(seconds)]
        super().__init__(command, self._on_line)

    def finish(self):
        """Waits for its end; its closing line."""
        self.wait(self._seconds)
        if self._done is None:
            raise RuntimeError(f"the client in {self.language} did not end well; {self.errors[:3]}")
        return self._done

    def _on_line(self, line):
        told = json.loads(line)
        if told["kind"] == "error":
            self.errors.append(told)
        elif told["kind"] == "done":
            self._done = told
