"""The chart: client CPU per unary call as horizontal bars, one group per family, readable on light and dark."""

import html

from bench.report.text import number, ratio

# The cell a family is drawn from: the first of these in which any of its clients was measured.
CELLS = {
    "Python, blocking": ("unary_threads@16",),
    "Node": ("unary@16", "unary@10"),
}
DEFAULT_CELLS = ("unary@16",)

WIDTH, LEFT, RIGHT = 800, 276, 190
BAR, PITCH, GROUP_HEAD, GROUP_GAP = 16, 23, 25, 15
TOP, BOTTOM = 64, 34

STYLE = """
    text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
    .title { font-size: 16px; font-weight: 600; }
    .family { font-weight: 600; }
    .quiet { fill: #59636e; font-size: 12px; font-weight: 400; }
    .ours { font-weight: 600; }
    rect.back { fill: #ffffff; }
    rect.ours { fill: #1f6feb; }
    rect.peer { fill: #afb8c1; }
    line { stroke: #d0d7de; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .quiet { fill: #8d96a0; }
      rect.back { fill: #0d1117; }
      rect.ours { fill: #58a6ff; }
      rect.peer { fill: #57606a; }
      line { stroke: #30363d; }
    }
"""


def chart(results, facts):
    """The SVG as text; None when no unary call was measured that it could show."""
    groups = list(_groups(results))
    if not groups:
        return None
    parts, y = [], TOP
    for title, rows in groups:
        parts.append(_text(24, y + 14, title, "family"))
        y += GROUP_HEAD
        height = len(rows) * PITCH
        parts.append(f'<line x1="{LEFT}" y1="{y - 3}" x2="{LEFT}" y2="{y + height - 4}"/>')
        longest = max(series.median("cpu_us") for series in rows)
        for series in rows:
            parts += _bar(series, y, longest, results)
            y += PITCH
        y += GROUP_GAP
    height = y - GROUP_GAP + BOTTOM
    foot = f"{facts['machine']}; {facts['date']}, commit {facts['commit']}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "  <title>Client CPU per unary call</title>",
        f"  <style>{STYLE}  </style>",
        f'  <rect class="back" width="{WIDTH}" height="{height}" rx="6"/>',
        f"  {_text(24, 30, 'Client CPU per unary call of 64 bytes, in µs', 'title')}",
        f"  {_text(24, 50, 'Shorter is better. Every group has its own scale.', 'quiet')}",
        *(f"  {part}" for part in parts),
        f"  {_text(24, height - 14, foot, 'quiet')}",
        "</svg>",
        "",
    ])


def _groups(results):
    """(title, the measured series) per family."""
    for family in dict.fromkeys(series.client.family for series in results):
        for cell in CELLS.get(family, DEFAULT_CELLS):
            rows = [
                series for series in results.of_cell(cell)
                if series.client.family == family and series.median("cpu_us") is not None
            ]
            if rows:
                blocking = rows[0].client.is_blocking
                how = f"{rows[0].cell.parameters['in_flight']} {'threads' if blocking else 'calls in flight'}"
                yield f"{family}, {how}".replace("blocking, ", ""), rows
                break


def _bar(series, y, longest, results):
    value = series.median("cpu_us")
    width = max(1.5, value / longest * (WIDTH - LEFT - RIGHT))
    kind = "ours" if series.client.is_linkspan else "peer"
    middle = y + BAR - 3.5
    yield _text(LEFT - 10, middle, series.client.label, "label", anchor="end")
    yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
    shown = html.escape(number(value))
    ratios = _against(series, results)
    tail = f'<tspan class="quiet" dx="8">{html.escape(ratios)}</tspan>' if ratios else ""
    yield f'<text class="{kind}" x="{LEFT + width + 7:.1f}" y="{middle}">{shown}{tail}</text>'


def _against(series, results):
    """For ours: how many times as much as its peer, the last of its references."""
    references = results.references(series) if series.client.is_linkspan else []
    if not references:
        return ""
    return f"{ratio(series.ratio(references[-1], 'cpu_us'))} × {references[-1].client.label}"


def _text(x, y, content, kind, anchor=None):
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{x}" y="{y}"{anchored}>{html.escape(content)}</text>'
