"""The exit code tells what came of the scenarios."""

import argparse
import types
import unittest

from faults.playing import Missing, play

HOW = argparse.Namespace(long=False, keep=False)


def played(run):
    return play(types.SimpleNamespace(NAME="a scenario", run=run), HOW, {})


class Playing(unittest.TestCase):
    def test_a_scenario_passes_fails_or_is_left_out(self):
        def is_missing(findings, is_long):
            raise Missing("the balancer is not installed")

        def breaks(findings, is_long):
            raise TimeoutError("no answer")

        self.assertEqual(played(lambda findings, is_long: None), 0)
        self.assertEqual(played(lambda findings, is_long: findings.must(False, "a call failed")), 1)
        self.assertEqual(played(breaks), 1)
        self.assertEqual(played(is_missing), 77)
