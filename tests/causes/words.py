"""What a text must say, and what of it differs from run to run."""

import re

# Durations with a unit, also until or since a certificate is good, and the clock's time.
_DURATION = re.compile(r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s|seconds|minutes|hours|days)\b")
_UNIX_TIME = re.compile(r"\b\d{9,}\b( \(UNIX\))?")
# What the system says of a name that nobody has depends on who is asked.
_NO_SUCH_NAME = re.compile(r"(DNS resolution failed for [^:]+:\d+: ).*?(?=; phase |; next |; not sent)")

_PHASE = re.compile(r"; phase (\w+)(?:;|$)")
_SENT = {"; not sent": "not sent", "; not processed by the server": "refused", "; sent": "sent"}


def masked(text, names):
    """The text with ports as the names of those who listen there, and times as `<time>`."""
    for port, name in names.items():
        text = re.sub(rf"127\.0\.0\.1:{port}\b", name, text)
    text = _UNIX_TIME.sub("<time>", _DURATION.sub("<time>", text))
    return _NO_SUCH_NAME.sub(r"\1<cause>", text)


def phase(text):
    """Where the call was, as the text tells it; none in a text that is not the engine's."""
    found = _PHASE.search(text)
    return found[1] if found else None


def sent(text):
    """How far the request came, as the text tells it."""
    return next((word for end, word in _SENT.items() if text.endswith(end)), None)
