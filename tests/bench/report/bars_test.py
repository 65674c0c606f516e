"""The bars: met, missed, or without figures and why."""

import unittest

from bench.report.bars import verdicts
from bench.report.sample import a_run, series, steady, unary


def judged(*all_series):
    _, results = a_run(*all_series)
    return list(verdicts(results))


class Bars(unittest.TestCase):
    def test_a_ratio_within_the_limit_is_ok_and_above_it_is_missed(self):
        for cpu_us, word in ((6.0, "ok"), (9.0, "missed")):
            (verdict,) = judged(unary("core-loop", cpu_us), unary("h2", 5.0))
            self.assertEqual(verdict.word, word)
            self.assertAlmostEqual(verdict.measured, cpu_us / 5)

    def test_a_figure_of_its_own_needs_no_reference(self):
        (verdict,) = judged(series("server_stream", "linkspan-blocking", [steady(2.5)]))
        self.assertEqual((verdict.word, round(verdict.measured, 3)), ("ok", 2.5))

    def test_memory_is_a_difference_in_bytes(self):
        for kib, word in ((26, "ok"), (28, "missed")):
            rounds = [steady(1, operations=500, bytes=500 * kib * 1024)]
            h2 = series("memory", "h2", [steady(1, operations=500, bytes=500 * 21 * 1024)])
            (verdict,) = judged(series("memory", "core-loop", rounds), h2)
            self.assertEqual(verdict.word, word)

    def test_the_main_thread_and_the_process_are_two_bars(self):
        ours = series("unary", "linkspan-grpc-js", [steady(30, main_thread_s=0.02)], {"in_flight": 10})
        theirs = series("unary", "grpc-js", [steady(100, main_thread_s=0.05)], {"in_flight": 10})
        self.assertEqual([(verdict.bar.figure, verdict.word) for verdict in judged(ours, theirs)],
                         [("main_us", "missed"), ("cpu_us", "ok")])

    def test_without_figures_it_says_why(self):
        for broken, why in (({"absent": "not installed"}, "not installed"), ({"failed": "crashed"}, "crashed")):
            (verdict,) = judged(unary("c-queue", 5), unary("c-core", **broken))
            self.assertEqual((verdict.word, verdict.reason), ("–", f"c-core: {why}"))

    def test_what_was_not_planned_is_no_bar_of_this_run(self):
        self.assertEqual(judged(unary("core-loop", 5)), [])
