//! The fields of a JSON text, each with its path, and the mistakes found in them.
//!
//! Reading goes on after a mistake, so that all are found at once. What is read is thrown away then, so a reader may return anything
//! that is at hand, or `None`.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::duration;

/// What is wrong with a config, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    /// One on the line, several on a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [mistake] => f.write_str(mistake),
            several => {
                write!(f, "{} mistakes", several.len())?;
                several.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

/// Reads a JSON text.
///
/// # Errors
/// What `read` found wrong, or that the text is no JSON ([SC-01]).
pub(super) fn read_text<T>(text: &str, read: impl FnOnce(&Field<'_>) -> Option<T>) -> Result<T, Mistakes> {
    if text.trim().is_empty() {
        return Err(Mistakes(vec!["the text is empty; a config without settings is {}".to_owned()]));
    }
    let not_json = |cause: serde_json::Error| Mistakes(vec![format!("the text is not JSON: {cause}")]);
    read_value(&serde_json::from_str(text).map_err(not_json)?, read)
}

/// Reads settings that are nowhere.
///
/// # Errors
/// As [`read_text`].
pub(super) fn read_nothing<T>(read: impl FnOnce(&Object<'_>) -> Option<T>) -> Result<T, Mistakes> {
    read_value(&Value::Object(Map::new()), |whole| whole.object().and_then(|object| read(&object)))
}

fn read_value<T>(value: &Value, read: impl FnOnce(&Field<'_>) -> Option<T>) -> Result<T, Mistakes> {
    let found = RefCell::default();
    let read = read(&Field { path: String::new(), value, found: &found });
    match (read, found.into_inner()) {
        (Some(read), mistakes) if mistakes.is_empty() => Ok(read),
        (_, mistakes) => Err(Mistakes(mistakes)),
    }
}

/// A value and where it stands.
pub(super) struct Field<'a> {
    /// As in `methodConfig[2].timeout`; empty for the whole text.
    path: String,
    value: &'a Value,
    found: &'a RefCell<Vec<String>>,
}

impl<'a> Field<'a> {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Says what is wrong here.
    pub(super) fn mistake<T>(&self, what: impl fmt::Display) -> Option<T> {
        let place = if self.path.is_empty() { "the config" } else { &self.path };
        self.found.borrow_mut().push(format!("{place}: {what}"));
        None
    }

    fn is_not<T>(&self, wanted: impl fmt::Display) -> Option<T> {
        self.mistake(format!("{} is not {wanted}", shown(self.value)))
    }

    pub(super) fn object(&self) -> Option<Object<'a>> {
        let Value::Object(fields) = self.value else { return self.is_not("an object") };
        Some(Object { whole: Field { path: self.path.clone(), ..*self }, fields })
    }

    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Value::Array(values) = self.value else { return self.is_not("a list") };
        let element = |(at, value)| Field { path: format!("{}[{at}]", self.path), value, found: self.found };
        Some(values.iter().enumerate().map(element).collect())
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        let Value::String(text) = self.value else { return self.is_not("a string") };
        Some(text)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let Value::Bool(value) = self.value else { return self.is_not("true or false") };
        Some(*value)
    }

    /// A whole number, also one that is written `4.0` ([SC-05]).
    pub(super) fn unsigned(&self, range: RangeInclusive<u32>) -> Option<u32> {
        whole_number(self.value).filter(|number| range.contains(number)).or_else(|| {
            let (first, last) = range.into_inner();
            self.is_not(format!("a whole number from {first} to {last}"))
        })
    }

    /// A number above 0.
    pub(super) fn positive(&self) -> Option<f64> {
        self.value.as_f64().filter(|number| *number > 0.0).or_else(|| self.is_not("a number above 0"))
    }

    /// A number of 0 or more.
    pub(super) fn not_negative(&self) -> Option<f64> {
        self.value.as_f64().filter(|number| *number >= 0.0).or_else(|| self.is_not("a number of 0 or more"))
    }

    /// A length of time ([SC-04]).
    pub(super) fn duration(&self) -> Option<Duration> {
        let Value::String(text) = self.value else { return self.is_not("a string such as \"1.5s\"") };
        duration::parse(text).map_or_else(|what| self.mistake(what), Some)
    }

    pub(super) fn positive_duration(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() { self.mistake("it must be longer than 0s") } else { Some(duration) }
    }

    /// A number or a text, for who makes something of it that is neither.
    pub(super) fn number_or_text(&self, wanted: &str) -> Option<NumberOrText<'a>> {
        match self.value {
            Value::String(text) => Some(NumberOrText::Text(text)),
            value => match whole_number(value) {
                Some(number) => Some(NumberOrText::Number(number)),
                None => self.is_not(wanted),
            },
        }
    }

    /// The text of a wrong value, for a mistake.
    pub(super) fn shown(&self) -> String {
        shown(self.value)
    }
}

