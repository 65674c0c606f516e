"""What is told of each cause, held in a file that people read: the name, then code, peer and text."""

import dataclasses
import pathlib

from causes import words

FILE = pathlib.Path(__file__).parent / "golden" / "native.txt"
# The caller's own words are its language's.
OWN_WORDS = ("cancelled_by_the_caller",)


@dataclasses.dataclass(frozen=True)
class Told:
    code: str
    peer: str
    text: str
    # None where the language does not say it beside the text.
    unprocessed: bool = dataclasses.field(default=None, compare=False)

    @classmethod
    def of(cls, answer, names):
        """From a parity program's answer; a case it did not come to is told with nothing."""
        peer, text = (words.masked(answer.get(field) or "", names) for field in ("peer", "text"))
        return cls(answer.get("kind_or_code", ""), peer, text, answer.get("unprocessed"))


def missing(row, told):
    """What a reader of the text would miss, or be told wrongly."""
    if told.code != row.case.kind_or_code:
        yield f"{told.code}, expected {row.case.kind_or_code}: {told.text}"
    for wanted in (*row.addresses, *row.words):
        if wanted not in told.text:
            yield f"the text does not contain {wanted!r}: {told.text}"
    if words.phase(told.text) != row.phase:
        yield f"the text tells the phase {words.phase(told.text)}, expected {row.phase}: {told.text}"
    if words.sent(told.text) != row.sent:
        yield f"the text tells that it was {words.sent(told.text)}, expected {row.sent}: {told.text}"
    if told.unprocessed is not None and row.sent is not None and told.unprocessed != (row.sent != "sent"):
        yield f"beside the text it is told as {'not processed' if told.unprocessed else 'processed'}: {told.text}"


def differences(wanted, said, left_out=()):
    for name in {**wanted, **said}:
        if name in left_out:
            continue
        if name not in said or name not in wanted:
            yield f"{name} is only in the {'golden texts' if name in wanted else 'table'}"
        elif said[name] != wanted[name] and (name not in OWN_WORDS or said[name].code != wanted[name].code):
            yield f"{name} differs:\n    golden {wanted[name]}\n    told   {said[name]}"


def write(said):
    lines = []
    for name, told in said.items():
        text = "(the caller's own words)" if name in OWN_WORDS else told.text
        lines += [name, f"  {told.code}", f"  {told.peer}" if told.peer else "  no peer", f"  {text}", ""]
    FILE.write_text("\n".join(lines), encoding="utf-8")


def read():
    told = {}
    for entry in FILE.read_text(encoding="utf-8").split("\n\n"):
        name, code, peer, text = (line.strip() for line in entry.strip().split("\n"))
        told[name] = Told(code, "" if peer == "no peer" else peer, text)
    return told
