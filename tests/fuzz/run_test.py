"""The fuzzers' runner: what libFuzzer tells becomes figures, and every target is one."""

import tomllib
import unittest

from fuzz import run

TOLD = """INFO: Seed: 1181643731
#2	INITED cov: 16 ft: 16 corp: 1/1b exec/s: 0 rss: 32Mb
#209	NEW    cov: 19 ft: 19 corp: 2/6b lim: 6 exec/s: 0 rss: 34Mb L: 5/5 MS: 2 ChangeByte-InsertRepeatedBytes-
#1382189	DONE   cov: 1903 ft: 2019 corp: 2/6b lim: 4096 exec/s: 153576 rss: 143Mb
Done 1382189 runs in 9 second(s)
stat::number_of_executed_units: 1382189
stat::average_exec_per_sec:     153576
stat::peak_rss_mb:              143
"""


class Figures(unittest.TestCase):
    def test_the_end_of_a_run_is_told_in_figures(self):
        figures = run.figures("target", TOLD, 0)
        wanted = {"target": "target", "seconds": 9, "executions": 1_382_189, "edges": 1903, "peak_mb": 143, "findings": 0}
        self.assertEqual(figures, wanted)
        self.assertIn("1,382,189 executions", run.line(figures))
        self.assertTrue(run.line(figures).endswith("nothing found"))

    def test_a_run_that_was_cut_off_has_its_findings(self):
        figures = run.figures("target", "==7== ERROR: libFuzzer: deadly signal\n", 1)
        self.assertEqual((figures["seconds"], figures["executions"]), (0, 0))
        self.assertTrue(run.line(figures).endswith("1 FOUND"))


class Targets(unittest.TestCase):
    def test_each_has_seeds(self):
        self.assertEqual(run.targets(), sorted(path.name for path in (run.FUZZ / "seeds").iterdir()))

    def test_their_versions_are_held_for_what_core_needs_today(self):
        def read(path):
            return tomllib.loads(path.read_text())

        def is_optional(needs):
            return isinstance(needs, dict) and needs.get("optional", False)

        needed = {name for name, needs in read(run.ROOT / "core/Cargo.toml")["dependencies"].items() if not is_optional(needs)}
        held = {package["name"]: package for package in read(run.FUZZ / "Cargo.lock")["package"]}
        self.assertEqual(needed, set(held["linkspan-core"]["dependencies"]), "run cargo update --workspace in core/fuzz")


if __name__ == "__main__":
    unittest.main()
