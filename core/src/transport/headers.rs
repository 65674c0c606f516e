//! Request and response headers: gRPC's names, `grpc-timeout`, metadata, the status in the trailers. No I/O.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use once_cell::race::OnceBox;

use super::compression::{Compression, Encodings};
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::metadata::{Metadata, is_binary, is_reserved};
use crate::percent;
use crate::status::Status;

/// Sent unpadded, read either way ([WIRE-60] to [WIRE-62]).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// What every request of a channel has in common.
#[derive(Clone, Debug)]
pub(crate) struct RequestTemplate {
    scheme: Scheme,
    authority: Authority,
    /// The headers of every request, in their order. Cloning a map is cheaper than filling one.
    headers: Arc<HeaderMap>,
}

impl RequestTemplate {
    /// # Errors
    /// [`ErrorKind::BadOption`] naming the user agent that no header can carry.
    pub(crate) fn new(
        is_secure: bool,
        authority: Authority,
        user_agent: &str,
        reads: Encodings,
    ) -> Result<Self, Error> {
        let user_agent = HeaderValue::try_from(user_agent).map_err(|_| {
            Error::new(
                ErrorKind::BadOption,
                format!("user agent {user_agent:?} has a character that no header may have"),
            )
        })?;
        let scheme = if is_secure { Scheme::HTTPS } else { Scheme::HTTP };
        Ok(Self::of(scheme, authority, user_agent, reads))
    }

    fn of(scheme: Scheme, authority: Authority, user_agent: HeaderValue, reads: Encodings) -> Self {
        let accepted = HeaderValue::from_static(reads.names());
        // Made of a text that stays, so that copies of it are not counted. A process's channels mostly have the same user agent.
        static FIRST: OnceBox<Arc<HeaderMap>> = OnceBox::new();
        let first = FIRST.get_or_init(|| {
            let stays = user_agent.to_str().ok().map(|text| &*Box::leak(Box::<str>::from(text)));
            let user_agent = stays.map_or_else(|| user_agent.clone(), HeaderValue::from_static);
            Box::new(Arc::new(common(user_agent, accepted.clone())))
        });
        let is_same = first.get(USER_AGENT) == Some(&user_agent) && first.get(GRPC_ACCEPT_ENCODING) == Some(&accepted);
        let headers = if is_same { Arc::clone(first) } else { Arc::new(common(user_agent, accepted)) };
        Self { scheme, authority, headers }
    }

    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }
}

fn common(user_agent: HeaderValue, accepted: HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(GRPC_ACCEPT_ENCODING, accepted);
    headers.insert(USER_AGENT, user_agent);
    headers
}

/// A method's path, checked: `/package.Service/Method` ([WIRE-24]).
#[derive(Clone, Debug)]
pub(crate) struct MethodPath(PathAndQuery);

impl MethodPath {
    /// # Errors
    /// [`ErrorKind::State`] naming the method when it has no leading slash or cannot be a path.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |what: &str| {
            Error::new(ErrorKind::State, format!("method {text:?} {what}; write \"/package.Service/Method\""))
        };
        if !text.starts_with('/') {
            return Err(refuse("does not start with '/'"));
        }
        if text.contains(['?', '#']) {
            return Err(refuse("has a query or fragment"));
        }
        PathAndQuery::try_from(text).map(Self).map_err(|_| refuse("has a character that no path has"))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Whether calls can be made to this method: `/package.Service/Method`.
///
/// # Errors
/// [`ErrorKind::State`] naming the method and what is wrong with it, as when a call is started.
pub fn check_method(method: &str) -> Result<(), Error> {
    MethodPath::parse(method).map(drop)
}

/// Checks an authority given by an option or a call.
///
/// # Errors
/// [`ErrorKind::BadOption`] naming it.
pub(crate) fn parse_authority(text: &str) -> Result<Authority, Error> {
    Authority::try_from(text).map_err(|cause| {
        let text = format!("authority {text:?} cannot be used: {cause}; write \"host\" or \"host:port\"");
        Error::new(ErrorKind::BadOption, text)
    })
}

/// An authority's host, without brackets.
pub(crate) fn host_of(authority: &Authority) -> &str {
    authority.host().trim_matches(['[', ']'])
}

