"""Figures as text, for every table alike."""

import textwrap

NOTHING = ""
WIDTH = 140


def number(value, divisor=1):
    """Three digits that mean something: 4.71, 47.1, 471, 4,710."""
    if value is None:
        return NOTHING
    value /= divisor
    for limit, digits in ((9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def spread(ends, divisor=1):
    return f"{number(ends[0], divisor)}–{number(ends[1], divisor)}" if ends else NOTHING


def ratio(value):
    return "?" if value is None else f"{value:.2f}"


def wrapped(text, indent=""):
    """The lines of a text; all but the first are indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent)


def shortened(text, width):
    return textwrap.shorten(text, width, placeholder=" …")
