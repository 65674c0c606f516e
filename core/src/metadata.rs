//! Metadata: the key-value pairs a call sends and receives.
//!
//! Order is kept and keys may repeat. A key is lower-case ASCII ([WIRE-50]); one that ends in `-bin` carries raw bytes
//! ([WIRE-60]), any other carries printable ASCII ([WIRE-51]). Validation happens here, once, so the rooms inside need none.

use bytes::Bytes;

use crate::error::{Error, ErrorKind};

/// An ordered list of metadata entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: Vec<(Box<str>, Bytes)>,
}

impl Metadata {
    /// No entries; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds an entry at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Metadata`] naming the key and the rule it or its value breaks.
    pub fn append(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), Error> {
        let value = value.into();
        check_key(key)?;
        if !is_binary(key) {
            check_ascii_value(key, &value)?;
        }
        self.entries.push((key.into(), value));
        Ok(())
    }

    /// Like [`Metadata::append`], after folding upper-case ASCII letters of the key to lower case.
    ///
    /// # Errors
    /// As [`Metadata::append`].
    pub fn append_lower_casing(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), Error> {
        if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.append(&key.to_ascii_lowercase(), value);
        }
        self.append(key, value)
    }

    /// Adds an entry that came from the peer, which may hold what we would not send ([WIRE-51]).
    pub(crate) fn append_received(&mut self, key: &str, value: Bytes) {
        self.entries.push((key.into(), value));
    }

    /// Adds the entries of another one behind its own.
    pub(crate) fn append_all(&mut self, other: Self) {
        if self.entries.is_empty() {
            self.entries = other.entries;
        } else {
            self.entries.extend(other.entries);
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Whether values of this key are raw bytes.
#[must_use]
pub fn is_binary(key: &str) -> bool {
    key.ends_with("-bin")
}

/// Headers the engine sets, or that HTTP/2 forbids; an application's copy never reaches the wire ([WIRE-54] to [WIRE-56]).
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    matches!(
        key,
        "te" | "content-type"
            | "user-agent"
            | "host"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "grpc-timeout"
            | "grpc-encoding"
            | "grpc-accept-encoding"
            | "grpc-status"
            | "grpc-message"
            | "grpc-message-type"
            | "grpc-previous-rpc-attempts"
    )
}

/// Whether this may be the name of an entry.
///
/// # Errors
/// [`ErrorKind::Metadata`] naming the key and the rule it breaks.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let refuse = |rule: &str| Err(Error::new(ErrorKind::Metadata, format!("metadata key {key:?} {rule}")));
    if key.is_empty() {
        return refuse("is empty; give it a name");
    }
    if key.starts_with(':') {
        return refuse("starts with ':'; pseudo-headers are set by the engine");
    }
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return refuse("has upper-case letters; use lower case");
    }
    if !key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-' | b'.')) {
        return refuse("has a character outside 0-9 a-z _ - .");
    }
    Ok(())
}

fn check_ascii_value(key: &str, value: &[u8]) -> Result<(), Error> {
    // The value itself may be a secret, so only the offending byte and its place are told.
    match value.iter().position(|byte| !matches!(byte, 0x20..=0x7e)) {
        None => Ok(()),
        Some(at) => Err(Error::new(
            ErrorKind::Metadata,
            format!(
                "metadata value of {key:?} has byte 0x{:02x} at index {at}, outside printable ASCII; a key ending in \"-bin\" may carry any bytes",
                value[at]
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str, value: &'static [u8]) -> String {
        let error = Metadata::new().append(key, Bytes::from_static(value)).expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Metadata);
        error.message().to_owned()
    }

    /// [WIRE-50], [WIRE-53]
    #[test]
    fn bad_keys_are_refused_with_the_rule_they_break() {
        assert!(refusal("", b"v").contains("is empty"));
        assert!(refusal(":path", b"v").contains("pseudo-headers"));
        assert!(refusal("Upper", b"v").contains("upper-case"));
        assert!(refusal("a b", b"v").contains("outside 0-9 a-z"));
        assert!(refusal("naïve", b"v").contains("outside 0-9 a-z"));
    }

    /// [WIRE-51]
    #[test]
    fn ascii_values_are_checked_and_never_repeated_in_the_error() {
        let text = refusal("token", b"secret\n");
        assert!(text.contains("0x0a at index 6"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    /// [WIRE-60], [WIRE-65]
    #[test]
    fn binary_keys_take_any_bytes_and_none() {
        let mut metadata = Metadata::new();
        metadata.append("raw-bin", Bytes::from_static(&[0, 255])).expect("raw bytes");
        metadata.append("raw-bin", Bytes::new()).expect("empty");
        assert_eq!(metadata.len(), 2);
    }

    /// [WIRE-52]
    #[test]
    fn repeated_keys_keep_their_order() {
        let mut metadata = Metadata::new();
        for value in ["1", "2", "3"] {
            metadata.append_lower_casing("Key", value).expect("valid");
        }
        let seen: Vec<_> = metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        assert_eq!(seen, ["1", "2", "3"].map(|value| ("key".to_owned(), Bytes::from_static(value.as_bytes()))));
        assert_eq!(metadata.get("key").map(|value| &value[..]), Some(&b"1"[..]));
    }
}