/// The request head. `remaining` is the time left until the deadline ([WIRE-42]), `previous_attempts` how many attempts of the call the server
/// is to know of ([RPOL-27]).
///
/// # Errors
/// A metadata value that HTTP cannot carry; validation should have refused it.
pub(crate) fn request(
    template: &RequestTemplate,
    method: &MethodPath,
    authority: Option<&Authority>,
    metadata: &Metadata,
    remaining: Option<Duration>,
    previous_attempts: u32,
    compression: Compression,
) -> Result<Request<()>, Failure> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(template.scheme.clone());
    parts.authority = Some(authority.unwrap_or(&template.authority).clone());
    parts.path_and_query = Some(method.0.clone());
    let uri = Uri::from_parts(parts)
        .map_err(|cause| Failure::Internal { text: format!("the request's address cannot be built: {cause}") })?;

    let mut headers = match remaining {
        None if metadata.is_empty() && compression == Compression::Identity => HeaderMap::clone(&template.headers),
        _ => headers(template, metadata, remaining, compression)?,
    };
    if previous_attempts > 0 {
        headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from(previous_attempts));
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// How large the server finds a request's headers, by RFC 9113 §6.5.2 ([WIRE-70]).
pub(super) fn size_of(request: &Request<()>) -> u64 {
    let (uri, method) = (request.uri(), request.method());
    let text = |text: Option<&str>| text.map_or(0, str::len);
    let pseudo = [
        (":method", method.as_str().len()),
        (":scheme", text(uri.scheme_str())),
        (":authority", text(uri.authority().map(Authority::as_str))),
        (":path", text(uri.path_and_query().map(PathAndQuery::as_str))),
    ];
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.len()));
    headers.chain(pseudo).map(|(name, value)| (name.len() + value + 32) as u64).sum()
}

fn headers(
    template: &RequestTemplate,
    metadata: &Metadata,
    remaining: Option<Duration>,
    compression: Compression,
) -> Result<HeaderMap, Failure> {
    let too_many = || Failure::TooMuchMetadata { entries: metadata.len() };
    let mut headers = HeaderMap::try_with_capacity(6 + metadata.len()).map_err(|_| too_many())?;
    // [WIRE-29]: what a receiver acts on comes first.
    if let Some(remaining) = remaining {
        headers.insert(GRPC_TIMEOUT, encode_timeout(remaining));
    }
    if compression != Compression::Identity {
        headers.insert(GRPC_ENCODING, HeaderValue::from_static(compression.name()));
    }
    headers.extend(template.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    for (key, value) in metadata.iter().filter(|(key, _)| !is_reserved(key)) {
        let bad = |_| Failure::Internal { text: format!("Invalid metadata: key {key:?} cannot be sent") };
        let name = HeaderName::from_bytes(key.as_bytes()).map_err(|_| bad(()))?;
        let value = if is_binary(key) {
            HeaderValue::try_from(BASE64.encode(value)).map_err(|_| bad(()))?
        } else {
            HeaderValue::from_maybe_shared(value.clone()).map_err(|_| bad(()))?
        };
        headers.try_append(name, value).map_err(|_| too_many())?;
    }
    Ok(headers)
}

/// [WIRE-40], [WIRE-44]: the finest unit that holds the value in eight digits, rounded up.
fn encode_timeout(remaining: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let nanoseconds = remaining.as_nanos().max(1);
    let units: [(u128, char); 6] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    let fitting =
        units.iter().map(|(length, unit)| (nanoseconds.div_ceil(*length), unit)).find(|(value, _)| *value <= MOST);
    let (value, unit) = fitting.unwrap_or((MOST, &'H'));
    HeaderValue::try_from(format!("{value}{unit}")).unwrap_or(HeaderValue::from_static("99999999H"))
}

/// How response headers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderRules {
    /// The largest block, by RFC 9113 §6.5.2.
    pub(crate) limit: u64,
    /// Whether `content-type` is shown among the metadata: only the library whose words are used decides.
    pub(crate) shows_content_type: bool,
}

/// What a response's headers or trailers say, library headers taken out.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) metadata: Metadata,
    /// The status, if there is a `grpc-status`.
    pub(crate) status: Option<Status>,
    /// What its messages are compressed with.
    pub(super) encoding: Option<&'a HeaderValue>,
    /// What the server reads.
    pub(super) accept_encoding: Option<&'a HeaderValue>,
    content_type: Option<&'a HeaderValue>,
}

