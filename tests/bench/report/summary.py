"""From the rounds of a client to its figures: medians, spreads, and ratios to its references."""

import dataclasses
import statistics


def _cpu_s(answer):
    return answer["user_s"] + answer["system_s"]


def _per_operation_us(seconds):
    return lambda answer: seconds(answer) / answer["operations"] * 1e6


# A figure is made of one answer; an answer that lacks what it needs does not have it.
FIGURES = {
    "cpu_us": _per_operation_us(_cpu_s),
    "main_us": _per_operation_us(lambda answer: answer["main_thread_s"]),
    "wall_us": _per_operation_us(lambda answer: answer["wall_s"]),
    "open_us": _per_operation_us(lambda answer: answer["open_s"]),
    "per_s": lambda answer: answer["operations"] / answer["wall_s"],
    "bytes": lambda answer: answer["bytes"] / answer["operations"],
    "cpu_share_us": lambda answer: _cpu_s(answer) / answer["wall_s"] * 1e6,
    "start_ms": lambda answer: (answer["import_s"] + answer["first_call_s"]) * 1e3,
    "import_ms": lambda answer: answer["import_s"] * 1e3,
    "first_call_ms": lambda answer: answer["first_call_s"] * 1e3,
    "start_cpu_ms": lambda answer: _cpu_s(answer) * 1e3,
}

# What a workload is about: what the ratios are made of, and whose spread is shown.
HEADLINES = {"steady": "cpu_us", "start": "start_ms", "memory": "bytes", "idle": "cpu_share_us"}


@dataclasses.dataclass
class Series:
    """What one client answered in one cell, round by round, or why it did not."""

    cell: object
    client: object
    # It takes no part: it is not installed, or it cannot do that.
    absent: str | None = None
    # It should have been able to.
    failed: str | None = None
    rounds: list = dataclasses.field(default_factory=list)

    @property
    def is_measured(self):
        return bool(self.rounds) and not self.failed and not self.absent

    @property
    def headline(self):
        return HEADLINES[self.cell.workload.kind]

    def values(self, figure):
        """The figure of every round; empty when there is none."""
        if not self.is_measured:
            return []
        try:
            return [FIGURES[figure](answer) for answer in self.rounds]
        except KeyError:
            return []

    def median(self, figure):
        values = self.values(figure)
        return statistics.median(values) if values else None

    def spread(self, figure):
        values = self.values(figure)
        return (min(values), max(values)) if values else None

    def ratio(self, reference, figure):
        """The median of the rounds' ratios to another series of the same cell."""
        pairs = zip(self.values(figure), reference.values(figure)) if reference else ()
        ratios = [mine / other for mine, other in pairs if other > 0]
        return statistics.median(ratios) if ratios else None

    def difference(self, reference, figure):
        """The median of the rounds' differences to another series of the same cell."""
        pairs = zip(self.values(figure), reference.values(figure)) if reference else ()
        differences = [mine - other for mine, other in pairs]
        return statistics.median(differences) if differences else None


class Results:
    def __init__(self, series):
        self._series = {(each.cell.name, each.client.name): each for each in series}
        # What the clients said they are.
        self.greetings = {}

    def __iter__(self):
        return iter(self._series.values())

    def series(self, cell, client):
        """The series of a client in a cell, by their names; None when it was not planned."""
        return self._series.get((cell, client))

    def of_cell(self, cell):
        return [each for each in self if each.cell.name == cell]

    def references(self, series):
        """The series that this one is compared with: those of its references that were measured."""
        others = (self.series(series.cell.name, name) for name in series.client.references)
        return [other for other in others if other and other.is_measured]

    @property
    def failures(self):
        return [each for each in self if each.failed]

    @property
    def missing_clients(self):
        """{name: reason} of the clients that are not there."""
        return {each.client.name: each.client.missing for each in self if each.client.missing}
