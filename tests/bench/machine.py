"""Where and of what a run was made: without it, figures say nothing."""

import datetime
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def machine_facts(server_core, client_core):
    """What the head of the table, the JSON and the README say about a run; to be asked before it, for the commit's sake."""
    return {
        "machine": f"{_cpu_model()}, {_cores()} cores, {platform.system()} {platform.release()}",
        "cpu": _cpu_model(),
        "cores": _cores(),
        "kernel": f"{platform.system()} {platform.release()}",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "pinning": _pinning(server_core, client_core),
        # Known when the clients have said them.
        "versions": {},
        "warnings": [],
    }


def versions(results):
    """{library: version}, each once, in the order of the clients; "grpcio, asyncio" is the library grpcio."""
    found = {}
    for greeting in results.greetings.values():
        found.setdefault(str(greeting["client"]).partition(",")[0], str(greeting.get("version", "?")))
    return found


def _cpu_model():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _pinning(server_core, client_core):
    if server_core is None:
        return "server and clients could not be pinned to cores here: expect more spread"
    if server_core == client_core:
        return f"server and clients shared core {server_core}, the only one: wall times are of both together"
    return f"server on core {server_core}, clients in turns on core {client_core}"
