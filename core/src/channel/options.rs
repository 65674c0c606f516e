//! Options as a user sets them: a key and a value, checked against the registry at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::logging;
use super::registry::{self, OptionKind};
use crate::error::{Error, ErrorKind};
use crate::failure::Dialect;
use crate::generation::PerProcess;
use crate::observe::log::{LogLevel, Room, log};
use crate::resolver::host::ResolverFactory;
use crate::resolver::schemes::Registered;
use crate::runtime::environment;

/// Which set of defaults holds where an option is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The specification's defaults, for the drop-in faces.
    Grpc,
    /// Defaults that heal fast, for linkspan's own API.
    #[default]
    Resilient,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A decimal number.
    Float(f64),
}

impl From<i64> for OptionValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for OptionValue {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<bool> for OptionValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for OptionValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for OptionValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl OptionValue {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Int(_) => "a whole number",
            Self::Bool(_) => "a boolean",
            Self::Text(_) => "text",
            Self::Float(_) => "a decimal number",
        }
    }
}

/// The options of a channel.
#[derive(Clone, Default)]
pub struct ChannelOptions {
    values: BTreeMap<&'static str, OptionValue>,
    resolvers: Vec<Registered>,
    preset: Preset,
    dialect: Dialect,
    language: Option<&'static str>,
}

impl fmt::Debug for ChannelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may hold a password.
        let shown = |(key, value): (&&'static str, &OptionValue)| match *key {
            "grpc.http_proxy" => (*key, "..".into()),
            _ => (*key, value.clone()),
        };
        let values: BTreeMap<_, _> = self.values.iter().map(shown).collect();
        f.debug_struct("ChannelOptions")
            .field("values", &values)
            .field("resolvers", &self.resolvers)
            .field("preset", &self.preset)
            .field("dialect", &self.dialect)
            .field("language", &self.language)
            .finish()
    }
}

impl ChannelOptions {
    /// No options set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an option. Of two settings of one key the first holds ([OPT-5]), except that user agents are joined. A `grpc.*` key
    /// this build does not honour is accepted with one warning per key and process.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an unknown `linkspan.*` key or a key of neither family, naming the nearest;
    /// [`ErrorKind::BadOption`] for a wrong type or a value out of range, naming key and range.
    pub fn set(&mut self, key: &str, value: impl Into<OptionValue>) -> Result<(), Error> {
        let value = value.into();
        let Some(option) = registry::find(key) else {
            return unknown(key);
        };
        let wrong = |wanted: &str| {
            let text = format!("option {key:?} wants {wanted}, not {}", value.type_name());
            Err(Error::new(ErrorKind::BadOption, text))
        };
        let value = match (option.kind, &value) {
            (OptionKind::Int, OptionValue::Int(number)) => in_range(option, *number as f64).map(|()| value)?,
            // [OPT-4]
            (OptionKind::Int, OptionValue::Bool(flag)) => {
                in_range(option, f64::from(*flag)).map(|()| OptionValue::Int(i64::from(*flag)))?
            }
            (OptionKind::Int, _) => return wrong("a whole number"),
            (OptionKind::Bool, OptionValue::Bool(_)) => value,
            (OptionKind::Bool, OptionValue::Int(number)) => OptionValue::Bool(*number != 0),
            (OptionKind::Bool, _) => return wrong("a boolean"),
            (OptionKind::Text, OptionValue::Text(_)) => value,
            (OptionKind::Text, _) => return wrong("text"),
            (OptionKind::Float, OptionValue::Float(number)) => in_range(option, *number).map(|()| value)?,
            (OptionKind::Float, OptionValue::Int(number)) => {
                in_range(option, *number as f64).map(|()| OptionValue::Float(*number as f64))?
            }
            (OptionKind::Float, _) => return wrong("a decimal number"),
        };
        if option.key == "linkspan.preset" {
            parse_preset("option \"linkspan.preset\"", &value)?;
        }
        match (self.values.get_mut(option.key), value) {
            (None, value) => {
                self.values.insert(option.key, value);
            }
            (Some(OptionValue::Text(first)), OptionValue::Text(next)) if option.key == "grpc.primary_user_agent" => {
                first.push(' ');
                first.push_str(&next);
            }
            (Some(_), _) => {}
        }
        Ok(())
    }

    /// Has targets of this scheme resolved by a resolver of the host's own, on this channel; it counts before one that the engine has for the
    /// scheme.
    ///
    /// # Errors
    /// [`ErrorKind::BadOption`] for what is no scheme and for schemes that are built in, [`ErrorKind::State`] when it was done before.
    pub fn add_resolver(&mut self, scheme: &str, factory: Arc<dyn ResolverFactory>) -> Result<(), Error> {
        let registered = Registered::new(scheme, factory)?;
        if self.resolvers.iter().any(|known| known.is_same(&registered)) {
            return Err(registered.taken());
        }
        self.resolvers.push(registered);
        Ok(())
    }

    /// `scheme` in lower case.
    pub(super) fn resolver(&self, scheme: &str) -> Option<&Registered> {
        self.resolvers.iter().find(|registered| registered.is_for(scheme))
    }

    /// The face's own set of defaults; the option `linkspan.preset` wins over it.
    pub fn set_preset(&mut self, preset: Preset) {
        self.preset = preset;
    }

    /// Whose words local errors use.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// The language the user agent names.
    pub fn set_language(&mut self, language: &'static str) {
        self.language = Some(language);
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn language(&self) -> &'static str {
        self.language.unwrap_or("rust")
    }

