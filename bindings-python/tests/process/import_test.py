"""What `import linkspan` brings in, in a fresh interpreter."""

import json

import pytest
from support.packages import only
from support.processes import run_program

import linkspan

# Standard modules a bare interpreter has not loaded yet. A longer list is a slower import: say why before adding to it.
ALLOWED = {
    "__future__",
    "_collections",
    "_contextvars",
    "_functools",
    "_operator",
    "_weakrefset",
    "collections",
    "contextvars",
    "enum",
    "functools",
    "itertools",
    "keyword",
    "operator",
    "reprlib",
    "threading",
    "types",
    "weakref",
    # From Python 3.13 on, by the standard modules above.
    "warnings",
    # Loaded by the site module of most interpreters; -S leaves them to whoever is first.
    "_abc",
    "_collections_abc",
    "_stat",
    "abc",
    "collections.abc",
    "genericpath",
    "os",
    "os.path",
    "posixpath",
    "stat",
}

IMPORT = """
import sys, time
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
started = time.perf_counter()
import linkspan
milliseconds = (time.perf_counter() - started) * 1000
came = sorted(set(sys.modules) - before)
import json, os
tasks = len(os.listdir("/proc/self/task"))
descriptors = sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
print(json.dumps({"came": came, "milliseconds": milliseconds, "threads": tasks, "descriptors": descriptors}))
"""


@pytest.fixture
def folder(tmp_path):
    return only(tmp_path, "linkspan")


@pytest.fixture
def imported(folder):
    return json.loads(run_program(IMPORT, folder, python_flags=["-S"]))


def test_only_light_modules_come_in(imported):
    came = {name for name in imported["came"] if name.partition(".")[0] != "linkspan"}
    assert came <= ALLOWED
    assert not came & {"asyncio", "grpc", "logging", "typing"}


def test_the_asyncio_face_is_not_loaded(imported):
    assert not [name for name in imported["came"] if name.startswith("linkspan.aio")]


def test_no_thread_starts_and_no_descriptor_opens(imported, record_property):
    record_property("import_milliseconds", imported["milliseconds"])
    print(f"import linkspan took {imported['milliseconds']:.1f} ms")
    assert imported["threads"] == 1
    assert not [name for name in imported["descriptors"] if "eventfd" in name or "eventpoll" in name or "socket" in name]


def test_making_a_channel_starts_no_thread_and_opens_nothing(folder):
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import os, linkspan
def held():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
before = held()
channel = linkspan.insecure_channel("localhost:1")
stub = channel.unary_unary("/a/B")
assert held() == before, (before, held())
channel.close()
assert held() == before, (before, held())
"""
    run_program(program, folder, python_flags=["-S"])


def test_everything_public_is_there():
    for name in linkspan.__all__:
        assert getattr(linkspan, name) is not None
    from linkspan import aio

    for name in aio.__all__:
        getattr(aio, name)
