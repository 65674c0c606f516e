"""What the soak cases share: how long they may go on, the line of each iteration, and the verdict."""

import sys
import time

from generated import messages
from interop_cases import LINE_BREAKS, Unexpected, expect_body, payload


class Soak:
    """[SOAK-1] to [SOAK-7]; a face makes the calls."""

    def __init__(self, arguments):
        self._arguments = arguments
        self.workers = arguments.soak_num_threads
        if arguments.soak_iterations % self.workers:
            raise Unexpected(f"{arguments.soak_iterations} iterations cannot be shared equally by {self.workers} workers")
        self._each_seconds = arguments.soak_per_iteration_max_acceptable_latency_ms / 1000
        timeout = arguments.soak_overall_timeout_seconds
        self._until = time.monotonic() + (self._each_seconds * arguments.soak_iterations if timeout is None else timeout)
        self._log = open(arguments.soak_log, "a", encoding="utf-8") if arguments.soak_log else sys.stdout
        # Appended to by many threads, which a list bears.
        self._failures = []
        self._done = []
        self.request = messages.SimpleRequest(
            response_size=arguments.soak_response_size, payload=payload(arguments.soak_request_size)
        )

    def turns(self):
        """One worker's share: when each iteration starts."""
        for _ in range(self._arguments.soak_iterations // self.workers):
            if time.monotonic() > self._until:
                return
            yield time.monotonic()

    def check(self, response):
        expect_body(self._arguments.soak_response_size, response)

    def note(self, started, peer, error=None):
        """An iteration is over. Returns how long to wait before the next."""
        seconds = time.monotonic() - started
        if error is None and seconds > self._each_seconds:
            error = f"slower than {self._each_seconds} s"
        verdict = "succeeded" if error is None else f"failed: {str(error).translate(LINE_BREAKS)}"
        if error is not None:
            self._failures.append(verdict)
        line = f"soak iteration: {len(self._done)} elapsed_ms: {seconds * 1000:.0f} peer: {peer or 'none'}"
        self._done.append(None)
        self._log.write(f"{line} server_uri: {self._arguments.target} {verdict}\n")
        return max(0.0, self._arguments.soak_min_time_ms_between_rpcs / 1000 - (time.monotonic() - started))

    def judge(self):
        self._log.flush()
        if self._log is not sys.stdout:
            self._log.close()
        wanted = self._arguments.soak_iterations
        if len(self._done) < wanted or len(self._failures) > self._arguments.soak_max_failures:
            raise Unexpected(
                f"{len(self._done)} of {wanted} iterations ran and {len(self._failures)} of them failed: {self._failures[:1]}"
            )
