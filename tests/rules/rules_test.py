"""The coverage tool: what it takes for a rule, for a citation, for a test."""

import pathlib
import tempfile
import unittest

from rules import citations, run, tables


def in_tests(place, text):
    return [citation.rule for citation in citations.of_file(place, text) if citation.is_in_test]


class Tables(unittest.TestCase):
    def read(self, **texts):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                (pathlib.Path(folder) / f"{name}.txt").write_text(text)
            return tables.read_all(pathlib.Path(folder))

    def test_a_rule_is_a_name_a_class_and_words(self):
        rules, problems = self.read(wire="# about\n\nWIRE-1   ours  says hello first\nWIRE-2  later  security: more\n")
        self.assertEqual(problems, [])
        self.assertEqual(rules["WIRE-1"], tables.Rule("WIRE-1", "ours", "says hello first", "wire"))
        self.assertEqual(rules["WIRE-2"].kind, "later")

    def test_what_is_no_rule_and_what_stands_twice_is_told(self):
        _, problems = self.read(a="WIRE-1 ours x\nWIRE-2 mine y\nWIRE-3 ours\n", b="WIRE-1 peer z\n")
        self.assertEqual(
            problems,
            ["not a rule: a, line 2: WIRE-2 mine y", "not a rule: a, line 3: WIRE-3 ours", "listed twice: WIRE-1"],
        )


class Citations(unittest.TestCase):
    def test_in_a_rust_source_only_the_module_of_tests_counts(self):
        text = "/// [CONN-1]\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    /// [CONN-2]\n    #[test]\n    fn t() {}\n}\n"
        self.assertEqual(in_tests("core/src/policy/idle.rs", text), ["CONN-2"])
        everywhere = [citation.rule for citation in citations.of_file("core/src/policy/idle.rs", text)]
        self.assertEqual(everywhere, ["CONN-1", "CONN-2"])

    def test_folders_that_are_made_are_passed_over_and_sources_of_the_same_name_are_not(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for place in ("target/debug/a.rs", "core/src/resolver/target/a.rs", "node_modules/b/src/a.js"):
                (root / place).parent.mkdir(parents=True)
                (root / place).write_text("// [CONN-1]\n")
            found = [citation.place for citation in citations.of_repository(root)]
            self.assertEqual(found, ["core/src/resolver/target/a.rs:1"])

    def test_files_and_folders_of_tests_count_as_a_whole(self):
        for place in ("core/tests/a/b.rs", "core/src/policy/balancer/tests.rs", "tests/c/ending.c"):
            self.assertEqual(in_tests(place, "// [WIRE-7]\n"), ["WIRE-7"], place)

    def test_what_plays_a_server_or_builds_worlds_is_no_test(self):
        for place in ("tests/server/faults/src/server/pings.rs", "core/src/simulation/worlds/backoff.rs"):
            self.assertEqual(in_tests(place, "// [CONN-110]\n"), [], place)
        self.assertEqual(in_tests("core/src/simulation/directed/idle.rs", "// [CONN-10]\n"), ["CONN-10"])

    def test_ranges_and_lists_are_each_of_their_rules(self):
        text = "/// [WIRE-60] to [WIRE-62], [CONN-5]\n"
        self.assertEqual(in_tests("core/tests/a.rs", text), ["WIRE-60", "WIRE-61", "WIRE-62", "CONN-5"])

    def test_python_cites_in_comments_and_docstrings_and_nobody_in_code(self):
        text = '    # [CONN-8]\n    """[CONN-9] is told at once."""\n    x = "[CONN-10]"\n'
        self.assertEqual(in_tests("bindings-python/tests/unit/a_test.py", text), ["CONN-8", "CONN-9"])
        self.assertEqual(in_tests("core/tests/a.rs", 'let x = "[CONN-10]";\n'), [])

    def test_documents_cite_and_test_nothing(self):
        self.assertEqual(in_tests("tests/parity/README.md", "[CONN-1]\n"), [])


class Gaps(unittest.TestCase):
    def test_a_rule_of_ours_without_a_test_and_a_citation_of_no_rule(self):
        rules = {
            name: tables.Rule(name, kind, "words", "wire")
            for name, kind in {"WIRE-1": "ours", "WIRE-2": "ours", "WIRE-3": "later"}.items()
        }
        cited = [
            citations.Citation("WIRE-1", "a:1", True),
            citations.Citation("WIRE-2", "a:2", False),
            citations.Citation("WIRE-9", "a:3", True),
            citations.Citation("NAME-1", "a:4", True),
        ]
        self.assertEqual(
            run.gaps(rules, cited), ["no test: WIRE-2  words", "no such rule: WIRE-9, cited in a:3"]
        )
        self.assertEqual(
            list(run.coverage(rules, cited)), ["wire: 3 rules; 2 ours, 1 with a test; 0 peer, 0 library, 1 later"]
        )


if __name__ == "__main__":
    unittest.main()
