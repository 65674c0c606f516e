"""The table on the terminal: a block per workload, a section per family and parameter, a row per client; then the bars."""

from bench.report.bars import verdicts
from bench.report.text import number, ratio, shortened, spread, wrapped

LABEL_WIDTH = 36


def _shown(figure, divisor=1):
    return lambda series: number(series.median(figure), divisor)


def _spread(figure, divisor=1):
    return lambda series: spread(series.spread(figure), divisor)


# Per kind of workload: (heading, width, what a series shows there).
COLUMNS = {
    "steady": (
        ("CPU µs", 9, _shown("cpu_us")),
        ("spread", 17, _spread("cpu_us")),
        ("main thr.", 10, _shown("main_us")),
        ("wall µs", 9, _shown("wall_us")),
        ("per second", 12, _shown("per_s")),
    ),
    "start": (
        ("ms", 9, _shown("start_ms")),
        ("spread", 17, _spread("start_ms")),
        ("load ms", 10, _shown("import_ms")),
        ("1st call", 9, _shown("first_call_ms")),
        ("CPU ms", 12, _shown("start_cpu_ms")),
    ),
    "memory": (
        ("KiB", 9, _shown("bytes", 1024)),
        ("spread", 17, _spread("bytes", 1024)),
        ("wall µs", 9, _shown("wall_us")),
        ("CPU µs", 12, _shown("cpu_us")),
    ),
    "idle": (
        ("CPU µs/s", 9, _shown("cpu_share_us")),
        ("spread", 17, _spread("cpu_share_us")),
        ("KiB each", 10, _shown("bytes", 1024)),
        ("open µs", 9, _shown("open_us")),
    ),
}


def table(plan, results, facts):
    """The whole report as text."""
    blocks = [_head(plan, facts)]
    workloads = {cell.workload.name: cell.workload for cell in plan.cells}
    blocks += [_block(workload, results) for workload in workloads.values()]
    return "\n\n".join([*blocks, _bars(results)]) + "\n"


def _head(plan, facts):
    window = f"{plan.rounds} rounds with a window of {plan.seconds:g} s"
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        f"linkspan benchmarks, {plan.mode}: {window}; medians; CPU is user + system of the whole client, per operation",
        f"{facts['machine']}, {facts['date']}, commit {facts['commit']}",
        facts["pinning"],
        *wrapped(f"clients: {versions}", "  "),
        "a ratio is the median of the rounds' ratios; spread is from the lowest round to the highest",
        *facts["warnings"],
    ]
    return "\n".join(line for line in lines if line)


def _block(workload, results):
    columns = COLUMNS[workload.kind]
    notes = _Notes()
    per = {"steady": f", per {workload.operation}", "memory": ", per channel"}.get(workload.kind, "")
    headings = "".join(heading.rjust(width) for heading, width, _ in columns)
    lines = [f"== {workload.title}{per} ==", f"{'':{LABEL_WIDTH}}{headings}   ratio"]
    for title, rows in _sections(workload, results):
        lines.append(title)
        lines += [_row(series, columns, results, notes) for series in rows]
    return "\n".join([*lines, *notes.lines()])


def _sections(workload, results):
    """(title, its series) per family, and in it per parameter."""
    sections = {}
    for series in results:
        if series.cell.workload.name == workload.name:
            family = series.client.family
            sections.setdefault((family, series.cell.name), []).append(series)
    families = list(dict.fromkeys(series.client.family for series in results))
    for family, cell in sorted(sections, key=lambda section: families.index(section[0])):
        rows = sections[family, cell]
        variant = rows[0].cell.variant
        yield f"{family}, {variant}" if variant else family, rows


def _row(series, columns, results, notes):
    label = f"  {series.client.label}".ljust(LABEL_WIDTH)
    if not series.is_measured:
        word = "failed" if series.failed else "–"
        return f"{label}{word.rjust(columns[0][1])} {notes.mark(series.failed or series.absent or 'no rounds')}"
    figures = "".join(shown(series).rjust(width) for _, width, shown in columns)
    return f"{label}{figures}   {_ratios(series, results)}".rstrip()


def _ratios(series, results):
    parts = []
    for reference in results.references(series):
        text = f"{ratio(series.ratio(reference, series.headline))} × {reference.client.label}"
        main_thread = series.ratio(reference, "main_us") if series.headline == "cpu_us" else None
        parts.append(text if main_thread is None else f"{text} (main thread {ratio(main_thread)})")
    return ", ".join(parts)


class _Notes:
    """The footnotes of a block: one per reason."""

    def __init__(self):
        self._reasons = []

    def mark(self, reason):
        # The whole text is in the JSON and on standard error.
        reason = shortened(reason, 260)
        if reason not in self._reasons:
            self._reasons.append(reason)
        return f"[{self._reasons.index(reason) + 1}]"

    def lines(self):
        return [line for place, reason in enumerate(self._reasons, 1) for line in wrapped(f"  [{place}] {reason}", "      ")]


def _bars(results):
    lines = ["== bars =="]
    words = []
    for verdict in verdicts(results):
        bar = verdict.bar
        words.append(verdict.word)
        what = bar.client + (f" {'above' if bar.is_difference else '/'} {bar.reference}" if bar.reference else "")
        figure = BAR_FIGURES.get(bar.figure, bar.figure)
        measured = "" if verdict.measured is None else _bar_value(bar, verdict.measured)
        limit = f"≤ {_bar_value(bar, bar.limit)}"
        line = f"  {verdict.word:7}{bar.cell:18}{what:38}{figure:14}{measured:>12}  {limit:13}{shortened(verdict.reason, 36)}"
        lines.append(line.rstrip())
    if not words:
        return "== bars ==\nnone of them was measured"
    lines.append(f"{words.count('ok')} ok, {words.count('missed')} missed, {words.count('–')} without figures")
    return "\n".join(lines)


BAR_FIGURES = {"cpu_us": "CPU", "main_us": "main thread", "start_ms": "wall time", "bytes": "memory", "cpu_share_us": "CPU in 1 s"}


def _bar_value(bar, value):
    if bar.is_difference:
        return f"{value / 1024:+.1f} KiB"
    return f"{value:.3f} ×" if bar.reference else f"{value:.2f} µs"
