//! What programs ask for.

use std::time::Duration;

use super::input::Input;
use crate::metadata::{Metadata, is_reserved};
use crate::transport::compression::{Compression, Encodings};
use crate::transport::headers::{
    Fields, HeaderRules, MethodPath, RequestTemplate, parse_authority, request as head_of,
};

/// Lines: a method, an authority, a user agent, a timeout in nanoseconds, and `key: value` for each entry of metadata.
///
/// What passes the border can be sent, and is sent as it is ([WIRE-24], [WIRE-50] to [WIRE-54]).
pub fn request(data: &[u8]) {
    let mut input = Input(data);
    let (method, authority, user_agent) = (input.line(), input.line(), input.line());
    let timeout = input.line().parse().ok().map(Duration::from_nanos);
    let mut metadata = Metadata::new();
    while !input.is_over() {
        let line = input.line();
        if let Some((key, value)) = line.split_once(": ") {
            // One that is refused is not there.
            let _ = metadata.append_lower_casing(key, value.as_bytes().to_vec());
        }
    }
    let (Ok(method), Ok(authority)) = (MethodPath::parse(method), parse_authority(authority)) else { return };
    let Ok(template) = RequestTemplate::new(true, authority, user_agent, Encodings::IDENTITY) else { return };
    let sent = head_of(&template, &method, None, &metadata, timeout, 0, Compression::Identity)
        .unwrap_or_else(|failure| panic!("{failure:?}"));
    let has_timeout = sent.headers().contains_key("grpc-timeout");
    assert_eq!(has_timeout, timeout.is_some());

    let rules = HeaderRules { limit: u64::MAX, shows_content_type: false };
    let read = Fields::read(sent.headers(), rules).unwrap_or_else(|failure| panic!("{failure:?}"));
    let of_library = |key: &str| is_reserved(key);
    let mine = |metadata: &Metadata| {
        let mut entries: Vec<_> = metadata
            .iter()
            .filter(|(key, _)| !of_library(key))
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        // The HTTP library keeps the order of the values of a key; that of keys says nothing.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries
    };
    assert_eq!(mine(&read.metadata), mine(&metadata));
}
