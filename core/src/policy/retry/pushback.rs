//! What a failed attempt's trailers say of another one: the server's pushback (A6), and `google.rpc.RetryInfo` among the details of its status.

use std::time::Duration;

use crate::metadata::Metadata;
use crate::protobuf::{Fields, Value};

/// The trailer by which a server says when to come again.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The trailer that holds a serialized `google.rpc.Status`.
const DETAILS: &str = "grpc-status-details-bin";

/// How the type of the detail that is looked for ends; what is before it says where the type is described.
const RETRY_INFO: &[u8] = b"/google.rpc.RetryInfo";

/// What a failed attempt's trailers say of another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) pushback: Pushback,
    /// The shortest wait the details ask for; whoever follows a pushback does not look at it.
    pub(crate) retry_info: Option<Duration>,
}

/// A server's pushback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pushback {
    /// It says nothing.
    #[default]
    None,
    /// After exactly so long, perhaps at once ([PUSH-02]).
    After(Duration),
    /// Not again ([PUSH-03]).
    Never,
}

impl Advice {
    pub(crate) fn of(trailing: &Metadata) -> Self {
        Self { pushback: pushback(trailing), retry_info: trailing.get(DETAILS).and_then(|status| retry_delay(status)) }
    }
}

/// [PUSH-01], [PUSH-03]: whoever cannot be understood is not asked again.
fn pushback(trailing: &Metadata) -> Pushback {
    let mut values = trailing.iter().filter(|(key, _)| *key == PUSHBACK).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Pushback::None,
        (Some(value), None) => milliseconds(value)
            .map_or(Pushback::Never, |milliseconds| Pushback::After(Duration::from_millis(milliseconds))),
        (Some(_), Some(_)) => Pushback::Never,
    }
}

/// A decimal number that a signed one of 32 bits holds; `None` for all else, negative ones too.
fn milliseconds(value: &[u8]) -> Option<u64> {
    // Rust would take a plus sign, the protocol does not.
    let text = std::str::from_utf8(value).ok().filter(|text| !text.starts_with('+'))?;
    text.parse::<i32>().ok().and_then(|number| u64::try_from(number).ok())
}

/// The delay of the first RetryInfo in a `google.rpc.Status`; details that are broken say nothing.
fn retry_delay(status: &[u8]) -> Option<Duration> {
    const STATUS_DETAILS: u32 = 3;

    let mut delay = None;
    for field in Fields::of(status) {
        if let (STATUS_DETAILS, Value::Bytes(any)) = field?
            && delay.is_none()
        {
            delay = retry_info(any)?;
        }
    }
    delay
}

/// The delay of a `google.protobuf.Any`, if it holds a RetryInfo that has one. The outer `None` is a broken one.
#[expect(clippy::option_option, reason = "broken is not the same as another detail")]
fn retry_info(any: &[u8]) -> Option<Option<Duration>> {
    const TYPE_URL: u32 = 1;
    const VALUE: u32 = 2;
    const RETRY_DELAY: u32 = 1;

    let (mut type_url, mut message) = (&[][..], &[][..]);
    for field in Fields::of(any) {
        match field? {
            (TYPE_URL, Value::Bytes(url)) => type_url = url,
            (VALUE, Value::Bytes(value)) => message = value,
            _ => {}
        }
    }
    if !type_url.ends_with(RETRY_INFO) {
        return Some(None);
    }
    let mut delay = None;
    for field in Fields::of(message) {
        if let (RETRY_DELAY, Value::Bytes(value)) = field? {
            delay = Some(duration(value)?);
        }
    }
    Some(delay)
}

