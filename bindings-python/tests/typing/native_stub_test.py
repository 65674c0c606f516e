"""The stub of the native module says what the module has."""

import os
import pathlib
import subprocess
import sys

import linkspan

SOURCES = pathlib.Path(linkspan.__file__).parents[1]


def test_stubtest_finds_no_difference(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "linkspan._linkspan"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
