//! What is told of one option, and the ways to write it down.

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A whole number.
    Int,
    /// True or false; 1 and 0 are accepted ([OPT-4]).
    Bool,
    /// UTF-8 text.
    Text,
    /// A decimal number; whole numbers are accepted.
    Float,
}

/// What an option belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionScope {
    /// An engine.
    Engine,
    /// A completion queue.
    Queue,
    /// A channel.
    Channel,
}

/// One option, described.
#[derive(Clone, Copy, Debug)]
pub struct OptionDoc {
    /// The key.
    pub key: &'static str,
    /// The type of its value.
    pub kind: OptionKind,
    /// What it belongs to.
    pub scope: OptionScope,
    /// The unit of a number; empty for text.
    pub unit: &'static str,
    /// The smallest value that makes sense.
    pub min: i64,
    /// The largest.
    pub max: i64,
    /// The default, for whole numbers and booleans, under the preset `grpc`.
    pub default: i64,
    /// The default, for whole numbers and booleans, under the preset `resilient`.
    pub resilient: i64,
    /// The default in words.
    pub default_text: &'static str,
    /// What it does, and what breaks when it is set badly.
    pub doc: &'static str,
    /// The version it came with.
    pub since: &'static str,
}

pub(super) const fn int(
    key: &'static str,
    unit: &'static str,
    (min, max): (i64, i64),
    [default, resilient]: [i64; 2],
    default_text: &'static str,
    doc: &'static str,
) -> OptionDoc {
    OptionDoc {
        key,
        kind: OptionKind::Int,
        scope: OptionScope::Channel,
        unit,
        min,
        max,
        default,
        resilient,
        default_text,
        doc,
        since: "0.1",
    }
}

pub(super) const fn boolean(
    key: &'static str,
    default: bool,
    default_text: &'static str,
    doc: &'static str,
) -> OptionDoc {
    let number = if default { 1 } else { 0 };
    OptionDoc {
        key,
        kind: OptionKind::Bool,
        scope: OptionScope::Channel,
        unit: "",
        min: 0,
        max: 1,
        default: number,
        resilient: number,
        default_text,
        doc,
        since: "0.1",
    }
}

pub(super) const fn text(key: &'static str, default_text: &'static str, doc: &'static str) -> OptionDoc {
    OptionDoc {
        key,
        kind: OptionKind::Text,
        scope: OptionScope::Channel,
        unit: "",
        min: 0,
        max: 0,
        default: 0,
        resilient: 0,
        default_text,
        doc,
        since: "0.1",
    }
}

pub(super) const fn float(
    key: &'static str,
    (min, max): (i64, i64),
    default_text: &'static str,
    doc: &'static str,
) -> OptionDoc {
    OptionDoc {
        key,
        kind: OptionKind::Float,
        scope: OptionScope::Channel,
        unit: "",
        min,
        max,
        default: 0,
        resilient: 0,
        default_text,
        doc,
        since: "0.1",
    }
}
