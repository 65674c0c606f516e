"""Compares what the languages said about one case, with each other and with what the case expects."""

import re

FIELDS = ("error_at", "kind_or_code", "text", "final_state", "events")

# What differs from run to run and means nothing: durations, ids, ports the kernel chose for our end.
_DURATION = re.compile(r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s)\b")
_ID = re.compile(r"\b(channel|subchannel|connection|call|stream) #?\d+\b")


def normalised(text, known_ports):
    """The text with what may differ between two runs replaced by its kind."""
    text = _DURATION.sub("<duration>", text)
    text = _ID.sub(r"\1 <id>", text)
    return re.sub(
        r"(127\.0\.0\.1|\[::1\]):(\d+)",
        lambda match: match[0] if int(match[2]) in known_ports else f"{match[1]}:<port>",
        text,
    )


def differences(answers, known_ports):
    """{field: {language: value}} for each field in which the languages' answers (language -> object) are not equal."""
    found = {}
    for field in FIELDS:
        values = {
            language: _value(answer, field, known_ports)
            for language, answer in answers.items()
            if not (field == "text" and _has_no_text(answer))
        }
        if len(set(values.values())) > 1:
            found[field] = values
    return found


def surprises(case, answer):
    """How one answer is not what the case expects."""
    expected = {"error_at": case.error_at, "kind_or_code": case.kind_or_code, "final_state": case.final_state}
    for field, wanted in expected.items():
        if answer.get(field) != wanted:
            yield f"{field} is {answer.get(field)!r}, expected {wanted!r}"
    for words in () if _has_no_text(answer) else case.text_has:
        if words not in answer.get("text", ""):
            yield f"the text does not contain {words!r}: {answer.get('text')!r}"
    if case.error_at == "create" and answer.get("events"):
        yield f"events without a channel: {answer['events']}"
    if case.error_at in ("", "status") and case.final_state != "IDLE" and not answer.get("events"):
        yield "the channel changed its state but told no event"


def _has_no_text(answer):
    """C's call functions answer with a code alone: there the text is null, and only there it may be."""
    return answer.get("error_at") == "call" and "text" in answer and answer["text"] is None


def _value(answer, field, known_ports):
    value = answer.get(field)
    if isinstance(value, list):
        value = "\n".join(map(str, value))
    return normalised(value, known_ports) if isinstance(value, str) else repr(value)
