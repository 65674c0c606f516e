"""What of a text is evened out, what is read from it, and what the table would not let pass."""

import unittest

from causes import golden, words
from causes.golden import Told
from causes.table import Row
from parity.cases import Case

NAMES = {4001: "SERVER"}
TEXT = "deadline exceeded; phase wait; on 127.0.0.1:4001; sent"
ROW = Row(Case("a_cause", "ipv4:127.0.0.1:4001", "status", "DEADLINE_EXCEEDED", ""), (), "wait", "sent", ("SERVER",), ("deadline",))


def told(text=TEXT, code="DEADLINE_EXCEEDED", unprocessed=False):
    return Told.of({"kind_or_code": code, "text": text, "unprocessed": unprocessed}, NAMES)


class Masking(unittest.TestCase):
    def test_known_ports_are_names_and_longer_numbers_are_not(self):
        self.assertEqual(words.masked("on 127.0.0.1:4001; 127.0.0.1:40010", NAMES), "on SERVER; 127.0.0.1:40010")

    def test_times_are_evened_out_and_sizes_stay(self):
        self.assertEqual(words.masked("1.5 ms, 20 s, 1764180000 (UNIX), 9 vs. 4, os error 111", NAMES), "<time>, <time>, <time>, 9 vs. 4, os error 111")

    def test_what_the_system_says_of_a_name_is_evened_out_up_to_the_next_part(self):
        text = "DNS resolution failed for a.invalid:1: no such name; servers: 1.2.3.4; phase resolve; not sent"
        self.assertEqual(words.masked(text, NAMES), "DNS resolution failed for a.invalid:1: <cause>; phase resolve; not sent")


class Reading(unittest.TestCase):
    def test_phase_and_what_was_sent_are_read_from_the_trail(self):
        self.assertEqual((words.phase(TEXT), words.sent(TEXT)), ("wait", "sent"))
        self.assertEqual(words.sent("x; phase send; not sent"), "not sent")
        self.assertEqual(words.sent("x; phase wait; not processed by the server"), "refused")
        self.assertEqual((words.phase("lost the race"), words.sent("lost the race")), (None, None))


class Missing(unittest.TestCase):
    def test_a_text_with_everything_misses_nothing(self):
        self.assertEqual(list(golden.missing(ROW, told())), [])

    def test_each_thing_that_is_missing_or_wrong_is_found(self):
        for wrong in (
            told(code="UNAVAILABLE"),
            told(TEXT.replace("on 127.0.0.1:4001; ", "")),
            told(TEXT.replace("deadline", "time")),
            told(TEXT.replace("phase wait", "phase send")),
            told(TEXT.replace("; sent", "; not sent")),
            told(unprocessed=True),
        ):
            self.assertEqual(len(list(golden.missing(ROW, wrong))), 1, wrong)

    def test_a_language_that_says_something_else_differs(self):
        wanted = {"a_cause": told(), "other": told()}
        self.assertEqual(list(golden.differences(wanted, dict(wanted))), [])
        self.assertEqual(len(list(golden.differences(wanted, {**wanted, "other": told("else")}))), 1)
        self.assertEqual(len(list(golden.differences(wanted, {"a_cause": told()}))), 1)
        self.assertEqual(list(golden.differences(wanted, {"a_cause": told()}, left_out={"other"})), [])