impl<'a> Fields<'a> {
    /// Reads a header block, in one pass. `content-type` stays among the metadata only if `shows_content_type`.
    ///
    /// # Errors
    /// It is larger than `limit` ([WIRE-72]), or holds broken base64 ([WIRE-64]) or an unreadable status.
    pub(crate) fn read(headers: &'a HeaderMap, rules: HeaderRules) -> Result<Self, Failure> {
        let mut size = 0;
        let mut metadata = Metadata::new();
        let (mut statuses, mut message, mut content_type) = (Statuses::default(), None, None);
        let (mut encoding, mut accept_encoding, mut broken) = (None, None, None);
        for (name, value) in headers {
            let key = name.as_str();
            size += (key.len() + value.len() + 32) as u64;
            if size > rules.limit {
                // Only its size is of interest any more.
                continue;
            }
            match key {
                "grpc-status" => statuses.add(value),
                "grpc-message" => message = message.or(Some(value)),
                "grpc-encoding" => encoding = encoding.or(Some(value)),
                "grpc-accept-encoding" => accept_encoding = accept_encoding.or(Some(value)),
                "content-type" => {
                    content_type = content_type.or(Some(value));
                    if rules.shows_content_type {
                        metadata.append_received(key, Bytes::copy_from_slice(value.as_bytes()));
                    }
                }
                _ if is_binary(key) => {
                    if append_binary(&mut metadata, key, value).is_none() {
                        let rule = format!("the server sent metadata {key:?} that is not base64");
                        broken = broken.or(Some(Failure::Protocol { rule }));
                    }
                }
                _ => metadata.append_received(key, Bytes::copy_from_slice(value.as_bytes())),
            }
        }
        if size > rules.limit {
            return Err(Failure::HeadersTooLarge { size, limit: rules.limit });
        }
        match broken {
            Some(failure) => Err(failure),
            None => Ok(Self { metadata, status: statuses.read(message)?, encoding, accept_encoding, content_type }),
        }
    }

    /// [WIRE-130]
    pub(crate) fn is_grpc(&self) -> bool {
        let Some(rest) = self.content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc")) else {
            return false;
        };
        rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";")
    }

    pub(crate) fn content_type(&self) -> Option<String> {
        self.content_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

/// [WIRE-63]: joined values are parted before decoding. `None` when a part is not base64.
fn append_binary(metadata: &mut Metadata, key: &str, value: &HeaderValue) -> Option<()> {
    for piece in value.as_bytes().split(|byte| *byte == b',') {
        metadata.append_received(key, BASE64.decode(piece.trim_ascii()).ok()?.into());
    }
    Some(())
}

/// The values of `grpc-status`: the first, and one that contradicts it.
#[derive(Default)]
struct Statuses<'a> {
    first: Option<&'a HeaderValue>,
    other: Option<&'a HeaderValue>,
}

impl<'a> Statuses<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        match self.first {
            None => self.first = Some(value),
            Some(first) if first != value => self.other = self.other.or(Some(value)),
            Some(_) => {}
        }
    }

    /// [WIRE-135] to [WIRE-141]
    fn read(&self, message: Option<&HeaderValue>) -> Result<Option<Status>, Failure> {
        let Some(value) = self.first else { return Ok(None) };
        if let Some(other) = self.other {
            return Err(Failure::NoStatus { found: format!("two different ones, {value:?} and {other:?}") });
        }
        let digits =
            std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(number) = digits.and_then(|text| text.parse::<u32>().ok()) else {
            return Err(Failure::NoStatus { found: format!("{value:?}") });
        };
        let message = message.map_or_else(String::new, |value| decode_message(value.as_bytes()));
        Ok(Some(Status::from_peer(i64::from(number), message)))
    }
}

/// [WIRE-139], [WIRE-140]: escapes are decoded; what is no escape, or would not be UTF-8, stays as it is.
fn decode_message(encoded: &[u8]) -> String {
    let bytes = percent::decode(encoded);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("%{byte:02X}")));
    }
    text
}

#[cfg(test)]
mod tests;
