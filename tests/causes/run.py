#!/usr/bin/env python3
"""The ways in which a call fails: every language tells each with the same words, and they name phase, address, cause and what was sent.

    python3 tests/causes/run.py                  all languages, side by side
    python3 tests/causes/run.py rust             one, while it is worked on
    python3 tests/causes/run.py --write rust     takes what it says as the golden texts, where nothing is missing in them
"""

import pathlib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from causes import golden  # noqa: E402
from causes.stage import Stage  # noqa: E402
from causes.table import rows  # noqa: E402
from parity.run import PROGRAMS, run_program  # noqa: E402
from server.scripted import TEST_SERVER  # noqa: E402


def main(arguments):
    languages = [each for each in arguments if not each.startswith("--")] or list(PROGRAMS)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        certificates = pathlib.Path(folder) / "certificates"
        certificates.mkdir()
        subprocess.run([TEST_SERVER, "certificates", certificates], check=True, stdin=subprocess.DEVNULL)
        told = dict(zip(languages, pool.map(lambda language: tell(language, certificates, folder), languages)))
    wrong = [f"{language}: {problem}" for language, (_, problems, _) in told.items() for problem in problems]
    if "--write" in arguments and not wrong:
        golden.write(next(iter(told.values()))[0])
    wanted = golden.read()
    for language, (said, _, left_out) in told.items():
        wrong += [f"{language}: {problem}" for problem in golden.differences(wanted, said, left_out)]
    print("\n".join(wrong))
    print(f"{len(wanted)} causes told alike by {', '.join(told)}" if not wrong else f"{len(wrong)} wrong")
    return 1 if wrong else 0


def tell(language, certificates, folder):
    """What the language's program says of each cause, what is missing in it, and the causes it has no way to."""
    own = pathlib.Path(folder) / language
    own.mkdir()
    with Stage(certificates, own) as stage:
        everything = rows(stage)
        table = [each for each in everything if language not in each.not_in]
        left_out = {each.name for each in everything} - {each.name for each in table}
        cases = own / "cases.tsv"
        cases.write_text("".join(each.case.line() + "\n" for each in table), encoding="utf-8")
        answers = run_program(language, cases)
        said = {each.name: golden.Told.of(answers.get(each.name, {}), stage.names) for each in table}
    return said, [f"{each.name}: {problem}" for each in table for problem in golden.missing(each, said[each.name])], left_out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
