"""What a scenario found: facts that must hold always, and figures with bars that only a long run holds them to."""

import dataclasses
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEASUREMENTS = ROOT / "core" / "docs" / "measurements"


@dataclasses.dataclass
class Figure:
    name: str
    value: float
    # The largest value that is good; None for what is only reported.
    bar: float = None
    unit: str = ""

    @property
    def is_good(self):
        return self.bar is None or self.value is not None and self.value <= self.bar


class Findings:
    def __init__(self, scenario, holds_figures):
        self._scenario = scenario
        self._holds_figures = holds_figures
        self._figures = []
        self._complaints = []

    def must(self, holds, complaint):
        """A fact: whatever the machine does meanwhile."""
        if not holds:
            self._complaints.append(complaint)

    def figure(self, name, value, bar=None, unit=""):
        """A number; more than the bar is a complaint in a long run, and only shown in a short one."""
        figure = Figure(name, value, bar, unit)
        self._figures.append(figure)
        if self._holds_figures:
            self.must(figure.is_good, f"{name}: {value} {unit}, more than {bar}")

    @property
    def is_good(self):
        return not self._complaints

    def lines(self):
        for figure in self._figures:
            bar = "" if figure.bar is None else f" (bar {figure.bar})"
            yield f"{self._scenario}: {figure.name}: {figure.value} {figure.unit}".rstrip() + bar
        for complaint in self._complaints:
            yield f"{self._scenario}: NOT GOOD: {complaint}"

    def keep(self, facts):
        """Writes the figures where the repository keeps evidence, with the machine and the commit they belong to."""
        kept = {key: facts[key] for key in ("commit", "date", "machine")}
        kept["figures"] = [dataclasses.asdict(figure) for figure in self._figures]
        kept["complaints"] = self._complaints
        path = MEASUREMENTS / f"{self._scenario}.json"
        path.write_text(json.dumps(kept, indent=1) + "\n")