    /// Option, then environment, then the face's own.
    pub(super) fn preset(&self) -> Result<Preset, Error> {
        if let Some(value) = self.values.get("linkspan.preset") {
            return parse_preset("option \"linkspan.preset\"", value);
        }
        match environment::preset() {
            Some(name) => parse_preset("environment variable LINKSPAN_PRESET", &OptionValue::Text(name)),
            None => Ok(self.preset),
        }
    }

    /// A whole number that was set.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.values.get(key) {
            Some(OptionValue::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A whole number: as it was set, else the registry's default under this preset.
    pub(super) fn number(&self, key: &str, preset: Preset) -> i64 {
        let default = || {
            registry::find(key).map_or(0, |option| match preset {
                Preset::Grpc => option.default,
                Preset::Resilient => option.resilient,
            })
        };
        self.int(key).unwrap_or_else(default)
    }

    /// A boolean that was set.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key) {
            Some(OptionValue::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn float(&self, key: &str) -> Option<f64> {
        match self.values.get(key) {
            Some(OptionValue::Float(value)) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(OptionValue::Text(value)) => Some(value),
            _ => None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranges lie far below 2^53")]
fn in_range(option: &registry::OptionDoc, value: f64) -> Result<(), Error> {
    if value >= option.min as f64 && value <= option.max as f64 {
        return Ok(());
    }
    let text =
        format!("option {:?} is {value}; it may be {} to {} {}", option.key, option.min, option.max, option.unit);
    Err(Error::new(ErrorKind::BadOption, text.trim_end()))
}

fn parse_preset(place: &str, value: &OptionValue) -> Result<Preset, Error> {
    match value {
        OptionValue::Text(name) if name == "grpc" => Ok(Preset::Grpc),
        OptionValue::Text(name) if name == "resilient" => Ok(Preset::Resilient),
        OptionValue::Text(other) => {
            let text = format!("{place} may be \"grpc\" or \"resilient\", not {other:?}");
            Err(Error::new(ErrorKind::BadOption, text))
        }
        other => Err(Error::new(ErrorKind::BadOption, format!("{place} wants text, not {}", other.type_name()))),
    }
}

/// [OPT-1] for `grpc.*`; strict for our own.
fn unknown(key: &str) -> Result<(), Error> {
    if key.starts_with("grpc.") || key.starts_with("grpc-") {
        warn_once(key, || format!("option {key:?} has no effect in this version"));
        return Ok(());
    }
    let nearest = registry::nearest(key);
    Err(Error::new(ErrorKind::Unsupported, format!("option {key:?} is not known; the nearest is {nearest:?}")))
}

/// Warns through the log, once per process and subject.
pub(super) fn warn_once(subject: &str, words: impl FnOnce() -> String) {
    /// What was warned about; guards the set alone.
    static WARNED: PerProcess<Mutex<BTreeSet<String>>> = PerProcess::of_first(Mutex::new(BTreeSet::new()));
    /// A program that makes up keys without end must not grow the set without end.
    const MOST_WARNINGS: usize = 256;

    let mut warned = WARNED.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = warned.len() < MOST_WARNINGS && warned.insert(subject.to_owned());
    drop(warned);
    if is_new {
        logging::start();
        log(LogLevel::Warn, Room::Options, words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str, value: impl Into<OptionValue>) -> Error {
        ChannelOptions::new().set(key, value).expect_err(key)
    }

    #[test]
    fn unknown_keys_of_ours_are_refused_with_the_nearest() {
        let error = refusal("linkspan.conect_timeout_ms", 5);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("\"linkspan.connect_timeout_ms\""), "{error}");
        assert_eq!(refusal("keepalive", 5).kind(), ErrorKind::Unsupported);
    }

    /// [OPT-1]
    #[test]
    fn unknown_keys_of_grpc_are_accepted() {
        ChannelOptions::new().set("grpc.http2.write_buffer_size", 5).expect("accepted");
        ChannelOptions::new().set("grpc-node.max_session_memory", "x").expect("accepted");
    }

    /// [OPT-2]
    #[test]
    fn wrong_types_and_ranges_name_the_key() {
        for error in [
            refusal("grpc.default_authority", 5),
            refusal("grpc.max_receive_message_length", "5"),
            refusal("grpc.max_receive_message_length", 1.5),
            refusal("grpc.max_receive_message_length", -2),
            refusal("linkspan.backoff_jitter", 1.5),
            refusal("linkspan.backoff_jitter", f64::NAN),
            refusal("linkspan.preset", "fast"),
        ] {
            assert_eq!(error.kind(), ErrorKind::BadOption, "{error}");
            assert!(error.message().starts_with("option \""), "{error}");
        }
    }

    /// [OPT-5]
    #[test]
    fn the_first_of_two_settings_holds_and_user_agents_are_joined() {
        let mut options = ChannelOptions::new();
        for value in ["one", "two"] {
            options.set("grpc.default_authority", value).expect("text");
            options.set("grpc.primary_user_agent", value).expect("text");
        }
        assert_eq!(options.text("grpc.default_authority"), Some("one"));
        assert_eq!(options.text("grpc.primary_user_agent"), Some("one two"));
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let mut options = ChannelOptions::new();
        options.set("grpc.http_proxy", "http://user:secret@proxy.example").expect("text");
        options.set("grpc.default_authority", "svc.example").expect("text");
        let shown = format!("{options:?}");
        assert!(shown.contains("svc.example") && !shown.contains("secret"), "{shown}");
    }

    /// [OPT-4]
    #[test]
    fn the_option_wins_over_the_faces_preset() {
        let mut options = ChannelOptions::new();
        options.set_preset(Preset::Grpc);
        assert_eq!(options.preset(), Ok(Preset::Grpc));
        options.set("linkspan.preset", "resilient").expect("known");
        assert_eq!(options.preset(), Ok(Preset::Resilient));
    }
}
