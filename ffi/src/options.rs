//! Options: keys and values collected before something is built from them.
//!
//! Core's registry holds every channel option; this room adds the few that only a C host can set. A key is checked when it is
//! set. A key that does not belong to what is built is refused there, because an option that silently does nothing is a trap.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

use linkspan_core::{ChannelOptions, Dialect, OptionKind, OptionScope, OptionValue, option_docs};

use crate::error::{LINKSPAN_ECONFIG, Refusal, linkspan_error, linkspan_result};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::log::{Hooks, linkspan_hooks};

/// Options being collected. What is built from them keeps its own copy, so they may be closed at once.
pub type linkspan_options = linkspan_handle;

pub(crate) static OPTIONS: Table<Arc<Options>> = Table::new(Kind::Options);

/// Completions a queue holds when `linkspan.queue_limit` is not set.
pub(crate) const DEFAULT_QUEUE_LIMIT: i64 = 65_536;

/// As many as there can be handles of calls.
const LARGEST_QUEUE_LIMIT: i64 = 1 << 24;

/// What one handle has collected.
#[derive(Default)]
pub(crate) struct Options {
    /// Guards the settings while they are changed or copied.
    settings: Mutex<Settings>,
}

/// A copy of what was collected.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) channel: ChannelOptions,
    pub(crate) driver: Option<Driver>,
    pub(crate) queue_limit: Option<i64>,
    pub(crate) hooks: Option<Arc<Hooks>>,
    /// The first key set for each scope, to name it where it does not belong.
    keys: Vec<(OptionScope, String)>,
}

/// Who moves an engine's loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Thread,
    Host,
}

impl Settings {
    /// The settings behind a handle, or none for 0, for building something of `scope`.
    pub(crate) fn read(options: linkspan_options, scope: OptionScope) -> Result<Self, Refusal> {
        if options == 0 {
            return Ok(Self::default());
        }
        let settings = OPTIONS.get(options)?.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((other, key)) = settings.keys.iter().find(|(other, _)| *other != scope) {
            let text = format!(
                "option {key:?} belongs to {}, not to {}; use separate options",
                with_article(*other),
                with_article(scope)
            );
            return Err(Refusal::told(LINKSPAN_ECONFIG, text));
        }
        if settings.hooks.is_some() && scope != OptionScope::Engine {
            return Err(Refusal::new(LINKSPAN_ECONFIG, "hooks belong to an engine; use separate options"));
        }
        Ok(settings)
    }

    /// The options of a channel of this face.
    pub(crate) fn channel_options(mut self) -> ChannelOptions {
        self.channel.set_dialect(Dialect::Native);
        self.channel.set_language("c");
        self.channel
    }

    /// Of two settings of one key the first holds, as for channels.
    fn set(&mut self, key: &str, value: OptionValue) -> Result<(), Refusal> {
        let scope = match (key, value) {
            ("linkspan.driver", value) => {
                let driver = parse_driver(&value)?;
                self.driver.get_or_insert(driver);
                OptionScope::Engine
            }
            ("linkspan.queue_limit", value) => {
                let limit = parse_queue_limit(&value)?;
                self.queue_limit.get_or_insert(limit);
                OptionScope::Queue
            }
            (_, value) => {
                self.channel.set(key, value)?;
                OptionScope::Channel
            }
        };
        if self.keys.iter().all(|(other, _)| *other != scope) {
            self.keys.push((scope, key.to_owned()));
        }
        Ok(())
    }
}

fn with_article(scope: OptionScope) -> &'static str {
    match scope {
        OptionScope::Engine => "an engine",
        OptionScope::Queue => "a queue",
        OptionScope::Channel => "a channel",
    }
}

fn parse_driver(value: &OptionValue) -> Result<Driver, Refusal> {
    let name = if let OptionValue::Text(name) = value { name.as_str() } else { "" };
    match name {
        "thread" => Ok(Driver::Thread),
        "host" => Ok(Driver::Host),
        _ => Err(Refusal::new(LINKSPAN_ECONFIG, "option \"linkspan.driver\" may be \"thread\" or \"host\"")),
    }
}

fn parse_queue_limit(value: &OptionValue) -> Result<i64, Refusal> {
    if let OptionValue::Int(limit @ 1..=LARGEST_QUEUE_LIMIT) = value {
        return Ok(*limit);
    }
    Err(Refusal::told(
        LINKSPAN_ECONFIG,
        format!("option \"linkspan.queue_limit\" may be 1 to {LARGEST_QUEUE_LIMIT} events"),
    ))
}

