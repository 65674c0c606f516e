"""Status codes and connectivity states have the same names and numbers in core, header, Python and Node; metrics the same names.

Option keys are compared at run time: every language must refuse a wrong type for every key (cases.py).
"""

import re
import unittest

from parity import sources


class Names(unittest.TestCase):
    def test_status_codes(self):
        codes = sources.core_codes()
        self.assertEqual(len(codes), 17)
        self.assertEqual(sources.header_constants("CODE"), codes)
        self.assertEqual(sources.python_enum("StatusCode"), codes)
        self.assertEqual(sources.node_constant("Code"), codes)

    def test_connectivity_states(self):
        states = sources.core_states()
        self.assertEqual(len(states), 5)
        self.assertEqual(sources.header_constants("STATE"), states)
        self.assertEqual(sources.python_enum("ChannelConnectivity"), states)
        self.assertEqual(sources.node_constant("State"), states)

    def test_every_number_of_a_channel_is_shown_by_every_language(self):
        numbers = sources.core_channel_metrics()
        self.assertIn("calls_queued", numbers)
        # Python and Node keep what is counted of calls together, without the word before each name.
        nested = {number.removeprefix("calls_") for number in numbers} | {"calls"}
        self.assertEqual(sources.python_metrics(), nested)
        # `delivery` is Node's own: how its thread is woken.
        self.assertEqual(sources.node_metrics(), {camel_case(name) for name in nested} | {"delivery"})
        in_dump = {camel_case(number.replace("by_code", "calls_by_code")) for number in numbers}
        self.assertEqual(in_dump - sources.dump_keys(), set())

    def test_every_entry_of_the_option_registry_is_read(self):
        keys = re.findall(r'^ {4,8}(?:\w+\()?"((?:grpc|linkspan)\.[^"]*)"', sources.registry_table(), re.MULTILINE)
        self.assertEqual(list(sources.registry()), keys)
        self.assertIn("linkspan.preset", sources.registry())


def camel_case(name):
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
