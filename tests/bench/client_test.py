"""A client process: what it says becomes an answer or a reason, and it never outlives its use."""

import os
import sys
import textwrap
import unittest

from bench.client import ClientProcess, Failed, Unsupported, checked

GREETING = '{"client": "fake", "version": "1"}'
# Longer than any of this takes; the test of silence has its own.
GUARD_SECONDS = 60


def client(script, core=None):
    """A client that greets and then runs the script, which has `commands` and `say`."""
    program = f"""
import json, os, sys
def say(text):
    print(text, flush=True)
commands = map(json.loads, sys.stdin)
say({GREETING!r})
""" + textwrap.dedent(script)
    process = ClientProcess([sys.executable, "-c", program], core)
    process.answer(GUARD_SECONDS)
    return process


class Answers(unittest.TestCase):
    def failure(self, script, guard_seconds=GUARD_SECONDS):
        """Why the first command has no result, and whether the client still runs."""
        with client(script) as process:
            with self.assertRaises(Failed) as raised:
                process.ask({"workload": "unary"}, guard_seconds)
            return str(raised.exception), process.is_running

    def test_one_answer_per_command(self):
        with client("for command in commands: say(json.dumps({'operations': command['size'] + 1}))") as process:
            for size in (1, 2):
                self.assertEqual(process.ask({"size": size}, GUARD_SECONDS), {"operations": size + 1})

    def test_unsupported_is_told_apart_and_leaves_the_client_running(self):
        with client("for _ in commands: say('{\"unsupported\": \"no balancing here\"}')") as process:
            for _ in range(2):
                with self.assertRaisesRegex(Unsupported, "no balancing here"):
                    process.ask({"workload": "pick"}, GUARD_SECONDS)

    def test_an_error_is_a_failure_that_leaves_the_client_running(self):
        text, is_running = self.failure("for _ in commands: say('{\"error\": \"3 bytes instead of 64\"}')")
        self.assertEqual(text, "3 bytes instead of 64")
        self.assertTrue(is_running)

    def test_a_crash_is_told_with_the_end_of_what_was_written_to_standard_error(self):
        text, is_running = self.failure("next(commands); print('what went wrong', file=sys.stderr); os._exit(3)")
        self.assertEqual(text, "ended with exit code 3: what went wrong")
        self.assertFalse(is_running)

    def test_a_client_that_has_ended_before_it_is_asked_is_a_crash_too(self):
        with client("os._exit(3)") as process:
            with self.assertRaisesRegex(Failed, "exit code 3"):
                process.answer(GUARD_SECONDS)
            self.assertFalse(process.is_running)

    def test_silence_ends_with_the_guard_and_the_client_with_it(self):
        text, is_running = self.failure("list(commands)", guard_seconds=0.05)
        self.assertIn("no answer within 0.05 s", text)
        self.assertFalse(is_running)

    def test_a_line_that_is_no_answer_ends_the_client(self):
        for line in ("hello", "[1]", "{"):
            text, is_running = self.failure(f"next(commands); say({line!r}); list(commands)")
            self.assertIn(f"said what is no answer: {line}", text)
            self.assertFalse(is_running)

    def test_a_program_that_does_not_exist_is_a_failure(self):
        with self.assertRaisesRegex(Failed, "cannot be started"):
            ClientProcess(["target/no-such-client"])

    @unittest.skipUnless(hasattr(os, "sched_getaffinity"), "this system cannot pin processes")
    def test_the_client_and_its_first_thread_are_on_the_core_from_the_start(self):
        core = max(os.sched_getaffinity(0))
        with client("for _ in commands: say(json.dumps({'cores': list(os.sched_getaffinity(0))}))", core) as process:
            self.assertEqual(process.ask({}, GUARD_SECONDS), {"cores": [core]})


class Results(unittest.TestCase):
    FIELDS = ("operations", "wall_s", "user_s", "system_s")
    GOOD = {"operations": 10, "wall_s": 0.5, "user_s": 0.1, "system_s": 0}

    def test_a_full_answer_is_a_result(self):
        self.assertEqual(checked(self.GOOD, self.FIELDS), self.GOOD)

    def test_what_lacks_a_figure_or_did_nothing_is_none(self):
        for broken in (
            {"user_s": None}, {"user_s": "0.1"}, {"user_s": -0.1}, {"user_s": float("nan")}, {"operations": True},
            {"operations": 0}, {"wall_s": 0},
        ):
            with self.subTest(broken), self.assertRaisesRegex(Failed, next(iter(broken))):
                checked({**self.GOOD, **broken}, self.FIELDS)

    def test_a_missing_figure_is_named(self):
        with self.assertRaisesRegex(Failed, "bytes"):
            checked(self.GOOD, (*self.FIELDS, "bytes"))