/// A `google.protobuf.Duration` that is not negative.
fn duration(message: &[u8]) -> Option<Duration> {
    const SECONDS: u32 = 1;
    const NANOS: u32 = 2;
    // Protobuf's own bound, ten thousand years.
    const MOST_SECONDS: u64 = 315_576_000_000;

    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::of(message) {
        match field? {
            (SECONDS, Value::Varint(value)) => seconds = value,
            (NANOS, Value::Varint(value)) => nanos = value,
            _ => {}
        }
    }
    // A negative number is larger than any bound here.
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    (seconds <= MOST_SECONDS).then(|| Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn trailers(entries: &[(&str, &[u8])]) -> Metadata {
        let mut metadata = Metadata::new();
        for (key, value) in entries {
            metadata.append_received(key, Bytes::copy_from_slice(value));
        }
        metadata
    }

    /// [PUSH-01], [PUSH-03]
    #[test]
    fn a_pushback_is_a_number_of_milliseconds_or_forbids_another_attempt() {
        let after = |milliseconds| Pushback::After(Duration::from_millis(milliseconds));
        let table: [(&[&[u8]], Pushback); 15] = [
            (&[], Pushback::None),
            (&[b"0"], after(0)),
            (&[b"1"], after(1)),
            (&[b"2147483647"], after(2_147_483_647)),
            (&[b"007"], after(7)),
            (&[b"-1"], Pushback::Never),
            (&[b"-2147483648"], Pushback::Never),
            (&[b"2147483648"], Pushback::Never),
            (&[b""], Pushback::Never),
            (&[b" 1"], Pushback::Never),
            (&[b"+1"], Pushback::Never),
            (&[b"1.5"], Pushback::Never),
            (&[b"abc"], Pushback::Never),
            (&[b"\xff"], Pushback::Never),
            (&[b"5", b"5"], Pushback::Never),
        ];
        for (values, wanted) in table {
            let entries: Vec<_> = values.iter().map(|value| (PUSHBACK, *value)).collect();
            assert_eq!(Advice::of(&trailers(&entries)).pushback, wanted, "{values:?}");
        }
    }

    /// A field that holds bytes.
    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).expect("short");
        assert!(length < 128, "its length is one byte");
        [&[number << 3 | 2, length][..], value].concat()
    }

    fn detail(type_url: &str, value: &[u8]) -> Vec<u8> {
        bytes(3, &[bytes(1, type_url.as_bytes()), bytes(2, value)].concat())
    }

    const TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";

    fn told(status: &[u8]) -> Option<Duration> {
        Advice::of(&trailers(&[(DETAILS, status)])).retry_info
    }

    /// `code: 14 message: "busy" details { [type.googleapis.com/google.rpc.RetryInfo] { retry_delay { seconds: 2 nanos: 500000000 } } }`,
    /// laid out by protobuf's rules.
    #[test]
    fn the_delay_of_a_retry_info_is_found() {
        let status = b"\x08\x0e\x12\x04busy\x1a\x37\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01";
        assert_eq!(told(&status[..]).map(|delay| delay.as_secs_f64()), None, "its length is wrong by one");
        let status = b"\x08\x0e\x12\x04busy\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01";
        assert_eq!(told(&status[..]), Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn details_without_a_delay_or_that_are_broken_say_nothing() {
        let delay = |duration: &[u8]| detail(TYPE, &bytes(1, duration));
        let two_seconds = delay(b"\x08\x02");
        let other = detail("type.googleapis.com/google.rpc.DebugInfo", b"\xff");
        let negative = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let negative_nanos = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let table: [(Vec<u8>, Option<u64>); 12] = [
            (Vec::new(), None),
            (two_seconds.clone(), Some(2)),
            ([other.clone(), two_seconds.clone()].concat(), Some(2)),
            ([two_seconds.clone(), delay(b"\x08\x05")].concat(), Some(2)),
            (other, None),
            (detail(TYPE, b""), None),
            (detail("google.rpc.RetryInfo", &bytes(1, b"\x08\x02")), None),
            (delay(b""), Some(0)),
            (delay(negative), None),
            (delay(negative_nanos), None),
            (delay(b"\x08\x81\x80\x80\xd1\x97\x09"), None),
            ([two_seconds, b"\x12\x7f".to_vec()].concat(), None),
        ];
        for (status, seconds) in table {
            assert_eq!(told(&status), seconds.map(Duration::from_secs), "{status:?}");
        }
    }

    proptest! {
        #[test]
        fn any_trailers_are_read(value in proptest::collection::vec(any::<u8>(), 0..32), status in proptest::collection::vec(any::<u8>(), 0..64)) {
            let advice = Advice::of(&trailers(&[(PUSHBACK, &value), (DETAILS, &status)]));
            prop_assert_ne!(advice.pushback, Pushback::None);
        }
    }
}
