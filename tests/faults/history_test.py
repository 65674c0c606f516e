"""What the scenarios ask of a caller's history."""

import threading
import unittest

from faults.history import History


def call(started, ended, code="OK"):
    return {"kind": "call", "t": started, "ended": ended, "code": code, "text": "" if code == "OK" else f"it is {code}"}


def history(*lines):
    told = History()
    for line in lines:
        told.add(line)
    return told


class Questions(unittest.TestCase):
    def test_good_and_failed_calls_are_told_apart(self):
        told = history(call(10, 20), call(11, 30, "UNAVAILABLE"), call(40, 50))
        self.assertEqual(told.good_since(0), 2)
        self.assertEqual(told.good_since(11), 1)
        self.assertEqual([each.code for each in told.failed], ["UNAVAILABLE"])
        self.assertEqual(told.first_good_since(21), 50)
        self.assertIsNone(told.first_good_since(51))

    def test_words_are_found_wherever_they_were_said(self):
        told = history(
            call(1, 2, "UNAVAILABLE"), {"kind": "state", "text": "it is so"}, {"kind": "log", "text": "it is logged"}
        )
        self.assertEqual(told.says("it is"), ["it is UNAVAILABLE", "it is so", "it is logged"])
        self.assertEqual(told.says("nothing"), [])

    def test_what_is_no_event_is_kept_apart(self):
        self.assertEqual(history({"line": "oops"}).garbage, [{"line": "oops"}])


class Waiting(unittest.TestCase):
    def test_it_ends_with_the_event(self):
        told = history()
        later = threading.Thread(target=told.add, args=(call(1, 2),))
        later.start()
        told.wait_until(lambda each: each.good_since(0) == 1, "a call")
        later.join()

    def test_a_caller_that_ended_is_not_waited_for(self):
        told = history(call(1, 2, "INTERNAL"))
        told.end(1)
        with self.assertRaisesRegex(TimeoutError, "(?s)more calls.*it is INTERNAL"):
            told.wait_until(lambda each: each.good_since(0), "more calls")
