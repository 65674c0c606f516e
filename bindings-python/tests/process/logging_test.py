"""Log lines: to a program's own function, to the standard `logging`, and to stderr where the environment asks for them."""

import json
import os
import re
import subprocess
import sys

import pytest
from support.processes import GUARD_SECONDS

# Nobody listens there.
TARGET = "ipv4:127.0.0.1:1"

SETUP = f"""
import json, sys, threading
import linkspan

def fail_to_connect():
    channel = linkspan.insecure_channel({TARGET!r})
    try:
        channel.unary_unary("/a/b")(b"", timeout=30)
    except linkspan.RpcError:
        pass
    channel.close()

class Heard:
    def __init__(self):
        self.lines = []
        self.closed = threading.Event()

    def __call__(self, level, room, text):
        self.lines.append((level, room, text, threading.current_thread().name))
        if "SHUTDOWN" in text:
            self.closed.set()
"""


def run(source, **variables):
    """The source's JSON output, and what it wrote to stderr."""
    ours = ("LINKSPAN_LOG", "GRPC_VERBOSITY", "GRPC_TRACE", "GRPC_NODE_VERBOSITY", "GRPC_NODE_TRACE")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", SETUP + source],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        env={**environment, **variables},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null"), done.stderr


@pytest.mark.parametrize(
    "variables",
    [{"LINKSPAN_LOG": "subchannel=debug"}, {"GRPC_VERBOSITY": "DEBUG"}, {"GRPC_VERBOSITY": "INFO", "GRPC_TRACE": "subchannel"}],
)
def test_the_environment_has_lines_written_to_stderr(variables):
    _, stderr = run("fail_to_connect()", **variables)
    assert re.search(rf"^\d\d:\d\d:\d\d\.\d{{3}}Z D \d+ subchannel: channel \d+ {TARGET}: ", stderr, re.MULTILINE), stderr


def test_a_program_is_silent_by_default():
    assert run("fail_to_connect()") == (None, "")


def test_a_wrong_value_is_one_line_and_the_program_goes_on():
    _, stderr = run("fail_to_connect()", LINKSPAN_LOG="loud")
    assert stderr.startswith('linkspan: LINKSPAN_LOG: "loud" cannot be understood') and stderr.count("\n") == 1


def test_a_logger_hears_what_it_asks_for_on_a_thread_of_its_own():
    (info, debug, after), stderr = run("""
info, debug = Heard(), Heard()
linkspan.set_logger(info)
fail_to_connect()
assert info.closed.wait(30)
linkspan.set_logger(debug, "debug")
fail_to_connect()
assert debug.closed.wait(30)
linkspan.set_logger(None)
before = len(info.lines) + len(debug.lines)
fail_to_connect()
print(json.dumps([info.lines, debug.lines, len(info.lines) + len(debug.lines) - before]))
""")
    assert {level for level, *_ in info} <= {"info", "warn", "error"}
    assert any(room == "connectivity_state" and TARGET in text for _, room, text, _ in info)
    assert any(level == "debug" and room == "subchannel" for level, room, *_ in debug)
    assert {thread for *_, thread in info + debug} == {"linkspan-log"}
    assert (after, stderr) == (0, "")


def test_a_logger_that_raises_loses_its_lines_only_and_is_told_of_once():
    lines, stderr = run("""
heard = Heard()
def raising(*line):
    heard(*line)
    raise ValueError("the logger's own")
linkspan.set_logger(raising, "debug")
fail_to_connect()
assert heard.closed.wait(30)
print(json.dumps(heard.lines))
""")
    assert len(lines) > 1
    assert stderr.count("The logger raised") == 1 and "the logger's own" in stderr


def test_the_bridge_gives_lines_to_logging_by_room_and_level():
    (records, loaded), _ = run("""
loaded = "logging" in sys.modules
import logging
records, closed = [], threading.Event()
class Handler(logging.Handler):
    def emit(self, record):
        records.append((record.name, record.levelname, record.getMessage()))
        if "SHUTDOWN" in record.getMessage():
            closed.set()
logging.getLogger("linkspan").addHandler(Handler())
logging.getLogger("linkspan").setLevel(logging.DEBUG)
linkspan.logging_bridge("debug")
fail_to_connect()
assert closed.wait(30)
print(json.dumps([records, loaded]))
""")
    assert not loaded
    assert any(name == "linkspan.connectivity_state" and level == "INFO" for name, level, _ in records)
    assert any(name == "linkspan.subchannel" and level == "DEBUG" for name, level, _ in records)


def test_a_forked_child_goes_on_with_its_parents_logger():
    lines, _ = run("""
import os
heard = Heard()
linkspan.set_logger(heard)
fail_to_connect()
assert heard.closed.wait(30)
heard.lines.clear()
heard.closed.clear()
child = os.fork()
if child == 0:
    fail_to_connect()
    os._exit(0 if heard.closed.wait(30) else 1)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
""")
    assert lines == 0


def test_bad_loggers_and_levels_are_refused():
    refusals, _ = run("""
refusals = []
for arguments in [(5,), (print, "loud"), (print, 3)]:
    try:
        linkspan.set_logger(*arguments)
    except (TypeError, ValueError) as error:
        refusals.append(f"{type(error).__name__}: {error}")
print(json.dumps(refusals))
""")
    assert len(refusals) == 3 and refusals[1].startswith("ValueError: a log level is one of error, warn, info, debug, trace")
