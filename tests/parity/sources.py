"""Names as they stand in the sources: core's own tables, and what each language's public surface says."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def registry():
    """{option key: kind} of core's registry: int, text, float or bool."""
    entries = re.findall(r'\b(int|text|float|bool|boolean)\(\s*"((?:grpc|linkspan)\.[a-z0-9_.]+)",', registry_table())
    return {key: kind for kind, key in entries}


def core_codes():
    """{name: number} of the status codes, from the table in core."""
    rows = re.findall(r'^    \w+ = (\d+), "([A-Z_]+)", ', _read("core/src/status.rs"), re.MULTILINE)
    return {name: int(number) for number, name in rows}


def core_states():
    """{name: number} of the connectivity states, from the enum in core."""
    text = _read("core/src/state.rs")
    names = dict(re.findall(r'Self::(\w+) => "([A-Z_]+)"', text))
    numbers = re.findall(r"^    (\w+) = (\d+),", text, re.MULTILINE)
    return {names[variant]: int(number) for variant, number in numbers}


def header_constants(prefix):
    """{NAME: number} of `#define LINKSPAN_<prefix>_NAME number` in the C header."""
    rows = re.findall(rf"^#define LINKSPAN_{prefix}_(\w+) (\d+)$", _read("include/linkspan.h"), re.MULTILINE)
    return {name: int(number) for name, number in rows}


def python_enum(name):
    """{NAME: number} of an enum class in the Python package whose values are (number, text)."""
    tree = ast.parse(_read("bindings-python/python/linkspan/_enums.py"))
    (enum,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    assignments = (node for node in enum.body if isinstance(node, ast.Assign))
    return {node.targets[0].id: ast.literal_eval(node.value)[0] for node in assignments}


def node_constant(name):
    """{NAME: number} of `export const NAME: { readonly A: 0; … }` in the Node type declarations."""
    declarations = _read("bindings-node/index.d.ts")
    block = re.search(rf"^export const {name}: \{{(.*?)^\}}", declarations, re.MULTILINE | re.DOTALL)
    return {key: int(number) for key, number in re.findall(r"readonly ([A-Z_]+): (\d+);", block[1])}


def registry_table():
    _, found, table = _read("core/src/channel/registry.rs").partition("const REGISTRY")
    if not found:
        raise LookupError("core/src/channel/registry.rs no longer holds `const REGISTRY`")
    return table.partition("#[cfg(test)]")[0]


def _read(path):
    return (ROOT / path).read_text(encoding="utf-8")
