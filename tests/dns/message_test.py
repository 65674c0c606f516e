"""Messages against bytes from RFC 1035's rules, written by hand."""

import unittest

from dns import message

QUERY = bytes.fromhex("abcd 0100 0001 0000 0000 0000") + b"\x03Svc\x07example\0" + bytes.fromhex("0001 0001")


class Messages(unittest.TestCase):
    def test_a_question_is_read_in_small_letters(self):
        self.assertEqual(message.read(QUERY), message.Question(0xABCD, "svc.example", message.A))

    def test_an_answer_repeats_the_question_and_points_at_its_name(self):
        packet = message.answer(message.read(QUERY), values=["10.0.0.1"], ttl=7)
        self.assertEqual(packet[:12], bytes.fromhex("abcd 8180 0001 0001 0000 0000"))
        self.assertEqual(packet[12 : len(QUERY)], QUERY[12:].lower())
        self.assertEqual(packet[len(QUERY) :], bytes.fromhex("c00c 0001 0001 00000007 0004 0a000001"))

    def test_codes_and_truncation_are_flags(self):
        packet = message.answer(message.read(QUERY), code=message.NO_SUCH_NAME, is_truncated=True)
        self.assertEqual(packet[2:4], bytes.fromhex("8383"))

    def test_long_texts_are_cut_into_strings(self):
        question = message.Question(1, "a", message.TXT)
        packet = message.answer(question, values=["x" * 300])
        self.assertTrue(packet.endswith(bytes([255]) + b"x" * 255 + bytes([45]) + b"x" * 45))


if __name__ == "__main__":
    unittest.main()
