"""The tables of rules: one rule a line, `NAME  class  own words`. Each rule stands once."""

import dataclasses
import re

# ours: we do it, so a test must exercise it. peer: what servers or other clients do. library: done below us. later: not in this version.
KINDS = ("ours", "peer", "library", "later")

LINE = re.compile(r"(?P<name>[A-Z][A-Z0-9]*-\d+)\s+(?P<kind>\w+)\s+(?P<words>\S.*)")


@dataclasses.dataclass(frozen=True)
class Rule:
    name: str
    kind: str
    words: str
    table: str


def read_all(folder):
    """Every rule of the folder's tables, by name; and what is wrong with them."""
    rules, problems = {}, []
    for path in sorted(folder.glob("*.txt")):
        read, wrong = parse(path.read_text(encoding="utf-8"), path.stem)
        problems += wrong
        for rule in read:
            if rule.name in rules:
                problems.append(f"listed twice: {rule.name}")
            rules[rule.name] = rule
    return rules, problems


def parse(text, table):
    rules, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None or match["kind"] not in KINDS:
            problems.append(f"not a rule: {table}, line {number}: {line}")
            continue
        rules.append(Rule(**match.groupdict(), table=table))
    return rules, problems
