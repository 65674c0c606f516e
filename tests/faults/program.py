"""A client under test: a program that tells what it does in lines of JSON, and is ended whatever happens."""

import subprocess
import threading

from server.running import ROOT, end_group

END_GUARD_SECONDS = 60


class Program:
    """A running program; each line it tells goes to `on_line`. Leaving the `with` block ends the process."""

    def __init__(self, command, on_line, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        # Read as it comes: a pipe that is full would stop the program.
        self._reading = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reading.start()

    def wait(self, seconds=0):
        """Waits until it has told everything, with a guard beyond the seconds it may take."""
        self._reading.join(seconds + END_GUARD_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self.process)

    def _read(self, on_line):
        for line in self.process.stdout:
            on_line(line)
        self.on_end(self.process.wait())

    def on_end(self, exit_code):
        """The program has ended."""
