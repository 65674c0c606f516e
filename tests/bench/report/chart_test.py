"""The chart: well-formed, complete, and to scale."""

import unittest
import xml.etree.ElementTree

from bench.report.chart import chart
from bench.report.sample import FACTS, a_run, series, steady, unary

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*all_series):
    """(the texts, the widths of the bars by class)"""
    _, results = a_run(*all_series)
    root = xml.etree.ElementTree.fromstring(chart(results, FACTS))
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    bars = [(bar.get("class"), float(bar.get("width"))) for bar in root.iter(f"{SVG}rect") if bar.get("class") != "back"]
    return texts, bars


class Chart(unittest.TestCase):
    def test_bars_are_as_long_as_what_they_show(self):
        texts, bars = drawn(unary("core-loop", 5), unary("tonic", 10))
        (ours, short), (peer, long) = bars
        self.assertEqual((ours, peer), ("ours", "peer"))
        self.assertAlmostEqual(long, 2 * short, delta=0.2)
        self.assertIn("5.000.50 × tonic", texts)

    def test_every_family_is_drawn_from_what_it_has_at_sixteen_or_near_it(self):
        threads = series("unary_threads", "grpcio-blocking", [steady(100)], {"in_flight": 16})
        texts, bars = drawn(unary("h2", 5), unary("h2", 9, in_flight=1), threads, unary("grpc-js", 110, in_flight=10))
        for title in ("Rust, 16 calls in flight", "Python, 16 threads", "Node, 10 calls in flight"):
            self.assertIn(title, texts)
        self.assertEqual(len(bars), 3)

    def test_what_was_not_measured_is_not_drawn(self):
        texts, _ = drawn(unary("h2", 5), unary("tonic", 9, failed="crashed"))
        self.assertNotIn("tonic", texts)

    def test_there_is_no_chart_of_nothing(self):
        _, results = a_run(unary("h2", 5, failed="crashed"))
        self.assertIsNone(chart(results, FACTS))
