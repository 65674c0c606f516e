"""Medians, spreads and ratios: made of rounds, never of anything else."""

import unittest

from bench.report.sample import series, steady, unary
from bench.report.summary import Results


class Figures(unittest.TestCase):
    def test_the_median_of_the_rounds_and_their_ends(self):
        mine = unary("h2", 5, 9, 4)
        self.assertAlmostEqual(mine.median("cpu_us"), 5)
        self.assertEqual([round(end, 6) for end in mine.spread("cpu_us")], [4, 9])
        self.assertAlmostEqual(mine.median("wall_us"), 500)
        self.assertAlmostEqual(mine.median("per_s"), 2000)

    def test_a_ratio_is_made_in_each_round_before_the_median_is_taken(self):
        # The machine got slower and slower, for both alike; the ratio of the medians would be 10 / 8.
        mine, other = unary("core-loop", 2, 10, 60), unary("h2", 1, 8, 30)
        self.assertAlmostEqual(mine.ratio(other, "cpu_us"), 2)
        self.assertAlmostEqual(mine.difference(other, "cpu_us"), 2)

    def test_the_main_thread_is_a_figure_of_those_who_tell_it(self):
        node = series("ping_pong", "grpc-js", [steady(100, main_thread_s=0.05)])
        self.assertAlmostEqual(node.median("main_us"), 50)
        self.assertIsNone(series("ping_pong", "h2", [steady(5)]).median("main_us"))

    def test_start_is_both_parts_together(self):
        mine = series("start", "grpc-js", [{"import_s": 0.03, "first_call_s": 0.02, "user_s": 0.01, "system_s": 0.02}])
        self.assertAlmostEqual(mine.median("start_ms"), 50)
        self.assertAlmostEqual(mine.median("start_cpu_ms"), 30)

    def test_memory_is_per_channel(self):
        mine = series("memory", "h2", [steady(1, operations=500, bytes=500 * 2048)])
        self.assertAlmostEqual(mine.median("bytes"), 2048)

    def test_quiet_channels_cost_cpu_per_second(self):
        quiet = {"operations": 10_000, "wall_s": 2, "user_s": 0.003, "system_s": 0.001, "bytes": 1, "open_s": 1}
        self.assertAlmostEqual(series("idle", "h2", [quiet]).median("cpu_share_us"), 2000)

    def test_what_failed_or_is_absent_has_no_figure_and_no_ratio(self):
        for broken in (unary("h2", 5, failed="crashed"), unary("h2", 5, absent="not here"), unary("h2")):
            self.assertIsNone(broken.median("cpu_us"))
            self.assertIsNone(broken.spread("cpu_us"))
            self.assertIsNone(unary("core-loop", 5).ratio(broken, "cpu_us"))

    def test_no_ratio_to_nothing(self):
        self.assertIsNone(unary("core-loop", 5).ratio(unary("h2", 0), "cpu_us"))
        self.assertIsNone(unary("core-loop", 5).ratio(None, "cpu_us"))


class References(unittest.TestCase):
    def test_only_those_of_the_same_cell_that_were_measured(self):
        mine = unary("core-loop", 5)
        results = Results([mine, unary("h2", 4, in_flight=1), unary("tonic", 9)])
        self.assertEqual([each.client.name for each in results.references(mine)], ["tonic"])
