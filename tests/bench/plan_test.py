"""The plans: who takes part where, that the bars can be measured, and that a mode keeps its time."""

import dataclasses
import unittest
import unittest.mock

from bench import plan
from bench.clients import BY_NAME, CLIENTS
from bench.plan import LEAST_ROUNDS, MODES, make_plan
from bench.report.bars import all_bars
from bench.workloads import WORKLOADS

# As on a machine that has them all.
PRESENT = tuple(dataclasses.replace(client, needs=()) for client in CLIENTS)


def names(cell):
    return {client.name for client in cell.clients}


class Plans(unittest.TestCase):
    def setUp(self):
        everybody = unittest.mock.patch.object(plan, "CLIENTS", PRESENT)
        everybody.start()
        self.addCleanup(everybody.stop)

    def made(self, mode, **settings):
        return make_plan(MODES[mode], **settings)

    def test_every_mode_fits_its_time_with_enough_rounds(self):
        for mode, minutes in (("quick", 1.5), ("bench", 10), ("full", 40)):
            made = self.made(mode)
            self.assertGreaterEqual(made.rounds, LEAST_ROUNDS)
            self.assertLessEqual(made.minutes, minutes)
            self.assertGreater(made.seconds, plan.SHORTEST_WINDOW)

    def test_a_trial_has_every_client_and_all_but_the_longest_workload(self):
        made = self.made("trial")
        self.assertEqual({client.name for client in made.clients}, set(BY_NAME))
        self.assertEqual({cell.workload.name for cell in made.cells}, set(WORKLOADS) - {"idle", "idle_keepalive"})

    def test_quick_has_every_client_at_sixteen(self):
        made = self.made("quick")
        self.assertEqual([cell.name for cell in made.cells], ["unary@16", "unary_threads@16"])
        self.assertEqual(names(made.cells[0]) | names(made.cells[1]), set(BY_NAME))

    def test_blocking_clients_have_one_call_in_flight_or_threads(self):
        made = self.made("bench")
        blocking = {"linkspan-blocking", "grpcio-blocking"}
        self.assertEqual(names(made.cell("unary_threads@16")), blocking)
        self.assertLess(blocking, names(made.cell("unary@1")))
        self.assertFalse(blocking & names(made.cell("unary@16")))

    def test_node_has_its_own_numbers_in_flight(self):
        made = self.made("bench")
        node = {"linkspan-native", "linkspan-grpc-js", "grpc-js", "connect-node"}
        for in_flight in (10, 100):
            self.assertEqual(names(made.cell(f"unary@{in_flight}")), node)
        self.assertFalse(node & names(made.cell("unary@128")))

    def test_a_full_run_can_judge_every_bar(self):
        made = self.made("full")
        for bar in all_bars():
            self.assertLessEqual({bar.client, bar.reference or bar.client}, names(made.cell(bar.cell)), bar)

    def test_a_reference_takes_its_turn_near_the_client_it_is_compared_with(self):
        order = [client.name for client in CLIENTS]
        for client in CLIENTS:
            for reference in client.references:
                self.assertLessEqual(abs(order.index(reference) - order.index(client.name)), 3)

    def test_commands_are_those_of_the_protocol(self):
        made = self.made("full", seconds=0.5)
        self.assertEqual(
            made.cell("unary@16").command(made.seconds),
            {"workload": "unary", "size": 64, "in_flight": 16, "warmup_s": 0.1, "seconds": 0.5},
        )
        self.assertEqual(made.cell("memory").command(made.seconds), {"workload": "memory", "channels": 500})
        self.assertEqual(made.cell("idle").command(made.seconds)["seconds"], 3)
        kept_alive = made.cell("idle_keepalive").command(made.seconds)
        self.assertEqual((kept_alive["workload"], kept_alive["keepalive_s"]), ("idle", 10))

    def test_idle_has_fewer_rounds_and_only_what_gets_faster_warms_up(self):
        made = self.made("full")
        self.assertEqual(made.rounds_of(made.cell("idle")), 3)
        self.assertEqual(made.rounds_of(made.cell("memory")), made.rounds)
        cold = {cell.name for cell in made.cells if not plan.warms_up(cell)}
        self.assertEqual(cold, {"memory", "idle", "idle_keepalive"})

    def test_javascript_is_warmed_up_longer(self):
        made = self.made("quick", seconds=0.5)
        windows = [made.window(round_number, BY_NAME[name]) for name in ("grpc-js", "h2") for round_number in (0, 1)]
        self.assertEqual(windows, [plan.NODE_WARMUP_WINDOW, 0.5, 0.5, 0.5])

    def test_a_choice_of_clients_and_workloads_leaves_the_others_out(self):
        made = self.made("full", only=("h2", "core-loop"), workloads=("unary", "start"))
        self.assertEqual([cell.name for cell in made.cells], ["unary@1", "unary@16", "unary@128"])
        self.assertEqual([client.name for client in made.clients], ["h2", "core-loop"])

    def test_a_client_that_is_missing_stays_in_the_plan_and_takes_no_time(self):
        everybody = self.made("quick", seconds=0.5)
        gone = tuple(dataclasses.replace(client, needs=(("no/such", "gone"),)) for client in PRESENT)
        with unittest.mock.patch.object(plan, "CLIENTS", gone):
            nobody = self.made("quick", seconds=0.5)
        self.assertEqual(len(nobody.clients), len(everybody.clients))
        self.assertEqual(nobody.minutes, 0)
