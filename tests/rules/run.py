"""Which rules of the protocol are ours, and whether each of those has a test that cites it.

    python3 tests/rules/run.py             the coverage per table, and what is wrong
    python3 tests/rules/run.py CONN-92     where a rule is cited in tests

Exit code 1 when a rule of ours has no test, a citation names no rule, or a rule stands in the tables twice.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from rules import citations, tables  # noqa: E402


def main(arguments):
    rules, problems = tables.read_all(pathlib.Path(__file__).parent)
    cited = citations.of_repository(ROOT)
    for wanted in arguments:
        print(f"{wanted}: {rules[wanted].words if wanted in rules else 'no such rule'}")
        for citation in cited:
            if citation.rule == wanted:
                print(f"  {citation.place}{'' if citation.is_in_test else '  (no test)'}")
    if arguments:
        return 0

    for line in coverage(rules, cited):
        print(line)
    problems += gaps(rules, cited)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def coverage(rules, cited):
    """A line per table: how many rules of each class, and how many of ours have a test."""
    tested = {citation.rule for citation in cited if citation.is_in_test}
    for table in sorted({rule.table for rule in rules.values()}):
        of_table = [rule for rule in rules.values() if rule.table == table]
        ours = [rule for rule in of_table if rule.kind == "ours"]
        covered = sum(rule.name in tested for rule in ours)
        others = ", ".join(f"{sum(rule.kind == kind for rule in of_table)} {kind}" for kind in tables.KINDS[1:])
        yield f"{table}: {len(of_table)} rules; {len(ours)} ours, {covered} with a test; {others}"


def gaps(rules, cited):
    """What must not be: rules of ours without a test, and citations of no rule."""
    tested = {citation.rule for citation in cited if citation.is_in_test}
    untested = [rule for rule in rules.values() if rule.kind == "ours" and rule.name not in tested]
    known_prefixes = {rule.name.split("-")[0] for rule in rules.values()}
    unknown = [
        citation
        for citation in cited
        if citation.rule not in rules and citation.rule.split("-")[0] in known_prefixes
    ]
    return [f"no test: {rule.name}  {rule.words}" for rule in untested] + [
        f"no such rule: {citation.rule}, cited in {citation.place}" for citation in unknown
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
