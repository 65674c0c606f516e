"""What a caller told, kept in the order it came, and the questions the scenarios ask of it. Times are Unix milliseconds."""

import dataclasses
import threading
import time


@dataclasses.dataclass(frozen=True)
class Call:
    started: int
    ended: int
    code: str
    text: str

    @property
    def is_good(self):
        return self.code == "OK"


class History:
    """Filled by the thread that reads the caller, read by the scenario."""

    def __init__(self):
        self._changed = threading.Condition()
        self.calls = []
        self.states = []
        self.streams = []
        self.logs = []
        self.done = None
        # Set when the caller says nothing more; whether it ended well.
        self.exit_code = None
        # Lines that are not what a caller may print.
        self.garbage = []

    def add(self, line):
        kind = line.get("kind")
        with self._changed:
            if kind == "call":
                self.calls.append(Call(line["t"], line["ended"], line["code"], line["text"]))
            elif kind == "done":
                self.done = line
            elif kind in ("state", "stream", "log"):
                {"state": self.states, "stream": self.streams, "log": self.logs}[kind].append(line)
            else:
                self.garbage.append(line)
            self._changed.notify_all()

    def end(self, exit_code):
        with self._changed:
            self.exit_code = exit_code
            self._changed.notify_all()

    def wait_until(self, is_so, what, guard_seconds=60):
        """Waits for an event; the guard time only ends what hangs."""
        end = time.monotonic() + guard_seconds
        with self._changed:
            while not is_so(self):
                left = end - time.monotonic()
                if left <= 0 or self.exit_code is not None:
                    raise TimeoutError(f"{what}: not within {guard_seconds} s; {self.told()}")
                self._changed.wait(left)

    def good_since(self, moment):
        """Good calls that were started since then."""
        return sum(call.is_good and call.started >= moment for call in reversed(self.calls))

    @property
    def failed(self):
        return [call for call in self.calls if not call.is_good]

    def first_good_since(self, moment):
        """When the first good call ended that ended since then; None without one."""
        return min((call.ended for call in self.calls if call.is_good and call.ended >= moment), default=None)

    def says(self, words):
        """Every line in which the words stand: of failed calls and streams, state changes and the log."""
        texts = [call.text for call in self.failed]
        texts += [line["text"] for line in (*self.states, *self.streams, *self.logs)]
        return [text for text in texts if words in text]

    def told(self):
        """A short account for whoever reads of a failure."""
        failed = self.failed
        lines = [f"{len(self.calls)} calls, {len(failed)} failed"]
        lines += [f"  {call.code}: {call.text}" for call in failed[-3:]]
        lines += [f"  {line['text']}" for line in (*self.states[-5:], *self.streams[-2:], *self.logs[-3:])]
        lines += [f"  no JSON line: {line}" for line in self.garbage[:3]]
        return "\n".join(lines)
