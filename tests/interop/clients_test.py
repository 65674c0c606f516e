"""What an interop program said is taken for what it is: nothing that was left out counts as passed."""

import unittest

from interop import cases, http2, servers
from interop.clients import judged


class Judging(unittest.TestCase):
    def test_every_case_with_every_face_must_pass(self):
        said = judged("ok a (x)\nok a (y)\n2 passed, 0 failed\n", 0, ["a"], 2)
        self.assertEqual((said.passed, said.failures), (2, []))

    def test_a_failure_is_told_with_its_words(self):
        said = judged("ok a\nFAILED b: no\n", 1, ["a", "b"], 1)
        self.assertEqual((said.passed, said.failures), (1, ["b: no"]))

    def test_a_case_without_an_outcome_fails_whatever_the_exit_code_says(self):
        self.assertEqual(judged("ok a\n", 1, ["a", "b"], 1).failures, ["b: 0 outcomes instead of 1"])
        self.assertIn("b: 0 outcomes instead of 1", judged("ok a\n", 0, ["a", "b"], 1).failures)

    def test_an_exit_code_without_a_failure_is_one(self):
        self.assertIn("exit code 3", judged("ok a\n", 3, ["a"], 1).failures[0])


class Registry(unittest.TestCase):
    def test_every_case_has_a_server_that_serves_it(self):
        for case in cases.ALL:
            self.assertTrue(any(case not in server.lacks for server in servers.SERVERS), case)

    def test_what_a_server_lacks_is_said_once_for_each_reason(self):
        server = servers.Server("made up", None, {"empty_unary": "no", "large_unary": "no", "ping_pong": "never"})
        self.assertEqual(server.told_lacks, "empty_unary, large_unary (no); ping_pong (never)")
        with self.assertRaises(ValueError):
            servers.Server("made up", None, {"no_such_case": "no"})


class Http2(unittest.TestCase):
    def test_what_the_server_saw_is_held_to_the_case(self):
        pinged = {"streams": 1, "pings_sent": 4, "pings_answered": 4, "most_streams": 1}
        self.assertEqual(list(http2.wrong("ping", [pinged], 1)), [])
        self.assertEqual(list(http2.wrong("ping", [{**pinged, "pings_answered": 3}], 1)), ["3 of 4 PINGs were answered"])
        self.assertEqual(list(http2.wrong("max_streams", [{**pinged, "most_streams": 2}], 1)), ["2 streams at once"])
        self.assertEqual(len(list(http2.wrong("goaway", [pinged], 1))), 1)
        self.assertEqual(list(http2.wrong("goaway", [pinged, pinged, {**pinged, "streams": 0}], 1)), [])
