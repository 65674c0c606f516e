"""The entry: what is refused before anything runs, and what decides the exit code."""

import contextlib
import io
import os
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

from bench import run
from bench.report import readme
from bench.report.sample import a_run, unary


class Arguments(unittest.TestCase):
    def parsed(self, *arguments):
        with unittest.mock.patch.object(sys, "argv", ["run.py", *arguments]):
            return run.parsed()

    def refusal(self, *arguments):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as raised:
            self.parsed(*arguments)
        self.assertEqual(raised.exception.code, 2)
        return said.getvalue()

    def test_names_are_split_and_checked(self):
        self.assertEqual(self.parsed("quick", "--only", "h2,tonic").only, ("h2", "tonic"))
        self.assertIn("'h3' is none of", self.refusal("quick", "--only", "h3"))
        self.assertIn("'unry' is none of", self.refusal("quick", "--workloads", "unry"))

    def test_no_rounds_and_no_window_are_refused(self):
        self.assertIn("--rounds", self.refusal("quick", "--rounds", "0"))
        self.assertIn("--seconds", self.refusal("quick", "--seconds", "-1"))

    def test_the_readme_needs_a_full_run(self):
        for arguments in (["bench"], ["full", "--only", "h2"], ["full", "--workloads", "unary"], ["full", "--rounds", "2"]):
            self.assertIn("--readme needs", self.refusal(*arguments, "--readme"))

    def test_a_readme_without_markers_is_told_before_the_run(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "README.md"
            with unittest.mock.patch.object(readme, "README", path):
                path.write_text("# title\n")
                self.assertIn(readme.BEGIN, self.refusal("full", "--readme"))
                path.write_text(f"{readme.BEGIN}\n{readme.END}\n")
                self.assertTrue(self.parsed("full", "--readme").readme)


class ExitCode(unittest.TestCase):
    def verdict(self, *series, **environment):
        with unittest.mock.patch.dict(os.environ, {"LINKSPAN_REQUIRE_PEERS": "", **environment}):
            with contextlib.redirect_stderr(io.StringIO()) as said:
                return run.verdict(a_run(*series)[1]), said.getvalue()

    def test_a_missed_bar_is_no_failure(self):
        self.assertEqual(self.verdict(unary("core-loop", 50), unary("h2", 5))[0], 0)

    def test_a_client_that_failed_is_told_and_fails_the_run(self):
        code, said = self.verdict(unary("h2", 5), unary("tonic", failed="wrong bytes"))
        self.assertEqual(code, 1)
        self.assertIn("failed: tonic in unary@16: wrong bytes", said)

    def test_a_client_that_is_missing_fails_the_run_where_peers_are_required(self):
        gone = unary("tonic", absent="not built")
        with unittest.mock.patch.object(type(gone.client), "missing", "not built"):
            self.assertEqual(self.verdict(gone)[0], 0)
            code, said = self.verdict(gone, LINKSPAN_REQUIRE_PEERS="1")
        self.assertEqual(code, 1)
        self.assertIn("tonic: not built", said)

    def test_a_package_the_system_does_not_have_is_no_failure_even_there(self):
        gone = unary("c-core", absent="not installed")
        with unittest.mock.patch.object(type(gone.client), "missing", "not installed"):
            self.assertEqual(self.verdict(gone, LINKSPAN_REQUIRE_PEERS="1")[0], 0)

    def test_what_a_client_cannot_do_is_no_failure_even_there(self):
        each = unary("h2", absent="no balancing here")
        with unittest.mock.patch.object(type(each.client), "missing", None):
            self.assertEqual(self.verdict(each, LINKSPAN_REQUIRE_PEERS="1")[0], 0)
