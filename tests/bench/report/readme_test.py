"""The README's block: rewritten in its place, or not at all."""

import unittest

from bench.report import readme
from bench.report.sample import FACTS, a_run, series, steady, unary

TEXT = f"# title\n{readme.BEGIN}\nold\n{readme.END}\nthe rest\n"


class Rewriting(unittest.TestCase):
    def setUp(self):
        _, self.results = a_run(
            unary("core-loop", 5), unary("tonic", 10), unary("c-queue", 6), unary("c-core", absent="not installed"),
            series("unary_1mib", "linkspan-blocking", [steady(490)]), series("unary_1mib", "grpcio-blocking", [steady(980)]),
        )

    def rewritten(self, text):
        return readme.rewritten(text, self.results, FACTS, "make bench-full")

    def test_only_the_block_changes(self):
        text = self.rewritten(TEXT)
        self.assertTrue(text.startswith(f"# title\n{readme.BEGIN}\n"))
        self.assertTrue(text.endswith(f"\n{readme.END}\nthe rest\n"))
        self.assertNotIn("old", text)
        self.assertEqual(self.rewritten(text), text)

    def test_rows_have_both_figures_and_their_ratio(self):
        text = self.rewritten(TEXT)
        self.assertIn("| Rust | unary call, 16 in flight | 5.00 µs | tonic 10.0 µs | **0.50** |", text)
        self.assertIn("| Python, blocking | unary call of 1 MiB | 0.49 ms | grpcio 0.98 ms | **0.50** |", text)

    def test_what_was_not_measured_has_no_figure(self):
        self.assertIn("| C | unary call, 16 in flight | 6.00 µs | C-core from C++ – | – |", self.rewritten(TEXT))

    def test_machine_date_commit_and_command_are_told(self):
        self.assertIn("a machine; server on core 0, clients in turns on core 1; 2030-01-01, commit abc", self.rewritten(TEXT))
        self.assertIn("`make bench-full`", self.rewritten(TEXT))

    def test_without_both_markers_in_order_it_says_so(self):
        for text in ("# title\n", f"{readme.BEGIN}\n", f"{readme.END}\n{readme.BEGIN}\n"):
            with self.assertRaisesRegex(readme.NoMarkers, "bench:begin"):
                self.rewritten(text)
