"""Figures complain in a long run only, facts always."""

import unittest

from faults.figures import Findings
from faults.restart import most_in_a_second


def findings(holds_figures):
    found = Findings("a scenario", holds_figures)
    found.figure("good", 1, 2, "s")
    found.figure("only told", 100)
    return found


class Judging(unittest.TestCase):
    def test_within_its_bar_all_is_well(self):
        found = findings(holds_figures=True)
        self.assertTrue(found.is_good)
        self.assertEqual(list(found.lines()), ["a scenario: good: 1 s (bar 2)", "a scenario: only told: 100"])

    def test_a_figure_over_its_bar_counts_in_a_long_run_only(self):
        for holds, is_good in ((True, False), (False, True)):
            found = findings(holds)
            found.figure("slow", 3, 2, "s")
            self.assertEqual(found.is_good, is_good)

    def test_a_fact_counts_always(self):
        found = findings(holds_figures=False)
        found.must(True, "all is well")
        self.assertTrue(found.is_good)
        found.must(False, "a call failed")
        self.assertFalse(found.is_good)
        self.assertEqual(list(found.lines())[-1], "a scenario: NOT GOOD: a call failed")


class Counting(unittest.TestCase):
    def test_the_fullest_second_need_not_begin_with_one(self):
        self.assertEqual(most_in_a_second([0, 900, 1000, 1500, 1899, 2500]), 4)
