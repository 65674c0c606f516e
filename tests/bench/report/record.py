"""A run as JSON: every answer of every round, and what was made of them."""

import json

from bench.report.bars import verdicts
from bench.report.summary import FIGURES


# More than any figure here is good for.
DIGITS = 6


def as_json(plan, results, facts):
    """One line per client and per result: what is kept in the repository is read as a difference, too."""
    parts = []
    for key, value in record(plan, results, facts).items():
        if key in ("clients", "results", "bars"):
            entries = value.items() if isinstance(value, dict) else ((None, entry) for entry in value)
            lines = [f"{_dumped(name)}: {_dumped(entry)}" if name else _dumped(entry) for name, entry in entries]
            start, end = "{}" if isinstance(value, dict) else "[]"
            parts.append(f"{_dumped(key)}: {start}\n" + ",\n".join(lines) + f"\n{end}")
        else:
            parts.append(f"{_dumped(key)}: {_dumped(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _dumped(value):
    return json.dumps(_rounded(value), ensure_ascii=False)


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


def record(plan, results, facts):
    return {
        "mode": plan.mode,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "facts": facts,
        "clients": {
            client.name: {"label": client.label, "family": client.family, "command": list(client.command),
                          "greeting": results.greetings.get(client.name)}
            for client in plan.clients
        },
        "results": [_series(series, results) for series in results],
        "bars": [_verdict(verdict) for verdict in verdicts(results)],
    }


def _series(series, results):
    measured = [figure for figure in FIGURES if series.values(figure)]
    return {
        "cell": series.cell.name,
        "client": series.client.name,
        "command": {**series.cell.workload.command, **series.cell.parameters},
        "absent": series.absent,
        "failed": series.failed,
        "rounds": series.rounds,
        "median": {figure: series.median(figure) for figure in measured},
        "spread": {figure: series.spread(figure) for figure in measured},
        "ratio": {
            reference.client.name: {figure: series.ratio(reference, figure) for figure in measured}
            for reference in results.references(series)
        },
    }


def _verdict(verdict):
    bar = verdict.bar
    return {
        "cell": bar.cell, "client": bar.client, "reference": bar.reference, "figure": bar.figure,
        "is_difference": bar.is_difference, "limit": bar.limit, "measured": verdict.measured,
        "verdict": verdict.word, "reason": verdict.reason,
    }
