"""The JSON of a run: every round is in it, and what came out of them."""

import json
import unittest

from bench.report.record import as_json
from bench.report.sample import FACTS, a_run, unary


class Record(unittest.TestCase):
    def test_rounds_figures_ratios_and_bars_are_kept(self):
        plan, results = a_run(unary("core-loop", 6, 5, 7), unary("h2", 5, 5, 5), unary("tonic", 9, failed="crashed"))
        results.greetings["h2"] = {"client": "h2", "version": "0.4"}
        kept = json.loads(as_json(plan, results, FACTS))
        ours, h2, tonic = kept["results"]
        self.assertEqual([len(each["rounds"]) for each in kept["results"]], [3, 3, 1])
        self.assertEqual(ours["command"], {"workload": "unary", "size": 64, "in_flight": 16})
        self.assertEqual((ours["median"]["cpu_us"], ours["spread"]["cpu_us"]), (6, [5, 7]))
        self.assertEqual(ours["ratio"]["h2"]["cpu_us"], 1.2)
        self.assertEqual((tonic["failed"], tonic["median"]), ("crashed", {}))
        self.assertEqual([bar["verdict"] for bar in kept["bars"]], ["ok", "–"])
        self.assertEqual(kept["clients"]["tonic"]["label"], "tonic")
        self.assertEqual(kept["facts"], FACTS)
