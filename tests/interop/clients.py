"""The interop program of each language: how it is started, and what it said."""

import dataclasses
import re
import subprocess
import tempfile

from server.running import ROOT, VENV_PYTHON

LANGUAGES = ("rust", "c", "python", "node")
# Longer than the programs' own.
GUARD_SECONDS = 660


@dataclasses.dataclass(frozen=True)
class Said:
    passed: int
    failures: list

    @property
    def is_good(self):
        return not self.failures


class Client:
    """The program of a language; Rust's is built, optimized if so wanted."""

    def __init__(self, language, is_optimized=False):
        self.language = language
        if language == "rust":
            build = ["cargo", "build", "--quiet", "-p", "linkspan-core", "--example", "interop"]
            subprocess.run(build + ["--release"] * is_optimized, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
        self._command = {
            "rust": [ROOT / "target" / ("release" if is_optimized else "debug") / "examples" / "interop"],
            "c": [ROOT / "target" / "c" / "interop"],
            "python": [VENV_PYTHON, ROOT / "tests" / "python" / "interop.py"],
            "node": ["node", ROOT / "tests" / "node" / "interop.cjs"],
        }[language]

    @property
    def faces(self):
        """How often each case is run: once for each face of the language."""
        return 2 if self.language in ("python", "node") else 1

    def run(self, target, cases, **flags):
        """Runs the cases; keyword arguments are flags. Whatever the program leaves out or does not end well is a failure."""
        command = [*self._command, target, *(f"--{name}={value}" for name, value in flags.items() if value is not None), *cases]
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.run(
                    command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=GUARD_SECONDS
                ).returncode
            except subprocess.TimeoutExpired:
                code = "none"
            output.seek(0)
            return judged(output.read().decode("utf-8", "replace"), code, cases, self.faces)


def judged(text, code, cases, faces):
    """What the output of a program comes to, which says a line for each case and face."""
    outcomes = re.findall(r"^(ok|FAILED) (\w+)(.*)$", text, re.MULTILINE)
    failures = [f"{case}{words}" for outcome, case, words in outcomes if outcome == "FAILED"]
    passed = [case for outcome, case, _ in outcomes if outcome == "ok"]
    for case in cases:
        told = sum(name == case for _, name, _ in outcomes)
        if told != faces:
            failures.append(f"{case}: {told} outcomes instead of {faces}")
    if (code != 0) != bool(failures):
        failures.append(f"exit code {code}: {text.strip()[-2000:]}")
    return Said(len(passed), failures)
