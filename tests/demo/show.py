"""How the demo looks: one readable line per happening, coloured on a terminal only."""

import os
import sys

STATE_COLOURS = {"READY": 32, "CONNECTING": 33, "IDLE": 36, "TRANSIENT_FAILURE": 31, "SHUTDOWN": 35}
NAME_WIDTH = 16


def _coloured():
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text, *codes):
    return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if _coloured() else text


def line(seconds, who, text):
    print(f"{paint(f'{seconds:5.1f} s', 2)}  {paint(who.ljust(NAME_WIDTH), 1)} {text}", flush=True)


def stage(seconds, text):
    print(f"{paint(f'{seconds:5.1f} s', 2)}  {paint(f'=== {text} ===', 1, 35)}", flush=True)


def state_change(seconds, client, event):
    states = f"{_state(event['from'])} → {_state(event['to'])}"
    # The padding counts what is seen, not the colour codes.
    padding = " " * max(1, 32 - len(f"{event['from']} → {event['to']}"))
    # A cause that names the address needs it only once.
    address = event.get("address") or ""
    suffix = f" [{address}]" if address and address not in event["cause"] else ""
    line(seconds, client, f"{states}{padding}{event['cause']}{suffix}")


def call_counts(seconds, client, event):
    line(seconds, client, f"{event['ok']:6} calls ok  {_failures(event['failed'])}  {shares(event['servers'])}")


def failed_call(seconds, client, event):
    line(seconds, client, paint(f"call failed {event['code']}: {event['text']}", 31))


def verdict(record, complaints):
    word = paint("AS IT SHOULD", 1, 32) if not complaints else paint("NOT AS IT SHOULD", 1, 31)
    done = record.done or {"ok": record.ok, "failed": len(record.errors), "servers": {}}
    print(
        f"{paint(record.plan.name.ljust(NAME_WIDTH), 1)} {word}: "
        f"{done['ok']} calls ok, {_failures(done['failed'])}, {shares(done['servers'])}"
    )
    for complaint in complaints:
        print(f"{' ' * NAME_WIDTH} - {complaint}")


def shares(servers):
    return ", ".join(f"{name}: {count}" for name, count in sorted(servers.items())) or "no server answered"


def _state(name):
    return paint(name, STATE_COLOURS.get(name, 0))


def _failures(count):
    return paint(f"{count} failed", 31) if count else "0 failed"
