#!/usr/bin/env python3
"""The same target, options and failure give the same states and the same error text in every language.

Runs the four parity programs on one file of cases and compares their answers field by field. Names of languages as
arguments run only those, while one is being worked on.
"""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from parity.cases import cases  # noqa: E402
from parity.compare import differences, surprises  # noqa: E402
from server.running import VENV_PYTHON, RunningServer  # noqa: E402

PROGRAMS = {
    "rust": ["cargo", "run", "--quiet", "-p", "linkspan-core", "--example", "parity", "--"],
    "c": ["target/c/parity"],
    "python": [str(VENV_PYTHON), "tests/python/parity.py"],
    "node": ["node", "tests/node/parity.cjs"],
}
HANG_GUARD_SECONDS = 300


def main():
    languages = sys.argv[1:] or list(PROGRAMS)
    with contextlib.ExitStack() as cleanup:
        server = cleanup.enter_context(RunningServer.identity("server-1"))
        refused = [cleanup.enter_context(bound_socket()) for _ in range(3)]
        silent = cleanup.enter_context(bound_socket())
        # The kernel completes the handshake; nobody ever accepts or answers.
        silent.listen()
        addresses = [server.address, *map(address_of, (*refused, silent))]
        all_cases = cases(*addresses)
        known_ports = {int(address.rpartition(":")[2]) for address in addresses}

        file = cleanup.enter_context(tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8"))
        file.write("".join(case.line() + "\n" for case in all_cases))
        file.flush()
        answers = {language: run_program(language, file.name) for language in languages}
    return report(all_cases, answers, known_ports)


def bound_socket():
    """A port of our own that refuses connections, until someone calls listen()."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


def address_of(bound):
    return f"127.0.0.1:{bound.getsockname()[1]}"


def run_program(language, file_name):
    """What the language's program answered: {case: object}. Cases it did not come to are missing, and so fail."""
    done = subprocess.run(
        [*PROGRAMS[language], file_name], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        timeout=HANG_GUARD_SECONDS, encoding="utf-8", check=False,
    )
    if done.returncode != 0:
        print(f"the {language} program ended with exit code {done.returncode}")
    answers = {}
    for answer in map(json.loads, done.stdout.splitlines()):
        if answer["case"] in answers:
            sys.exit(f"the {language} program answered case {answer['case']} twice")
        answers[answer["case"]] = answer
    return answers


def report(all_cases, answers, known_ports):
    bad = 0
    for case in all_cases:
        of_case = {language: given.get(case.name, {}) for language, given in answers.items()}
        found = differences(of_case, known_ports)
        unexpected = {language: list(surprises(case, answer)) for language, answer in of_case.items()}
        if found or any(unexpected.values()):
            bad += 1
            print(f"{case.name}: FAILED")
            show_differences(found)
            show_surprises(unexpected)
        else:
            answer = next(iter(of_case.values()))
            print(f"{case.name}: {case.kind_or_code} {case.final_state} {answer['text']}".rstrip())
    print(f"{len(all_cases) - bad} cases the same in {', '.join(answers)}; {bad} not")
    return 1 if bad else 0


def show_differences(found):
    for field, values in found.items():
        print(f"  {field} differs:")
        for language, value in values.items():
            print("\n".join(f"    {language:7} {row}" for row in value.split("\n")))


def show_surprises(unexpected):
    for language, rows in unexpected.items():
        for row in rows:
            print(f"  {language}: {row}")


if __name__ == "__main__":
    sys.exit(main())
