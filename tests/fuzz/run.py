#!/usr/bin/env python3
"""Fuzzes what core reads from servers, proxies, names and people: each target of core/fuzz for a while, a line for each.

    tests/fuzz/run.py [SECONDS] [--only TARGET ...] [--keep]

SECONDS is for each target, 600 unless given. What is found is told with the file that does it again, and fails the run. --keep puts
each target's figures into core/docs/measurements/fuzz.json as soon as they are known, and leaves those of others. A corpus grows in
target/fuzz/corpus, from the seeds in core/fuzz/seeds on.

The fuzzer is LLVM's libFuzzer, of the crate libfuzzer-sys. The programs are built as cargo-fuzz would, which is not needed: with coverage, debug
assertions and AddressSanitizer. That takes unstable options of the compiler, which the stable one is told to accept.
"""

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "core/fuzz"
KEPT = ROOT / "core/docs/measurements/fuzz.json"
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz"
SKIPPED = 77

# As cargo-fuzz 0.13 passes them.
FLAGS = (
    "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
    " -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
    " -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Zsanitizer=address"
)

# A single allocation, and all together: nothing that is read may make the client keep more.
LIMITS = ("-malloc_limit_mb=64", "-rss_limit_mb=2048", "-timeout=30")

# What a target reads is longer than libFuzzer would try by itself, or need not be.
LONGEST = {"response": 8192, "connect_answer": 20_000, "service_config": 8192}


def what_is_missing():
    if sys.platform != "linux":
        return "the fuzzers are built for Linux alone"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "c++")):
        return "libFuzzer is built with a C++ compiler, and there is none"
    fetched = subprocess.run(["cargo", "fetch", "--quiet", "--locked", "--manifest-path", FUZZ / "Cargo.toml"], check=False)
    return "" if fetched.returncode == 0 else "the crate libfuzzer-sys cannot be had"


def host():
    told = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return re.search(r"^host: (.*)$", told, re.M)[1], told.splitlines()[0]


def build(triple):
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1", RUSTFLAGS=FLAGS, CARGO_TARGET_DIR=str(BUILT))
    # With a target, the flags are not for build scripts.
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target", triple, "--manifest-path", FUZZ / "Cargo.toml"]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def targets():
    return sorted(path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs"))


def fuzz(target, triple, seconds):
    """Runs one target; what came of it, in figures."""
    corpus, artifacts = BUILT / "corpus" / target, BUILT / "artifacts" / target
    corpus.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    before = set(artifacts.iterdir())
    command = [
        BUILT / triple / "release" / target, corpus, FUZZ / "seeds" / target, f"-artifact_prefix={artifacts}/", *LIMITS,
        f"-max_len={LONGEST.get(target, 4096)}", f"-max_total_time={seconds}", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        told = output.read()
    found = sorted(str(path) for path in set(artifacts.iterdir()) - before)
    if code != 0:
        print("\n".join(told.splitlines()[-60:]), flush=True)
    return figures(target, told, max(len(found), int(code != 0))), found


def figures(target, told, findings):
    """What libFuzzer tells at its end."""

    def last(pattern):
        return int((re.findall(pattern, told) or ["0"])[-1])

    return {
        "target": target,
        "seconds": last(r"Done \d+ runs in (\d+) second"),
        "executions": last(r"stat::number_of_executed_units: +(\d+)"),
        "edges": last(r" cov: (\d+) "),
        "peak_mb": last(r"stat::peak_rss_mb: +(\d+)"),
        "findings": findings,
    }


def line(result):
    words = "nothing found" if result["findings"] == 0 else f"{result['findings']} FOUND"
    return (
        f"{result['target']:24}{result['seconds']:5} s {result['executions']:>12,} executions {result['edges']:>7,} edges"
        f" {result['peak_mb']:5} MB  {words}"
    )


def commit():
    told = subprocess.run(["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"], cwd=ROOT, capture_output=True, text=True)
    return told.stdout.strip()


def keep(result):
    kept = json.loads(KEPT.read_text())["targets"] if KEPT.exists() else []
    targets = sorted([result, *(other for other in kept if other["target"] != result["target"])], key=lambda one: one["target"])
    KEPT.write_text(json.dumps({"targets": targets}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seconds", nargs="?", type=int, default=600)
    parser.add_argument("--only", nargs="+", metavar="TARGET", choices=targets(), default=targets())
    parser.add_argument("--keep", action="store_true", help=f"put the figures into {KEPT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if missing := what_is_missing():
        print(f"skipped: {missing}")
        return SKIPPED
    triple, rustc = host()
    facts = {"commit": commit(), "date": datetime.date.today().isoformat(), "rustc": rustc}
    if not build(triple):
        print("the fuzzers cannot be built")
        return 1
    has_failed, all_found = False, []
    for target in arguments.only:
        result, found = fuzz(target, triple, arguments.seconds)
        has_failed |= result["findings"] > 0
        all_found += found
        print(line(result), flush=True)
        if arguments.keep:
            keep({**result, **facts})
    for path in all_found:
        print(f"found: {path}; run it again with {BUILT}/{triple}/release/{Path(path).parent.name} {path}")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
