"""The turns, with made-up clients: their order, and that one client's failure is its own."""

import pathlib
import sys
import tempfile
import unittest

from bench.clients import Client
from bench.plan import Plan
from bench.turns import take_turns
from bench.workloads import WORKLOADS, Cell

# Greets, notes each command in the common log, and answers with what `answer` makes of the command and its number.
PROGRAM = """
import json, os, sys
log, name = sys.argv[1:3]
def note(text):
    with open(log, "a") as file: file.write(text + "\\n")
def good(**more):
    return {"operations": 10, "wall_s": 1, "user_s": 0.5, "system_s": 0.5, **more}
if "--start" in sys.argv:
    note(f"{name} start")
    print(json.dumps({"import_s": 1, "first_call_s": 1, "user_s": 1, "system_s": 1}))
    sys.exit()
note(f"{name} greets")
print(json.dumps({"client": name, "version": "1"}), flush=True)
for number, line in enumerate(sys.stdin):
    command = json.loads(line)
    note(f"{name} {command['workload']}")
    print(json.dumps(ANSWER), flush=True)
"""


class Server:
    arguments = ["--echo", "nowhere"]
    has_ended = False


class Silent:
    def show(self, *_):
        pass

    def done(self):
        pass


class Turns(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = pathlib.Path(folder.name) / "log"

    def client(self, name, answer="good()", **settings):
        command = (sys.executable, "-c", PROGRAM.replace("ANSWER", answer), str(self.log), name)
        return Client(name, name, "Made up", command, **settings)

    def take(self, *cells, rounds=2):
        cells = tuple(Cell(WORKLOADS[workload], {}, clients) for workload, clients in cells)
        return take_turns(Plan("test", rounds, 0.01, cells), self.server, None, Silent())

    server = Server()

    def said(self):
        return self.log.read_text().splitlines()

    def test_in_every_round_each_client_has_its_turn_in_each_cell_after_a_warm_up(self):
        a, b = self.client("a"), self.client("b")
        results = self.take(("ping_pong", (a, b)), ("blast", (a, b)))
        one_round = ["a ping_pong", "b ping_pong", "a blast", "b blast"]
        self.assertEqual([line for line in self.said() if "greets" not in line], one_round * 3)
        self.assertEqual(len(results.series("blast", "b").rounds), 2)

    def test_a_client_stays_for_all_its_steady_turns_and_is_new_for_each_of_the_others(self):
        answer = "good(bytes=1)"
        a = self.client("a", answer)
        self.take(("ping_pong", (a,)), ("memory", (a,)), ("start", (a,)))
        said = self.said()
        self.assertEqual(said.count("a greets"), 1 + 2)
        self.assertEqual(said.count("a start"), 3)

    def test_what_it_cannot_do_is_told_and_not_asked_again(self):
        a = self.client("a", '{"unsupported": "one thread only"}')
        results = self.take(("ping_pong", (a,)))
        self.assertEqual(results.series("ping_pong", "a").absent, "one thread only")
        self.assertEqual(self.said().count("a ping_pong"), 1)
        self.assertEqual(results.failures, [])

    def test_an_error_ends_this_workload_only(self):
        a = self.client("a", '{"error": "wrong bytes"} if command["workload"] == "blast" else good()')
        b = self.client("b")
        results = self.take(("blast", (a, b)), ("ping_pong", (a,)))
        self.assertEqual([series.failed for series in results.failures], ["wrong bytes"])
        self.assertTrue(results.series("blast", "b").is_measured)
        self.assertEqual(len(results.series("ping_pong", "a").rounds), 2)

    def test_an_error_in_a_later_round_leaves_no_figure(self):
        a = self.client("a", 'good() if number < 2 else {"error": "too late"}')
        series = self.take(("blast", (a,))).series("blast", "a")
        self.assertFalse(series.is_measured)
        self.assertEqual(series.values("cpu_us"), [])

    def test_after_a_crash_the_next_workload_has_a_new_process(self):
        a = self.client("a", 'os._exit(9) if command["workload"] == "blast" else good()')
        results = self.take(("blast", (a,)), ("ping_pong", (a,)))
        self.assertIn("exit code 9", results.series("blast", "a").failed)
        self.assertEqual(len(results.series("ping_pong", "a").rounds), 2)

    def test_a_client_that_does_not_start_fails_in_all_its_workloads(self):
        broken = Client("broken", "broken", "Made up", (sys.executable, "-c", "raise SystemExit('no module')"))
        results = self.take(("blast", (broken,)), ("ping_pong", (broken,)))
        for series in results:
            self.assertIn("no module", series.failed)

    def test_a_client_that_is_missing_is_absent_with_its_reason(self):
        missing = self.client("missing", needs=(("no/such/file", "is not installed"),))
        results = self.take(("blast", (missing,)))
        self.assertEqual(results.series("blast", "missing").absent, "is not installed")
        self.assertEqual(results.missing_clients, {"missing": "is not installed"})

    def test_an_answer_without_figures_is_a_failure(self):
        a = self.client("a", '{"operations": 3}')
        self.assertIn("wall_s", self.take(("blast", (a,))).series("blast", "a").failed)

    def test_the_end_of_the_server_ends_the_run(self):
        self.server = Server()
        self.server.has_ended = True
        a = self.client("a", '{"error": "connection refused"}')
        with self.assertRaisesRegex(SystemExit, "the echo server ended"):
            self.take(("blast", (a,)))
