"""The comparer: what may differ is evened out, everything else is a difference."""

import unittest

from parity.cases import Case, cases
from parity.compare import differences, normalised, surprises

KNOWN_PORTS = {4001}
CASE = Case("refused", "ipv4:127.0.0.1:4001", "status", "UNAVAILABLE", "TRANSIENT_FAILURE", ("refused",))
GOOD = {
    "error_at": "status",
    "kind_or_code": "UNAVAILABLE",
    "text": "connection refused",
    "final_state": "TRANSIENT_FAILURE",
    "events": ["IDLE → CONNECTING: a call was started"],
}


class Normalising(unittest.TestCase):
    def test_durations_ids_and_ports_of_our_own_end_are_evened_out(self):
        first = "call 12: waited 1.5 ms on connection 3 from 127.0.0.1:50001; next attempt in 2s"
        second = "call 7: waited 30 us on connection 1 from 127.0.0.1:50002; next attempt in 930ms"
        self.assertEqual(normalised(first, KNOWN_PORTS), normalised(second, KNOWN_PORTS))

    def test_the_port_of_a_peer_stays(self):
        self.assertEqual(normalised("127.0.0.1:4001: refused", KNOWN_PORTS), "127.0.0.1:4001: refused")

    def test_numbers_that_say_something_stay(self):
        text = "received message larger than max (1007 vs. 10), os error 111, attempt 2"
        self.assertEqual(normalised(text, KNOWN_PORTS), text)


class Comparing(unittest.TestCase):
    def test_equal_answers_have_no_difference(self):
        self.assertEqual(differences({"rust": GOOD, "c": dict(GOOD)}, KNOWN_PORTS), {})

    def test_each_field_that_differs_is_named_with_both_values(self):
        for field in GOOD:
            other = {**GOOD, field: ["other"] if field == "events" else "other"}
            found = differences({"rust": GOOD, "c": other}, KNOWN_PORTS)
            self.assertEqual(list(found), [field])
            self.assertEqual(found[field]["c"], "other")

    def test_a_language_that_did_not_answer_differs_in_everything(self):
        self.assertEqual(set(differences({"rust": GOOD, "c": {}}, KNOWN_PORTS)), set(GOOD))


    def test_no_text_is_allowed_only_for_a_refused_call(self):
        refused = {**GOOD, "error_at": "call", "text": None}
        self.assertEqual(differences({"rust": {**GOOD, "error_at": "call"}, "c": refused}, KNOWN_PORTS), {})
        self.assertEqual(list(differences({"rust": GOOD, "c": {**GOOD, "text": None}}, KNOWN_PORTS)), ["text"])


class Expecting(unittest.TestCase):
    def test_the_expected_answer_is_no_surprise(self):
        self.assertEqual(list(surprises(CASE, GOOD)), [])

    def test_the_same_wrong_answer_everywhere_is_still_wrong(self):
        wrong = {"error_at": "call", "kind_or_code": "INTERNAL", "final_state": "READY", "text": "no"}
        for field, value in wrong.items():
            self.assertEqual(len(list(surprises(CASE, {**GOOD, field: value}))), 1, field)

    def test_a_channel_that_told_no_event_is_a_surprise(self):
        self.assertEqual(len(list(surprises(CASE, {**GOOD, "events": []}))), 1)


class Cases(unittest.TestCase):
    def test_names_are_unique_and_lines_have_seven_fields(self):
        every = cases("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5")
        self.assertEqual(len({case.name for case in every}), len(every))
        for case in every:
            self.assertEqual(case.line().count("\t"), 6, case.name)
