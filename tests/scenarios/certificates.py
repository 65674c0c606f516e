"""All certificates are replaced every few seconds, roots, the server's and the client's, and grpc-go's server takes no client's from before:
no call fails. A file that is broken in between changes nothing and is told.

The files are swapped as Kubernetes does it, by a link to a folder. The server drains connections at an age, so that new ones are made all the time.
"""

import contextlib
import pathlib
import subprocess
import tempfile
import time

from faults.caller import PYTHON, RUST, Caller, build_rust
from faults.playing import Missing
from server.running import INTEROP_SERVER, RunningServer

NAME = "certificates"
CALLS_PER_SECOND = 200
DEADLINE_MS = 5000
VALID = "90s"
REPLACED = "the TLS files were read again"
REFUSED = "the TLS files cannot be used, so what was read before stays in use"


def run(findings, is_long):
    if not INTEROP_SERVER.exists():
        raise Missing("grpc-go's server is built by tests/server/build.sh and needs Go")
    seconds, every = (300, 10) if is_long else (16, 4)
    build_rust()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
        files = Files(pathlib.Path(folder))
        server = cleanup.enter_context(files.server(max_age_seconds=3))
        settings = {"rate": CALLS_PER_SECOND, "deadline_ms": DEADLINE_MS, "tls_files": files.client}
        callers = {
            name: cleanup.enter_context(Caller(f"ipv4:{server.address}", program, **settings))
            for name, program in (("rust", RUST), ("python", PYTHON))
        }
        for name, caller in callers.items():
            caller.history.wait_until(lambda told: told.good_since(0) >= CALLS_PER_SECOND, f"{name} calls before the first replacement")
        replace(files, callers, seconds, every)
        histories = {name: caller.finish() for name, caller in callers.items()}
        handshakes = files.handshakes()
    for name, history in histories.items():
        judge(findings, name, history, files.replaced)
    findings.figure("replacements", files.replaced)
    findings.figure("handshakes", len(handshakes))
    # It was replaced between a client's look and the server's, and the client dialed again.
    findings.figure("handshakes refused", handshakes.count("refused"))
    findings.must(handshakes.count("accepted") > 2 * files.replaced, f"{len(handshakes)} handshakes for {files.replaced} replacements")


def replace(files, callers, seconds, every):
    """Replaces everything until the time is over; a file is broken once, for as long as a replacement lasts."""
    end = time.monotonic() + seconds
    is_broken = False
    while time.monotonic() + every < end:
        files.replace()
        shown = time.monotonic()
        for name, caller in callers.items():
            caller.history.wait_until(lambda told: len(told_of(told, REPLACED)) >= files.replaced, f"{name} tells of replacement {files.replaced}")
        # A good one comes after it.
        if not is_broken and files.replaced == 2:
            is_broken = True
            files.break_one()
            for name, caller in callers.items():
                caller.history.wait_until(lambda told: told_of(told, REFUSED), f"{name} tells of the broken file")
        time.sleep(max(0, shown + every - time.monotonic()))


def told_of(history, words):
    """Events; the log is not asked, because one of the callers has none."""
    return [line for line in history.states if words in line["text"]]


def judge(findings, name, history, replaced):
    findings.must(not history.failed, f"{name}: {history.told()}")
    findings.figure(f"{name}: calls", len(history.calls))
    findings.figure(f"{name}: failed calls", len(history.failed), 0)
    findings.figure(f"{name}: connections made", history.done["connect_attempts"])
    replacements, refusals = len(told_of(history, REPLACED)), len(told_of(history, REFUSED))
    findings.must(replacements == replaced, f"{name}: {replacements} replacements were told, of {replaced}")
    findings.must(refusals == 1, f"{name}: the broken file was told {refusals} times")
    slowest = max(call.ended - call.started for call in history.calls)
    findings.figure(f"{name}: the slowest call", slowest, DEADLINE_MS, "ms")


class Files:
    """Folders of certificates, of which the link `live` names the one that holds."""

    def __init__(self, folder):
        self._folder = folder
        self._live = folder / "live"
        self._log = folder / "handshakes"
        self.replaced = -1
        self.client = self._live / "client"
        self.replace()

    def server(self, max_age_seconds):
        return RunningServer.interop("-tls-files", self._live / "server", "-tls-log", self._log, "-max-connection-age", f"{max_age_seconds}s")

    def replace(self):
        """New ones hold from now on; the roots of before are trusted still."""
        self.replaced += 1
        new = self._folder / str(self.replaced)
        beside = ("-beside", self._live / "root.crt") if self.replaced else ()
        subprocess.run((INTEROP_SERVER, "-issue", new, "-valid", VALID, *beside), check=True, stdin=subprocess.DEVNULL)
        link = self._folder / "next"
        link.symlink_to(new)
        link.replace(self._live)

    def break_one(self):
        """As when whoever writes it is interrupted."""
        certificate = self.client / "tls.crt"
        certificate.write_bytes(certificate.read_bytes()[:100])

    def handshakes(self):
        return self._log.read_text().split()
