"""The judgement of counts; counting itself is what the suite `budget` does."""

import unittest

from bench.budget import judged


def counts(**instructions):
    return {"rustc": "rustc 1", "instructions": instructions}


class Judgement(unittest.TestCase):
    def test_a_count_within_the_tolerance_is_kept(self):
        for now in (951, 1000, 1049):
            self.assertTrue(judged(counts(call=now), counts(call=1000))[1], now)

    def test_a_count_that_grew_or_shrank_fails_and_says_what_to_do(self):
        for now in (1051, 949):
            lines, is_kept = judged(counts(call=now), counts(call=1000))
            self.assertFalse(is_kept, now)
            self.assertIn("--record", lines[0])

    def test_a_program_without_a_record_fails(self):
        self.assertFalse(judged(counts(call=1, new=1), counts(call=1))[1])

    def test_a_pick_that_costs_more_between_more_addresses_fails_even_if_it_is_on_record(self):
        for many, is_fine in ((105, True), (106, False)):
            picks = {"picks::round_robin::of_10": 100, "picks::round_robin::of_1000": many}
            self.assertEqual(judged(counts(**picks), counts(**picks))[1], is_fine, many)

    def test_another_compiler_is_told(self):
        lines, _ = judged({**counts(call=1), "rustc": "rustc 2"}, counts(call=1))
        self.assertIn("rustc 2", lines[0])
