"""The table: every client has a row, and a row without figures says why."""

import unittest

from bench.report.sample import FACTS, a_run, series, steady, unary
from bench.report.table import table
from bench.report.text import number


def shown(*all_series, **facts):
    return table(*a_run(*all_series), {**FACTS, **facts})


def row(text, start):
    return next(line for line in text.splitlines() if line.strip().startswith(start))


class Table(unittest.TestCase):
    def test_a_row_has_the_figures_and_the_ratios_to_the_references(self):
        text = shown(unary("h2", 5, 4, 6), unary("core-loop", 6, 5, 7), unary("tonic", 10, 10, 10))
        self.assertEqual(row(text, "bare h2").split()[2:], ["5.00", "4.00–6.00", "500", "2,000"])
        self.assertTrue(row(text, "linkspan core").endswith("1.20 × bare h2, 0.60 × tonic"))
        self.assertIn("Rust, 16 in flight", text)

    def test_node_shows_its_main_thread(self):
        ours = series("ping_pong", "linkspan-native", [steady(20, main_thread_s=0.01)])
        theirs = series("ping_pong", "grpc-js", [steady(100, main_thread_s=0.1)])
        self.assertTrue(row(shown(ours, theirs), "linkspan, its own calls").endswith("0.20 × grpc-js (main thread 0.10)"))

    def test_who_is_absent_or_failed_has_no_figure_but_a_reason_and_equal_reasons_share_a_note(self):
        text = shown(
            unary("h2", 5), unary("core-loop", absent="not built"), unary("core-queue", absent="not built"),
            unary("tonic", 9, failed="wrong bytes"),
        )
        self.assertEqual(row(text, "linkspan core, caller on the loop").split()[-2:], ["–", "[1]"])
        self.assertEqual(row(text, "linkspan core, caller on a thread").split()[-2:], ["–", "[1]"])
        self.assertEqual(row(text, "tonic").split(), ["tonic", "failed", "[2]"])
        self.assertEqual(row(text, "[1]").strip(), "[1] not built")
        self.assertEqual(row(text, "[2]").strip(), "[2] wrong bytes")
        self.assertNotIn("9.00", text)

    def test_every_kind_of_workload_has_a_block(self):
        quiet = {"operations": 10, "wall_s": 2, "user_s": 0.001, "system_s": 0, "bytes": 20480, "open_s": 0.001}
        text = shown(
            series("start", "grpc-js", [{"import_s": 0.03, "first_call_s": 0.02, "user_s": 0.01, "system_s": 0.02}]),
            series("memory", "h2", [steady(1, operations=10, bytes=215040)]),
            series("idle", "h2", [quiet]),
        )
        self.assertEqual(row(text, "grpc-js").split()[1:], ["50.0", "50.0–50.0", "30.0", "20.0", "30.0"])
        memory, idle = (line.split()[2:] for line in text.splitlines() if line.startswith("  bare h2"))
        self.assertEqual(memory[:2], ["21.0", "21.0–21.0"])
        self.assertEqual(idle, ["500", "500–500", "2.00", "100"])

    def test_lines_fit_and_end_without_spaces(self):
        text = shown(unary("core-loop", 1234567, 7654321), unary("h2", 1234567, 7654321), unary("tonic", 1e6, 1e7))
        for line in text.splitlines():
            self.assertLessEqual(len(line), 140)
            self.assertEqual(line, line.rstrip())

    def test_the_head_says_where_and_what(self):
        text = shown(unary("h2", 5), warnings=["a trial, no measurement"])
        for words in ("quick: 5 rounds", "a machine, 2030-01-01, commit abc", "core 0", "grpcio 1.2", "a trial"):
            self.assertIn(words, text)

    def test_the_bars_are_counted(self):
        text = shown(unary("core-loop", 6), unary("h2", 5), unary("tonic", absent="not built"))
        self.assertIn("1 ok, 0 missed, 1 without figures", text)
        self.assertRegex(text, r"ok +unary@16 +core-loop / h2 +CPU +1\.200 × +≤ 1\.500 ×")
        self.assertRegex(text, r"– +unary@16 +core-loop / tonic +CPU +≤ 0\.850 × +tonic: not built")


class Numbers(unittest.TestCase):
    def test_three_digits_that_mean_something(self):
        for value, text in ((0.004, "0.00"), (4.714, "4.71"), (9.996, "10.0"), (99.96, "100"), (4711.2, "4,711"), (None, "")):
            self.assertEqual(number(value), text)
