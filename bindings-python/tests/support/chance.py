"""Whether counts are what chance makes of shares: Pearson's chi squared, of which tables are all that is needed here."""

# What chance alone exceeds once in a million times, by degrees of freedom: one for each count but the last.
ONCE_IN_A_MILLION = (
    *(23.928, 27.631, 30.665, 33.377, 35.888),
    *(38.258, 40.522, 42.701, 44.811, 46.863),
    *(48.866, 50.825, 52.747, 54.635, 56.493),
)


def chi_squared(counts, shares=None):
    """How far counts are from shares, which are equal where none are given."""
    counts = list(counts)
    shares = shares or [1] * len(counts)
    expected = [sum(counts) * share / sum(shares) for share in shares]
    return sum((count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))


def could_be_chance(counts, shares=None):
    """False once in a million times, and where the counts have other shares than these."""
    counts = list(counts)
    return chi_squared(counts, shares) <= ONCE_IN_A_MILLION[len(counts) - 2]
