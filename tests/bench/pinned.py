"""Starts a program on one core."""

import os
import pathlib
import resource
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPEN_FILES_WANTED = 65536


def cores():
    """(server's core, clients' core): the first and the last we may use; (None, None) where programs cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def open_files_limit():
    """How many files a program started here may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return OPEN_FILES_WANTED
    return max(soft, min(hard, OPEN_FILES_WANTED))


def start(command, core, **settings):
    """Starts a program of the repository, in its own session; its output is read with select, so nothing may buffer it."""
    limit = open_files_limit()

    def prepare():
        # In the child before it becomes the program: later its first threads would have the runner's cores.
        if core is not None:
            os.sched_setaffinity(0, {core})
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    command = [str(part) for part in command]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True,
        preexec_fn=prepare, **settings,
    )
