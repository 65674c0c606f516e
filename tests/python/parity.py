"""What linkspan's Python face says in the situations of a cases file, one JSON line per case; tests/parity compares.

    .tools/venv/bin/python tests/python/parity.py FILE

It uses `linkspan.connect`, the face that speaks linkspan's own words, and says what core said: what Python adds
around a text is left out.
"""

import json
import signal
import sys

import linkspan

HANG_GUARD_SECONDS = 120
CLOSED = "@closed "

OPTION_TYPES = {"i": int, "b": lambda text: text == "true", "s": str, "f": float}


def main(arguments):
    if len(arguments) != 1:
        print("usage: parity.py FILE", file=sys.stderr)
        return 2
    signal.alarm(HANG_GUARD_SECONDS)
    with open(arguments[0], encoding="utf-8") as cases:
        for line in cases:
            if line.strip():
                print(json.dumps(answer(*line.rstrip("\n").split("\t")), ensure_ascii=False), flush=True)
    return 0


def answer(case, target, method, timeout_ms, request_hex, options):
    """What happened, in the fields of tests/parity."""
    is_closed = target.startswith(CLOSED)
    try:
        channel = linkspan.connect(
            target.removeprefix(CLOSED),
            credentials=linkspan.insecure_channel_credentials(),
            options=[option(text) for text in options.split()],
        )
    except (TypeError, ValueError, OverflowError) as error:
        return said(case, "create", error.kind, str(error))
    with channel:
        if is_closed:
            channel.close()
        timeout = None if timeout_ms == "-" else int(timeout_ms) / 1000
        how = outcome(channel, method, bytes.fromhex(request_hex), timeout)
        return said(case, *how, channel.metrics()["state"], list(map(str, channel.events())))


def outcome(channel, method, request, timeout):
    """Where the error shows, its kind or code, and its text."""
    try:
        channel.unary_unary(method)(request, timeout=timeout)
    except linkspan.RpcError as error:
        return "status", error.code().name, error.details()
    except (TypeError, ValueError) as error:
        return "call", error.kind, str(error)
    return "", "OK", ""


def option(text):
    key, _, value = text.partition("=")
    kind, _, value = value.partition(":")
    return key, OPTION_TYPES[kind](value)


def said(case, error_at, kind_or_code, text, final_state="", events=()):
    return {
        "case": case,
        "error_at": error_at,
        "kind_or_code": kind_or_code,
        "text": text,
        "final_state": final_state,
        "events": list(events),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
