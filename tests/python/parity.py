"""What linkspan's Python face says in the situations of a cases file, one JSON line per case; tests/parity compares.

    .tools/venv/bin/python tests/python/parity.py FILE

It uses `linkspan.connect`, the face that speaks linkspan's own words, and says what core said: what Python adds
around a text is left out.
"""

import json
import pathlib
import signal
import sys
import time

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


def answer(case, target, method, timeout_ms, request_hex, options, how):
    """What happened, in the fields of tests/parity."""
    is_closed = target.startswith(CLOSED)
    how = dict((*word.split("=", 1), True)[:2] for word in how.split())
    try:
        channel = linkspan.connect(
            target.removeprefix(CLOSED),
            credentials=credentials(how),
            options=[option(text) for text in options.split()],
        )
    except (TypeError, ValueError, OverflowError) as error:
        return said(case, "create", error.kind, str(error))
    with channel:
        if is_closed:
            channel.close()
        timeout = None if timeout_ms == "-" else int(timeout_ms) / 1000
        request = bytes(int(how["request_size"])) if "request_size" in how else bytes.fromhex(request_hex)
        told = outcome(channel, method, request, timeout, how)
        return said(case, *told, final_state=channel.metrics()["state"], events=list(map(str, channel.events())))


def outcome(channel, method, request, timeout, how):
    """Where the error shows, its kind or code, its text, whether the call was not processed, and the server's address."""
    metadata = [("k", "v")] * int(how.get("metadata", 0))
    patience = {"metadata": metadata, "wait_for_ready": "wait_for_ready" in how or None}
    try:
        begin = channel.unary_unary(method).future
        for _ in range(int(how.get("earlier", 0))):
            begin(request, timeout=timeout, **patience).exception()
        # They go on beside the call that is told.
        _beside = [begin(request, **patience) for _ in range(int(how.get("beside", 0)))]
        wait_for_file(how.get("start_once"))
        call = begin(request, timeout=timeout, **patience)
        if wait_for_file(how.get("cancel_once")):
            call.cancel()
        if wait_for_file(how.get("close_once")):
            channel.close()
        if call.code() is linkspan.StatusCode.OK:
            return "", "OK", ""
        return "status", call.code().name, call.details(), not call.sent, call.peer or ""
    except (TypeError, ValueError) as error:
        return "call", error.kind, str(error)


def credentials(how):
    if "roots" not in how:
        return linkspan.insecure_channel_credentials()
    roots, key, certificate = (how.get(name) and pathlib.Path(how[name]).read_bytes() for name in ("roots", "key", "certificate"))
    return linkspan.ssl_channel_credentials(roots, key, certificate)


def wait_for_file(path):
    """Whether there is one to wait for."""
    while path and not pathlib.Path(path).exists():
        time.sleep(0.001)
    return bool(path)


def option(text):
    key, _, value = text.partition("=")
    kind, _, value = value.partition(":")
    return key, OPTION_TYPES[kind](value)


def said(case, error_at, kind_or_code, text, unprocessed=None, peer="", final_state="", events=()):
    return {
        "case": case,
        "error_at": error_at,
        "kind_or_code": kind_or_code,
        "text": text,
        "unprocessed": unprocessed,
        "peer": peer,
        "final_state": final_state,
        "events": list(events),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
