"""Where rules are cited: `[CONN-92]` in a comment. In a test it says that the test exercises the rule."""

import dataclasses
import itertools
import re

# A range is cited as `[WIRE-60] to [WIRE-62]`.
CITATION = re.compile(r"\[([A-Z][A-Z0-9]*)-(\d+)\](?: to \[\1-(\d+)\])?")

# Folders whose code is tests, whatever the file.
TEST_FOLDERS = ("core/tests/", "core/src/simulation/", "ffi/tests/", "bindings-python/tests/", "bindings-node/test/", "tests/")
# Within those: they measure, play the server or build worlds. A rule that is explained there is not exercised there.
NO_TESTS = ("tests/bench/", "tests/server/faults/src/", "core/src/simulation/server/", "core/src/simulation/worlds/")

SOURCES = {".rs": "//", ".c": "//", ".h": "//", ".cjs": "//", ".js": "//", ".ts": "//", ".go": "//", ".py": "#"}
GENERATED = ("target", "node_modules", ".tools", ".git", "dist", "build")


@dataclasses.dataclass(frozen=True)
class Citation:
    rule: str
    place: str
    is_in_test: bool


def of_repository(root):
    found = []
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if path.suffix not in SOURCES and path.suffix != ".md":
            continue
        # A folder of our sources may be called like one that is made; the tests of this folder cite rules that are made up.
        above_sources = itertools.takewhile(lambda part: part != "src", place.parts)
        if any(part in GENERATED for part in above_sources) or place.as_posix().startswith("tests/rules/"):
            continue
        found += of_file(place.as_posix(), path.read_text(encoding="utf-8", errors="replace"))
    return found


def of_file(place, text):
    """Every citation of a file; a range is each of its rules."""
    test_lines = lines_of_tests(place, text)
    for number, line in enumerate(text.splitlines(), 1):
        for prefix, first, last in CITATION.findall(line):
            for each in range(int(first), int(last or first) + 1):
                is_in_test = number in test_lines and is_comment(place, line)
                yield Citation(f"{prefix}-{each}", f"{place}:{number}", is_in_test)


def is_comment(place, line):
    suffix = place[place.rfind(".") :]
    if suffix == ".py":
        # A docstring is Python's comment at a test.
        return "#" in line or '"""' in line
    marker = SOURCES.get(suffix)
    return marker is not None and (marker in line or line.lstrip().startswith(("*", "/*")))


def lines_of_tests(place, text):
    """The numbers of the lines that are test code."""
    lines = text.splitlines()
    whole, nothing = range(1, len(lines) + 1), range(0)
    if place.endswith(".md") or place.startswith(NO_TESTS):
        return nothing
    if place.startswith(TEST_FOLDERS) or place.endswith("/tests.rs") or "/tests/" in place:
        return whole
    # Tests stand at the end of a source file, in a module that only tests have.
    for number, (before, line) in enumerate(itertools.pairwise(lines), 2):
        if before == "#[cfg(test)]" and re.match(r"mod \w+ \{", line):
            return range(number, len(lines) + 1)
    return nothing
