//! The list of options, as C reads it.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use linkspan_core::{OptionDoc, OptionKind, OptionScope, PerProcess, option_docs};

use crate::error::{LINKSPAN_ELIMIT, Refusal, linkspan_result};
use crate::foreign::host;
use crate::guard;
use crate::options::DEFAULT_QUEUE_LIMIT;

/// Set with `linkspan_options_set_int`.
pub const LINKSPAN_OPTION_INT: u32 = 0;
/// Set with `linkspan_options_set_int`, 0 or 1.
pub const LINKSPAN_OPTION_BOOL: u32 = 1;
/// Set with `linkspan_options_set_text`.
pub const LINKSPAN_OPTION_TEXT: u32 = 2;
/// A decimal number; its digits are set with `linkspan_options_set_text`.
pub const LINKSPAN_OPTION_FLOAT: u32 = 3;
/// An option of `linkspan_engine_new`.
pub const LINKSPAN_SCOPE_ENGINE: u32 = 0;
/// An option of `linkspan_queue_new`.
pub const LINKSPAN_SCOPE_QUEUE: u32 = 1;
/// An option of `linkspan_channel_new`.
pub const LINKSPAN_SCOPE_CHANNEL: u32 = 2;

/// One option. The texts are static and NUL-terminated.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_option_doc {
    /// sizeof(linkspan_option_doc).
    pub struct_size: u32,
    /// LINKSPAN_OPTION_*.
    pub kind: u32,
    /// LINKSPAN_SCOPE_*.
    pub scope: u32,
    /// Zero.
    pub reserved: u32,
    /// The key.
    pub key: *const c_char,
    /// Unit, default, what it does and what breaks if it is set badly.
    pub text: *const c_char,
    /// The default of numbers and booleans.
    pub default_value: i64,
}

/// One option only a C host can set.
pub(crate) struct COption {
    pub(crate) key: &'static str,
    kind: OptionKind,
    scope: OptionScope,
    default: i64,
    text: &'static str,
}

pub(crate) const C_OPTIONS: [COption; 2] = [
    COption {
        key: "linkspan.driver",
        kind: OptionKind::Text,
        scope: OptionScope::Engine,
        default: 0,
        text: "default thread: Who moves the engine: \"thread\" (one background thread) or \"host\" (the host calls process; not in this version).",
    },
    COption {
        key: "linkspan.queue_limit",
        kind: OptionKind::Int,
        scope: OptionScope::Queue,
        default: DEFAULT_QUEUE_LIMIT,
        text: "events, default 65536: How many operations may be under way on one queue; beyond it starting fails with ELIMIT.",
    },
];

/// An option with its texts in C's form, made once per process.
struct Described {
    kind: u32,
    scope: u32,
    key: CString,
    text: CString,
    default_value: i64,
}

impl Described {
    fn new(key: &str, text: &str, kind: OptionKind, scope: OptionScope, default_value: i64) -> Self {
        Self {
            kind: match kind {
                OptionKind::Int => LINKSPAN_OPTION_INT,
                OptionKind::Bool => LINKSPAN_OPTION_BOOL,
                OptionKind::Text => LINKSPAN_OPTION_TEXT,
                OptionKind::Float => LINKSPAN_OPTION_FLOAT,
            },
            scope: match scope {
                OptionScope::Engine => LINKSPAN_SCOPE_ENGINE,
                OptionScope::Queue => LINKSPAN_SCOPE_QUEUE,
                OptionScope::Channel => LINKSPAN_SCOPE_CHANNEL,
            },
            key: c_text(key),
            text: c_text(text),
            default_value,
        }
    }
}

/// Keys and texts are written by hand in the registry; a NUL in one is cut off rather than fatal.
fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn described() -> &'static [Described] {
    // A forked child does not wait for a thread of the parent's that was writing the list.
    static LIST: PerProcess<OnceLock<Vec<Described>>> = PerProcess::of_first(OnceLock::new());
    LIST.get(|_| OnceLock::new()).get_or_init(|| {
        let ours = C_OPTIONS
            .iter()
            .map(|option| Described::new(option.key, option.text, option.kind, option.scope, option.default));
        ours.chain(option_docs().iter().map(from_core)).collect()
    })
}

fn from_core(option: &OptionDoc) -> Described {
    let unit = if option.unit.is_empty() { String::new() } else { format!("{}, ", option.unit) };
    let text = format!("{unit}default {}: {}", option.default_text, option.doc);
    Described::new(option.key, &text, option.kind, option.scope, option.default)
}

/// Describes the option with this number; ELIMIT past the last. Numbers are not stable between versions, keys are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_option_describe(index: u32, out: *mut linkspan_option_doc) -> linkspan_result {
    guard::run("linkspan_option_describe", || {
        let out = host!(versioned_out(out))?;
        let option = described().get(index as usize).ok_or(Refusal::quiet(LINKSPAN_ELIMIT))?;
        out.write_versioned(linkspan_option_doc {
            struct_size: 0,
            kind: option.kind,
            scope: option.scope,
            reserved: 0,
            key: option.key.as_ptr(),
            text: option.text.as_ptr(),
            default_value: option.default_value,
        });
        Ok(())
    })
}
