#!/usr/bin/env python3
"""Installs what stands in dist/ into fresh folders and makes one call with each, against a grpcio server."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
DIST = ROOT / "dist"
sys.path.insert(0, str(ROOT / "tests"))

from server.running import RunningServer  # noqa: E402

GUARD_SECONDS = 180


def main():
    with RunningServer.identity("server-1") as server, tempfile.TemporaryDirectory() as folder:
        for name, attempt in (("wheel", wheel), ("npm tarballs", npm), ("C library", c_library)):
            inside = pathlib.Path(folder) / name.replace(" ", "-")
            inside.mkdir()
            attempt(inside, server.address)
            print(f"{name}: installed and called {server.address}", flush=True)


def wheel(folder, address):
    (file,) = DIST.glob("linkspan-*.whl")
    run(folder, sys.executable, "-m", "venv", "venv")
    python = folder / "venv" / "bin" / "python"
    run(folder, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", file)
    # -I: nothing but what was installed, neither this folder nor PYTHONPATH.
    run(folder, python, "-I", HERE / "one_call.py", address)


def npm(folder, address):
    (folder / "package.json").write_text('{ "private": true }\n', encoding="utf-8")
    tarballs = sorted(DIST.glob("linkspan-*.tgz"))
    if len(tarballs) < 2:
        sys.exit(f"dist holds {len(tarballs)} npm tarballs; the main package and this platform's are needed")
    run(folder, "npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", "--omit=peer", *tarballs)
    shutil.copy(HERE / "one_call.cjs", folder)
    run(folder, "node", "one_call.cjs", address)


def c_library(folder, address):
    source = HERE / "one_call.c"
    include = f"-I{DIST / 'include'}"
    library = DIST / "lib"
    warnings = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
    run(folder, "cc", *warnings, include, source, "-o", "shared", f"-L{library}", "-llinkspan", f"-Wl,-rpath,{library}")
    run(folder, "cc", *warnings, include, source, "-o", "static", library / "liblinkspan.a", "-lpthread", "-ldl", "-lm")
    for program in ("shared", "static"):
        run(folder, folder / program, address)


def run(folder, *command):
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, stdin=subprocess.DEVNULL, timeout=GUARD_SECONDS, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with exit code {done.returncode}")


if __name__ == "__main__":
    main()
