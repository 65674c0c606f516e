"""How a deploy is judged: by the p99 of before, and by what the servers counted."""

import unittest

from faults.deploys import CALLS_PER_SECOND, judge_caller, judge_servers
from faults.figures import Findings
from faults.history import History


def complaints(judge, *arguments):
    found = Findings("deploys", True)
    judge(found, *arguments)
    return [line for line in found.lines() if "NOT GOOD" in line]


def told(*seconds):
    """The history of calls that took so many milliseconds, second by second."""
    history = History()
    for number, took in enumerate(seconds):
        for _ in range(CALLS_PER_SECOND):
            history.add({"kind": "call", "t": number * 1000, "ended": number * 1000 + took, "code": "OK", "text": ""})
    return history


class Callers(unittest.TestCase):
    def judged(self, *seconds):
        return complaints(judge_caller, "title", told(*seconds))

    def test_three_times_the_p99_of_before_is_the_bar_and_starting_up_does_not_count(self):
        self.assertEqual(self.judged(500, 20, 60, 60), [])
        self.assertEqual(
            self.judged(500, 20, 61, 61), ["deploys: NOT GOOD: title: p99 afterwards: 61.0 ms, more than 60.0"]
        )

    def test_a_few_milliseconds_are_as_good_as_one(self):
        self.assertEqual(self.judged(1, 1, 10), [])
        self.assertEqual(len(self.judged(1, 1, 11)), 1)


class Counted:
    """A server that counted this."""

    def __init__(self, call_ids, goaways=(0, "max_age"), repeated=()):
        connections = [{"goaways": [list(goaways)]}] * 2
        self._counts = {"call_ids": call_ids, "connections": connections, "repeated": dict.fromkeys(repeated, 2)}

    def counts(self):
        return self._counts


class Servers(unittest.TestCase):
    def judged(self, *servers, made=10):
        return complaints(judge_servers, servers, made)

    def test_each_call_is_to_reach_one_server(self):
        self.assertEqual(self.judged(Counted(4), Counted(6)), [])
        self.assertRegex(self.judged(Counted(5), Counted(6))[0], "10 calls were made, and servers took on 11")

    def test_no_call_is_to_reach_a_server_twice(self):
        self.assertRegex(self.judged(Counted(10, repeated=["1-2"]))[0], "ran twice")

    def test_a_drain_for_a_restart_is_none_for_age(self):
        self.assertRegex(self.judged(Counted(10, goaways=(0, "graceful")))[0], "0 connections were drained for their age")
