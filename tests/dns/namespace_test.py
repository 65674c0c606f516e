"""Why there is no namespace, in words whatever the program said."""

import unittest

from dns import namespace


class Refusals(unittest.TestCase):
    def test_a_program_that_succeeds_refuses_nothing(self):
        self.assertIsNone(namespace.refusal(("true",)))

    def test_the_last_line_of_a_failure_is_its_reason(self):
        self.assertEqual(namespace.refusal(("sh", "-c", "echo Traceback >&2; echo not permitted >&2; exit 1")), "not permitted")

    def test_a_failure_without_words_is_one_too(self):
        self.assertEqual(namespace.refusal(("sh", "-c", "exit 3")), "sh ended with exit code 3")

    def test_a_program_that_is_not_there_is_named(self):
        self.assertIn("no-such-program", namespace.refusal(("no-such-program",)))


if __name__ == "__main__":
    unittest.main()
