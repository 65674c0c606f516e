"""The judge of the demo: a good client passes, and each thing it should not see is found."""

import unittest

from demo.record import Plan, Record
from demo.verdict import complaints

KILLED_AT, RESTARTED_AT = 2000, 5000
MOVING = Plan("mover", (), ("server-1", "server-2", "server-3"))


def change(time, before, after, cause="because"):
    return {"t": time, "kind": "state", "from": before, "to": after, "cause": cause}


def totals(time, ok):
    return {"t": time, "kind": "calls", "ok": ok, "failed": 0, "servers": {}}


def failure(time, code="UNAVAILABLE"):
    return {"t": time, "kind": "error", "code": code, "text": "connection reset"}


def good_record():
    """A client that was on server-1, lost one call to the kill and went on at server-2."""
    record = Record(MOVING, exit_code=0)
    for event in (
        change(10, "IDLE", "CONNECTING"),
        change(20, "CONNECTING", "READY"),
        totals(1900, 100),
        change(2001, "READY", "IDLE"),
        failure(2002),
        change(2003, "IDLE", "CONNECTING"),
        change(2004, "CONNECTING", "READY"),
        totals(4900, 200),
        totals(9000, 300),
    ):
        record.add(event)
    record.done = {"ok": 300, "failed": 1, "servers": {"server-1": 100, "server-2": 200}}
    return record


class Verdict(unittest.TestCase):
    def found(self, record):
        return complaints(record, KILLED_AT, RESTARTED_AT)

    def assert_found(self, record, words):
        found = self.found(record)
        self.assertTrue(any(words in complaint for complaint in found), f"{words!r} is not among {found}")

    def test_a_client_that_moved_to_the_second_server_is_fine(self):
        self.assertEqual(self.found(good_record()), [])

    def test_a_client_that_waited_for_its_only_server_is_fine(self):
        record = good_record()
        record.plan = Plan("waiter", (), ("server-1",), waits=True)
        record.done["servers"] = {"server-1": 300}
        self.assertEqual(self.found(record), [])

    def test_a_client_that_died_is_found(self):
        record = good_record()
        record.exit_code = -11
        self.assert_found(record, "exit code -11")

    def test_another_status_than_unavailable_is_found(self):
        record = good_record()
        record.errors[0]["code"] = "INTERNAL"
        self.assert_found(record, "INTERNAL")

    def test_a_failure_after_the_restart_is_found(self):
        record = good_record()
        record.errors[0]["t"] = RESTARTED_AT + 1
        self.assert_found(record, "while no server was down")

    def test_more_failures_than_calls_in_flight_are_found(self):
        record = good_record()
        record.errors *= 5
        record.done["failed"] = 5
        self.assert_found(record, "more than the 4")

    def test_failures_told_differ_from_failures_counted(self):
        record = good_record()
        record.done["failed"] = 2
        self.assert_found(record, "counted 2 failed calls but told of 1")

    def test_a_channel_that_stayed_ready_is_found(self):
        record = good_record()
        record.states[2:] = [change(9000, "READY", "SHUTDOWN", "the channel was closed")]
        self.assert_found(record, "did not notice the kill")

    def test_a_channel_that_did_not_come_back_is_found(self):
        record = good_record()
        del record.states[-1]
        self.assert_found(record, "did not become READY again")

    def test_a_gap_in_the_told_states_is_found(self):
        record = good_record()
        del record.states[3]
        self.assert_found(record, "although the channel was IDLE")

    def test_a_change_without_a_cause_is_found(self):
        record = good_record()
        record.states[0]["cause"] = ""
        self.assert_found(record, "without its cause")

    def test_calls_to_a_server_whose_turn_it_was_not_are_found(self):
        record = good_record()
        record.done["servers"] = {"server-1": 100, "server-2": 199, "server-3": 1}
        self.assert_found(record, "server-3")

    def test_no_call_to_the_second_server_is_found(self):
        record = good_record()
        record.done["servers"] = {"server-1": 300}
        self.assert_found(record, "no call went to server-2")

    def test_no_good_call_after_the_restart_is_found(self):
        record = good_record()
        record.calls.pop()
        record.done.update(ok=200, servers={"server-1": 100, "server-2": 100})
        self.assert_found(record, "no good call after the restart")

    def test_a_line_that_is_no_event_is_found(self):
        record = good_record()
        record.add({"kind": "garbage", "line": "hello"})
        self.assert_found(record, "no event")
