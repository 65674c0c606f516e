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


def core_channel_metrics():
    """The fields of core's ChannelMetrics, in order."""
    block = re.search(r"^pub struct ChannelMetrics \{(.*?)^\}", _read("core/src/observe/channel_metrics.rs"), re.MULTILINE | re.DOTALL)
    return re.findall(r"^    pub (\w+): ", block[1], re.MULTILINE)


def dump_keys():
    """Every key of a channel's snapshot in JSON, which all languages have from core; those of its parts are not among them."""
    writing = "core/src/observe/snapshot/writing.rs"
    text = _function(writing, "write_channel") + _function(writing, "write_channel_metrics")
    return set(re.findall(r'\.key\("(\w+)"\)', text))


def python_metrics():
    """Every key of the dict a channel's metrics are in Python, those of `calls` among them."""
    return set(re.findall(r'(?:set_item\(|set_known\(&\w+, )"(\w+)"', _function("bindings-python/src/observe.rs", "metrics")))


def node_metrics():
    """Every key of `interface ChannelMetrics` in the Node type declarations, those of `calls` among them."""
    declarations = _read("bindings-node/index.d.ts")
    block = re.search(r"^export interface ChannelMetrics \{(.*?)^\}", declarations, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^ +(\w+)\??: ", block[1], re.MULTILINE))


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


def _function(path, name):
    """The text of a Rust function that stands at the left edge."""
    return re.search(rf"^(?:pub\(crate\) )?fn {name}\b.*?^\}}", _read(path), re.MULTILINE | re.DOTALL)[0]


def _read(path):
    return (ROOT / path).read_text(encoding="utf-8")
