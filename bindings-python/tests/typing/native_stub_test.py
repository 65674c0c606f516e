"""The stub of the native module says what the module has."""

import os
import pathlib
import shutil
import subprocess
import sys

import linkspan

STUB = pathlib.Path(linkspan.__file__).with_name("_linkspan.pyi")


def test_stubtest_finds_no_difference(tmp_path):
    # A package that holds the stub alone: the annotations of the Python files are not what is tested here.
    package = tmp_path / "stubs" / "linkspan"
    package.mkdir(parents=True)
    (package / "__init__.pyi").touch()
    shutil.copy(STUB, package)
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "linkspan._linkspan"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
