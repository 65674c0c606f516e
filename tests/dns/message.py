"""DNS messages, as far as the tests' name server needs them (RFC 1035 §4): one question in, its answers out."""

import dataclasses
import ipaddress
import struct

A, TXT, AAAA = 1, 16, 28
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME, REFUSED = 0, 2, 3, 5

HEADER = struct.Struct("!HHHHHH")
IS_RESPONSE, IS_TRUNCATED, WANTS_RECURSION, HAS_RECURSION = 0x8000, 0x0200, 0x0100, 0x0080
INTERNET = 1
# Where the question's name begins, for every answer to point at.
NAME_OF_QUESTION = struct.pack("!H", 0xC000 | HEADER.size)
LONGEST_STRING = 255


@dataclasses.dataclass(frozen=True)
class Question:
    number: int
    name: str
    type: int


def read(packet):
    """The question of a packet; names have no dot at their end and small letters."""
    number, _, questions, *_ = HEADER.unpack_from(packet)
    if questions != 1:
        raise ValueError(f"{questions} questions in one message")
    labels, at = [], HEADER.size
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    (kind,) = struct.unpack_from("!H", packet, at + 1)
    return Question(number, ".".join(labels), kind)


def answer(question, code=NO_ERROR, values=(), ttl=60, is_truncated=False):
    """The answer's packet; the values are addresses or texts, as the question's type has them."""
    flags = IS_RESPONSE | WANTS_RECURSION | HAS_RECURSION | code | (IS_TRUNCATED if is_truncated else 0)
    records = [_record(question.type, value, ttl) for value in values]
    labels = [label.encode("ascii") for label in question.name.split(".")]
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = HEADER.pack(question.number, flags, 1, len(records), 0, 0)
    return header + name + struct.pack("!HH", question.type, INTERNET) + b"".join(records)


def _record(kind, value, ttl):
    value = _text(value.encode()) if kind == TXT else ipaddress.ip_address(value).packed
    return NAME_OF_QUESTION + struct.pack("!HHIH", kind, INTERNET, ttl, len(value)) + value


def _text(value):
    parts = [value[at : at + LONGEST_STRING] for at in range(0, len(value), LONGEST_STRING)]
    return b"".join(bytes([len(part)]) + part for part in parts)