pub(super) enum NumberOrText<'a> {
    Number(u32),
    Text(&'a str),
}

/// A value that has fields.
pub(super) struct Object<'a> {
    whole: Field<'a>,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// A field; `None` when it is absent or null ([SC-03]).
    pub(super) fn field(&self, name: &str) -> Option<Field<'a>> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        Some(self.child(name, value))
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &str) -> Option<Field<'a>> {
        self.field(name).or_else(|| self.child(name, &Value::Null).mistake("it is missing"))
    }

    /// The only field, and its name.
    pub(super) fn only_field(&self) -> Option<(&'a str, Field<'a>)> {
        let mut fields = self.fields.iter();
        match (fields.next(), fields.next()) {
            (Some((name, value)), None) => Some((name, self.child(name, value))),
            _ => self.whole.mistake(format!("it must have exactly one field, and has {}", self.fields.len())),
        }
    }

    /// The names of the fields there are.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.fields.keys().map(String::as_str)
    }

    /// Says that fields of other names are wrong.
    pub(super) fn refuse_others(&self, known: &[&str]) {
        for (name, value) in self.fields.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            self.child(name, value).mistake::<()>(format!("it is not known; known are {}", known.join(", ")));
        }
    }

    /// Says what is wrong with the whole.
    pub(super) fn mistake<T>(&self, what: impl fmt::Display) -> Option<T> {
        self.whole.mistake(what)
    }

    fn child(&self, name: &str, value: &'a Value) -> Field<'a> {
        let parent = &self.whole.path;
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        Field { path, value, found: self.whole.found }
    }
}

fn whole_number(value: &Value) -> Option<u32> {
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number);
    let number = value.as_f64().filter(is_whole)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within range")]
    let number = number as u32;
    Some(number)
}

/// A wrong value, short enough for a line of text.
fn shown(value: &Value) -> String {
    const MOST_CHARACTERS: usize = 40;

    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.chars().count() > MOST_CHARACTERS => {
            let start: String = text.chars().take(MOST_CHARACTERS).collect();
            format!("{start:?}…")
        }
        Value::String(text) => format!("{text:?}"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistakes of reading this text.
    fn mistakes<T: fmt::Debug>(text: &str, read: impl FnOnce(&Field<'_>) -> Option<T>) -> String {
        read_text(text, read).expect_err(text).to_string()
    }

    /// [SC-01]
    #[test]
    fn what_is_no_json_says_where() {
        let read = |text| mistakes(text, |whole| whole.object().map(drop));
        assert_eq!(read(""), "the text is empty; a config without settings is {}");
        assert_eq!(read(" \n"), "the text is empty; a config without settings is {}");
        assert_eq!(read("{\"a\":}"), "the text is not JSON: expected value at line 1 column 6");
        assert_eq!(read("[]"), "the config: a list is not an object");
        assert_eq!(read("null"), "the config: null is not an object");
        // It must not be read to the end of the stack either.
        assert!(read(&"[".repeat(100_000)).contains("recursion limit"));
    }

    /// [SC-08]
    #[test]
    fn each_mistake_is_told_with_its_path() {
        let text = "{\"a\": [{\"b\": 1}, 2], \"c\": true}";
        let all = mistakes(text, |whole| {
            let object = whole.object()?;
            for element in object.field("a")?.list()? {
                element.object().and_then(|element| element.field("b")?.text());
            }
            object.field("c")?.unsigned(1..=2);
            object.required("d").map(drop)
        });
        let lines = ["4 mistakes", "a[0].b: 1 is not a string", "a[1]: 2 is not an object"];
        let more = ["c: true is not a whole number from 1 to 2", "d: it is missing"];
        assert_eq!(all, [&lines[..], &more[..]].concat().join("\n  "));
    }

    /// [SC-05]
    #[test]
    fn whole_numbers_may_be_written_with_a_point_and_keep_within_their_range() {
        let read = |text: &str| read_text(text, |whole| whole.unsigned(1..=u32::MAX));
        assert_eq!(
            [read("1"), read("4.0"), read("4e2"), read("4294967295")].map(Result::ok),
            [Some(1), Some(4), Some(400), Some(u32::MAX)]
        );
        for wrong in ["0", "-1", "4.5", "4294967296", "\"4\"", "true", "1e300", "[]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn long_values_are_told_by_their_beginning() {
        let told = mistakes(&format!("{:?}", "ü".repeat(1_000)), |whole| whole.boolean());
        assert_eq!(told, format!("the config: \"{}\"… is not true or false", "ü".repeat(40)));
    }
}
