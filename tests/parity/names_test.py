"""Status codes and connectivity states have the same names and numbers in core, header, Python and Node.

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

    def test_every_entry_of_the_option_registry_is_read(self):
        keys = re.findall(r'^ {4,8}(?:\w+\()?"((?:grpc|linkspan)\.[^"]*)"', sources.registry_table(), re.MULTILINE)
        self.assertEqual(list(sources.registry()), keys)
        self.assertIn("linkspan.preset", sources.registry())
