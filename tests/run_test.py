"""The runner: exit codes become outcomes, nothing is passed over in silence, nothing is left running."""

import contextlib
import io
import os
import pathlib
import select
import tempfile
import unittest
import unittest.mock

import run
from suites import Suite


def outcome_of(script, **settings):
    """What one suite, a shell script, comes to; with the text that was shown."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        ((_, outcome),) = run.run_all([Suite("made-up", ("sh", "-c", script), **settings)])
    return outcome, shown.getvalue()


def has_ended(process, guard_seconds=30):
    """Waits for the end of a process that is not our child."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    with os.fdopen(handle) as ended:
        return bool(select.select([ended], [], [], guard_seconds)[0])


class Outcomes(unittest.TestCase):
    def setUp(self):
        environment = unittest.mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop("LINKSPAN_REQUIRE_PEERS", None)

    def test_exit_code_zero_passes(self):
        self.assertEqual(outcome_of("true")[0], "passed")

    def test_another_exit_code_fails_and_shows_the_output(self):
        outcome, shown = outcome_of("echo what went wrong; exit 3")
        self.assertEqual(outcome, "failed")
        self.assertIn("what went wrong", shown)

    def test_exit_code_77_skips_and_shows_the_reason(self):
        outcome, shown = outcome_of("echo there is no valgrind; exit 77")
        self.assertEqual(outcome, "skipped")
        self.assertIn("there is no valgrind", shown)

    def test_a_suite_that_passes_still_shows_what_it_left_out(self):
        outcome, shown = outcome_of("echo ok one; echo skipped: two, there is no valgrind; echo '# skipped 0'")
        self.assertEqual(outcome, "passed")
        self.assertIn("skipped: two", shown)
        self.assertNotIn("ok one", shown)
        self.assertNotIn("# skipped 0", shown)

    def test_a_missing_tool_skips_and_names_it(self):
        outcome, shown = outcome_of("true", needs=(("no/such/tool", "comes with the moon"),))
        self.assertEqual(outcome, "skipped")
        self.assertIn("no/such/tool is missing: comes with the moon", shown)

    def test_a_skip_is_a_failure_where_peers_are_required(self):
        os.environ["LINKSPAN_REQUIRE_PEERS"] = "1"
        self.assertEqual(outcome_of("exit 77")[0], "failed")

    def test_what_the_kernel_forbids_is_shown_and_no_failure_even_there(self):
        os.environ["LINKSPAN_REQUIRE_PEERS"] = "1"
        outcome, shown = outcome_of("echo no network namespaces; exit 78")
        self.assertEqual(outcome, "forbidden")
        self.assertIn("no network namespaces", shown)

    def test_a_command_that_does_not_exist_fails(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(run.run_all([Suite("made-up", ("no-such-command",))]), [("made-up", "failed")])

    def test_a_suite_does_not_see_the_machines_proxies_for_grpc_and_sees_those_for_downloads(self):
        os.environ.update({"grpc_proxy": "http://a", "no_grpc_proxy": "b", "GRPC_ADDRESS_HTTP_PROXY": "c", "http_proxy": "http://d"})
        script = 'test "$grpc_proxy$no_grpc_proxy${GRPC_ADDRESS_HTTP_PROXY-unset} $http_proxy" = "unset http://d" && test "${grpc_proxy+set}" = set'
        self.assertEqual(outcome_of(script)[0], "passed")

    def test_a_failed_foundation_ends_the_run(self):
        foundation = Suite("foundation", ("false",), is_foundation=True)
        with contextlib.redirect_stdout(io.StringIO()):
            outcomes = run.run_all([foundation, Suite("later", ("true",))])
        self.assertEqual(outcomes, [("foundation", "failed")])

    def test_a_suite_that_hangs_is_ended_with_all_it_started(self):
        with tempfile.TemporaryDirectory() as folder:
            child = pathlib.Path(folder) / "child"
            outcome, shown = outcome_of(f"sleep 600 & echo $! > {child}; wait", guard_minutes=1 / 60)
            self.assertEqual(outcome, "failed")
            self.assertIn("hang guard", shown)
            self.assertTrue(has_ended(int(child.read_text())))

    def test_what_a_suite_leaves_behind_is_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            child = pathlib.Path(folder) / "child"
            self.assertEqual(outcome_of(f"sleep 600 > /dev/null & echo $! > {child}")[0], "passed")
            self.assertTrue(has_ended(int(child.read_text())))


class Summary(unittest.TestCase):
    def test_the_last_line_counts_and_failures_decide_the_exit_code(self):
        for outcomes, last_line, code in (
            ([("a", "passed"), ("b", "passed")], "2 passed, 0 failed", 0),
            ([("a", "passed"), ("b", "failed")], "1 passed, 1 failed", 1),
            ([("a", "passed"), ("b", "skipped")], "1 passed, 0 failed", 0),
        ):
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                self.assertEqual(run.report(outcomes), code)
            self.assertEqual(shown.getvalue().splitlines()[-1], last_line)