/// C has no function for decimal numbers: they come as text.
fn value_from_text(key: &str, text: &str) -> OptionValue {
    let is_float = option_docs().iter().any(|option| option.key == key && option.kind == OptionKind::Float);
    match text.parse() {
        Ok(number) if is_float => OptionValue::Float(number),
        _ => OptionValue::Text(text.to_owned()),
    }
}

fn set(options: linkspan_options, key: &str, value: OptionValue) -> Result<(), Refusal> {
    let options = OPTIONS.get(options)?;
    // An unknown key is warned about once, through host code; this makes it happen before the lock is taken.
    Settings::default().set(key, value.clone())?;
    options.settings.lock().unwrap_or_else(PoisonError::into_inner).set(key, value)
}

/// New, empty options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_options_new(out: *mut linkspan_options) -> linkspan_result {
    guard::run("linkspan_options_new", || {
        let out = host!(out(out))?;
        out.write(OPTIONS.insert(Arc::default())?);
        Ok(())
    })
}

/// Sets a whole number, or 0 or 1 for a boolean. ECONFIG: wrong type or out of range. EUNSUPPORTED: unknown `linkspan.*` key, the
/// text names the nearest. Unknown `grpc.*` keys are accepted, with one warning per key through the log hook. Of two settings of
/// one key the first holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_options_set_int(
    options: linkspan_options,
    key: *const c_char,
    key_len: usize,
    value: i64,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        let key = host!(required_text(key, key_len))?;
        set(options, key, OptionValue::Int(value))
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_options_set_int", error, body) }
}

/// Sets text; for an option that is a decimal number, its digits. Results as for `linkspan_options_set_int`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_options_set_text(
    options: linkspan_options,
    key: *const c_char,
    key_len: usize,
    text: *const c_char,
    len: usize,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        let key = host!(required_text(key, key_len))?;
        let text = host!(text(text, len))?;
        set(options, key, value_from_text(key, text))
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_options_set_text", error, body) }
}

/// Sets the hooks of an engine, replacing earlier ones. On a result other than OK the hooks stay the caller's and `release` does
/// not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_options_set_hooks(
    options: linkspan_options,
    hooks: *const linkspan_hooks,
) -> linkspan_result {
    guard::run("linkspan_options_set_hooks", || {
        let hooks = host!(versioned(hooks))?;
        hooks.extra?;
        let options = OPTIONS.get(options)?;
        let taken = Arc::new(Hooks::take(&hooks.value)?);
        let before = options.settings.lock().unwrap_or_else(PoisonError::into_inner).hooks.replace(taken);
        // Its release function is host code: no lock is held here.
        drop(before);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option_docs::C_OPTIONS;

    fn settings(keys: &[(&str, OptionValue)]) -> Result<Settings, Refusal> {
        let mut settings = Settings::default();
        keys.iter().try_for_each(|(key, value)| settings.set(key, value.clone()))?;
        Ok(settings)
    }

    #[test]
    fn the_first_setting_of_a_key_holds() {
        let set = settings(&[("linkspan.driver", "thread".into()), ("linkspan.driver", "host".into())]).expect("valid");
        assert_eq!(set.driver, Some(Driver::Thread));
    }

    #[test]
    fn c_options_refuse_wrong_types_and_ranges() {
        for (key, value) in [
            ("linkspan.driver", OptionValue::Int(1)),
            ("linkspan.driver", "both".into()),
            ("linkspan.queue_limit", OptionValue::Int(0)),
            ("linkspan.queue_limit", "many".into()),
        ] {
            let refusal = settings(&[(key, value)]).map(|_| ()).expect_err(key);
            assert_eq!(refusal.result, LINKSPAN_ECONFIG);
            assert!(refusal.text.contains(key), "{}", refusal.text);
        }
    }

    #[test]
    fn an_option_of_something_else_is_refused_where_it_would_do_nothing() {
        let options = Arc::new(Options {
            settings: Mutex::new(settings(&[("linkspan.queue_limit", OptionValue::Int(5))]).expect("valid")),
        });
        let handle = OPTIONS.insert(options).expect("room");
        assert_eq!(Settings::read(handle, OptionScope::Queue).expect("fits").queue_limit, Some(5));
        let refusal = Settings::read(handle, OptionScope::Channel).map(|_| ()).expect_err("a queue's option");
        assert_eq!(refusal.result, LINKSPAN_ECONFIG);
        assert!(refusal.text.contains("\"linkspan.queue_limit\" belongs to a queue"), "{}", refusal.text);
        OPTIONS.remove(handle);
    }

    #[test]
    fn core_and_c_do_not_share_keys() {
        assert!(option_docs().iter().all(|option| C_OPTIONS.iter().all(|ours| ours.key != option.key)));
    }
}
