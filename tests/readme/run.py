#!/usr/bin/env python3
"""Runs the README's programs as they are written, and holds its versions against those of the packages.

The Rust program is compiled by core's documentation tests.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from server.running import VENV_PYTHON, RunningServer  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "localhost:50051"
GUARD_SECONDS = 60


def main():
    problems = list(version_problems())
    with RunningServer.identity("server-1") as server, tempfile.TemporaryDirectory() as folder:
        for language, attempt in (("python", run_python), ("js", run_node), ("c", run_c)):
            source = program(language).replace(ADDRESS, server.address)
            problems += [f"the {language} program {problem}" for problem in attempt(source, pathlib.Path(folder))]
    for problem in problems:
        print(f"README.md: {problem}")
    return 1 if problems else 0


def program(language):
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    if ADDRESS not in block:
        sys.exit(f"README.md: the {language} program does not call {ADDRESS}")
    return block


def run_python(source, folder):
    (folder / "example.py").write_text(source, encoding="utf-8")
    yield from run(folder, [VENV_PYTHON, "example.py"], "0 bytes")


def run_node(source, folder):
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "linkspan").symlink_to(ROOT / "bindings-node")
    (folder / "example.cjs").write_text(source, encoding="utf-8")
    yield from run(folder, ["node", "example.cjs"], "0 bytes from 127.0.0.1:")


def run_c(source, folder):
    (folder / "example.c").write_text(source, encoding="utf-8")
    library = ROOT / "target" / "release"
    flags = ["-std=c99", "-Wall", "-Werror", f"-I{ROOT / 'include'}", f"-L{library}", f"-Wl,-rpath,{library}"]
    yield from run(folder, ["cc", *flags, "example.c", "-o", "example", "-llinkspan"], "")
    yield from run(folder, [folder / "example"], "OK")


def run(folder, command, expected):
    """Problems of running one command: a bad exit code, or output without the expected words."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=GUARD_SECONDS, encoding="utf-8", check=False, env=os.environ,
    )
    if done.returncode != 0 or expected not in done.stdout:
        yield f"ended with exit code {done.returncode}, expected {expected!r} in its output:\n{done.stdout}"


def version_problems():
    """Minimum versions that the README does not tell as the packages do."""
    node = json.loads((ROOT / "bindings-node" / "package.json").read_text(encoding="utf-8"))
    version = toml_text("Cargo.toml", "version")
    told = {
        f"Version {version.rpartition('.')[0]}": "version in Cargo.toml",
        f"Rust {toml_text('Cargo.toml', 'rust-version')} or newer": "rust-version in Cargo.toml",
        f"Python {minimum(toml_text('bindings-python/pyproject.toml', 'requires-python'))} or newer": "pyproject.toml",
        f"Node {minimum(node['engines']['node'])} or newer": "engines in package.json",
    }
    for words, source in told.items():
        if words not in README:
            yield f"does not say {words!r}, the {source}"
    if node["version"] != version:
        yield f"the packages' versions differ: Cargo.toml {version}, package.json {node['version']}"


def toml_text(path, key):
    """The first `key = "text"` of a file; Python 3.10 has no TOML reader of its own."""
    return re.search(rf'^{key} = "(.*)"$', (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)[1]


def minimum(requirement):
    return requirement.removeprefix(">=").strip()


if __name__ == "__main__":
    sys.exit(main())
