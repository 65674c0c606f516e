//! The one table of failures the engine itself reports: what happened × in whose words → code and opening words.
//!
//! The same failure reads the same in every language. A face that stands in for another library asks for that library's
//! opening words, because users match on them; what follows (the trail, see `observe/trail.rs`) is the same for all.

use std::fmt;
use std::time::Duration;

use crate::status::Code;

/// Whose opening words local errors use, and whose headers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// linkspan's own words.
    #[default]
    Native,
    /// The words of Python's grpcio.
    Grpcio,
    /// The words of Node's grpc-js.
    GrpcJs,
}

/// What is said of a call that was running when the process forked, in the child.
pub const CANCELLED_BY_FORK: &str = "Call cancelled in fork child";

/// Something that ended a call without a status from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The deadline passed `timeout` after the start.
    DeadlineExceeded {
        /// The length the caller asked for; `None` when the deadline was past at the start.
        timeout: Option<Duration>,
    },
    /// The caller cancelled, with this code and text.
    Cancelled {
        /// The code the caller chose.
        code: Code,
        /// The caller's text, told as it is.
        text: String,
    },
    /// The channel was closed while this call was waiting for a connection, or before it was made.
    ChannelClosed,
    /// The channel was closed and its grace time was over while this call was running.
    ChannelClosedWhileRunning,
    /// The process was forked while this call was running; it is the parent's, and this is the child.
    Forked,
    /// As many calls as may wait do.
    TooManyQueued {
        /// The limit.
        limit: u64,
        /// What the call would have waited for; `None` is a connection, or a stream on one.
        reached: Option<CallLimit>,
    },
    /// No address could be connected.
    ConnectFailed {
        /// The address and cause of the last failure.
        last_error: String,
    },
    /// No endpoint that a call could go to by its place on the ring could be connected ([LB-64]).
    RingFailed {
        /// The address and cause of the last failure.
        last_error: String,
    },
    /// Calls are to be sent by a header's value, and nothing says by which header's ([LB-63]).
    NoRequestHash,
    /// Addresses are connected, and none of them is fit to be used.
    Unhealthy,
    /// Addresses are connected, and the circuit breakers of all of them are open.
    BreakersOpen,
    /// The name could not be resolved.
    ResolveFailed {
        /// The name.
        target: String,
        /// Why.
        cause: String,
    },
    /// The host's own resolver failed, or a resolver's service config cannot be used.
    ResolverFailed {
        /// The target.
        target: String,
        /// Why.
        cause: String,
    },
    /// The connection ended under the call.
    ConnectionLost {
        /// How it ended.
        cause: String,
    },
    /// The server closed the stream with this HTTP/2 error code.
    StreamReset {
        /// RFC 9113 §7.
        http2_code: u32,
    },
    /// The server said it did not process the stream ([WIRE-191]), or refused it ([WIRE-165]).
    Refused {
        /// What the server said.
        cause: String,
    },
    /// A message from the server is larger than the limit.
    ReceivedTooLarge {
        /// Its size in bytes, prefix excluded.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A compressed message from the server holds more than the limit; how much was not read.
    DecompressedTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A message to be sent is larger than the limit.
    SentTooLarge {
        /// Its size in bytes, prefix excluded.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are more metadata entries to send than a header block can hold.
    TooMuchMetadata {
        /// How many.
        entries: usize,
    },
    /// The request's headers are larger than the server takes ([WIRE-73]).
    SentHeadersTooLarge {
        /// Their size by RFC 9113 §6.5.2.
        size: u64,
        /// What the server said.
        limit: u64,
    },
    /// A header block is larger than the limit ([WIRE-72]).
    HeadersTooLarge {
        /// Its size by RFC 9113 §6.5.2.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The server answered with an HTTP status and no gRPC status ([WIRE-160]).
    HttpStatus {
        /// The HTTP status.
        http: u16,
        /// What the response called itself.
        content_type: Option<String>,
        /// The beginning of its body, as far as it has come with its headers ([WIRE-161]).
        body: Box<str>,
    },
    /// The server ended the stream without a usable `grpc-status` ([WIRE-150], [WIRE-137]).
    NoStatus {
        /// What was there instead.
        found: String,
    },
    /// The server broke a rule of gRPC's framing.
    Protocol {
        /// Which.
        rule: String,
    },
    /// A single response was due and none came ([WIRE-157]).
    NoMessage,
    /// A single response was due and more came ([WIRE-158]).
    SecondMessage,
    /// The call names an authority that the server has not shown to be ([NAME-34]).
    AuthorityNotValid {
        /// What the call names.
        authority: String,
        /// What the server's certificate is for instead, or why it cannot be for this.
        cause: String,
    },
    /// Call credentials failed.
    CredentialsFailed {
        /// What their plug-in failed with; not every code may be a call's ([A54-2]).
        code: Code,
        /// The plug-in's text.
        text: String,
    },
    /// There are call credentials, and the channel's connections are not secure.
    CredentialsOnInsecure,
    /// A bug in linkspan.
    Internal {
        /// What is known.
        text: String,
    },
}

/// A limit of calls in flight, as many as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallLimit {
    /// Of the whole channel.
    OfChannel(u32),
    /// Of each address.
    OfAddress(u32),
}

impl fmt::Display for CallLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfChannel(most) => {
                write!(f, "limit reached: {most} of {most} calls in flight (linkspan.max_concurrent_requests)")
            }
            Self::OfAddress(most) => {
                let key = "linkspan.max_concurrent_requests_per_address";
                write!(f, "limit reached: {most} of {most} calls in flight to each address ({key})")
            }
        }
    }
}

impl Failure {
    /// The status code; it does not depend on the dialect.
    #[must_use]
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Self::Cancelled { code, .. } => *code,
            Self::ChannelClosedWhileRunning | Self::Forked => Code::Cancelled,
            Self::ChannelClosed
            | Self::ConnectFailed { .. }
            | Self::RingFailed { .. }
            | Self::Unhealthy
            | Self::BreakersOpen
            | Self::ResolveFailed { .. }
            | Self::ResolverFailed { .. }
            | Self::ConnectionLost { .. }
            | Self::Refused { .. }
            | Self::AuthorityNotValid { .. } => Code::Unavailable,
            Self::StreamReset { http2_code } => code_of_reset(*http2_code),
            Self::TooManyQueued { .. }
            | Self::ReceivedTooLarge { .. }
            | Self::DecompressedTooLarge { .. }
            | Self::SentTooLarge { .. }
            | Self::TooMuchMetadata { .. }
            | Self::SentHeadersTooLarge { .. }
            | Self::HeadersTooLarge { .. } => Code::ResourceExhausted,
            Self::HttpStatus { http, .. } => code_of_http_status(*http),
            Self::NoStatus { .. } => Code::Unknown,
            Self::NoMessage | Self::SecondMessage => Code::Unimplemented,
            Self::CredentialsFailed { code, .. } if code.is_for_applications() => Code::Internal,
            Self::CredentialsFailed { code, .. } => *code,
            Self::CredentialsOnInsecure => Code::Unauthenticated,
            Self::NoRequestHash | Self::Protocol { .. } | Self::Internal { .. } => Code::Internal,
        }
    }

    /// The same failure where a call's place on the ring says which endpoints it could go to.
    #[must_use]
    pub(crate) fn on_ring(self) -> Self {
        match self {
            Self::ConnectFailed { last_error } => Self::RingFailed { last_error },
            other => other,
        }
    }

    /// Whether it says why no addresses are known.
    #[must_use]
    pub(crate) fn is_of_look_up(&self) -> bool {
        matches!(self, Self::ResolveFailed { .. } | Self::ResolverFailed { .. })
    }

    /// Whether the text is the caller's own and stands alone, with no trail after it.
    #[must_use]
    pub(crate) fn is_callers_own(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// The opening words.
    #[must_use]
    pub(crate) fn words(&self, dialect: Dialect) -> String {
        match self {
            Self::DeadlineExceeded { timeout } => match (dialect, timeout) {
                (Dialect::Native, _) => "deadline exceeded".into(),
                (Dialect::Grpcio, _) => "Deadline Exceeded".into(),
                (Dialect::GrpcJs, timeout) => {
                    format!("Deadline exceeded after {:.3}s", timeout.unwrap_or_default().as_secs_f64())
                }
            },
            Self::Cancelled { text, .. } => text.clone(),
            Self::ChannelClosed => match dialect {
                Dialect::Native => "channel closed".into(),
                Dialect::Grpcio => "Channel closed!".into(),
                Dialect::GrpcJs => "Channel closed before call started".into(),
            },
            Self::ChannelClosedWhileRunning => match dialect {
                Dialect::Native => "channel closed while the call was running".into(),
                Dialect::Grpcio => "Channel closed!".into(),
                Dialect::GrpcJs => "Channel closed while the call was running".into(),
            },
            Self::Forked => CANCELLED_BY_FORK.into(),
            Self::TooManyQueued { limit, reached: None } => {
                format!("{} for a connection already (linkspan.max_queued_calls)", Waiting(*limit))
            }
            Self::TooManyQueued { limit, reached: Some(reached) } => {
                format!("{reached}, and {} already (linkspan.max_queued_calls)", Waiting(*limit))
            }
            Self::ConnectFailed { last_error } => match dialect {
                Dialect::Native | Dialect::Grpcio => {
                    format!("failed to connect to all addresses; last error: {last_error}")
                }
                Dialect::GrpcJs => format!("No connection established. Last error: {last_error}"),
            },
            Self::RingFailed { last_error } => {
                format!("ring hash cannot find a connected endpoint; last failure: {last_error}")
            }
            Self::NoRequestHash => {
                "ring_hash does not know by which header to send calls; name it in the service config, as requestHashHeader".into()
            }
            Self::Unhealthy => "no address that is connected is healthy".into(),
            Self::ResolverFailed { target, cause } => format!("the resolver of {target} failed: {cause}"),
            Self::BreakersOpen => "the circuit breaker of every connected address is open (linkspan.breaker)".into(),
            Self::ResolveFailed { target, cause } => match dialect {
                Dialect::Native | Dialect::Grpcio => format!("DNS resolution failed for {target}: {cause}"),
                Dialect::GrpcJs => format!("Name resolution failed for target {target}: {cause}"),
            },
            Self::ConnectionLost { cause } => match dialect {
                Dialect::Native | Dialect::Grpcio => format!("connection lost: {cause}"),
                Dialect::GrpcJs => format!("Connection dropped: {cause}"),
            },
            Self::StreamReset { http2_code } => {
                let name = name_of_http2_code(*http2_code);
                match dialect {
                    Dialect::Native | Dialect::Grpcio => format!("the server reset the stream with {name}"),
                    Dialect::GrpcJs => format!("Received RST_STREAM with code {http2_code} ({name})"),
                }
            }
            Self::Refused { cause } => match dialect {
                Dialect::Native | Dialect::Grpcio => format!("the server did not process the call: {cause}"),
                Dialect::GrpcJs => format!("Stream refused by server: {cause}"),
            },
            Self::ReceivedTooLarge { size, limit } => match dialect {
                Dialect::Native => format!("received message larger than max ({size} vs. {limit})"),
                Dialect::Grpcio => format!("CLIENT: Received message larger than max ({size} vs. {limit})"),
                Dialect::GrpcJs => format!("Received message larger than max ({size} vs {limit})"),
            },
            Self::DecompressedTooLarge { limit } => match dialect {
                Dialect::Native => format!("received message decompresses to more than max ({limit})"),
                Dialect::Grpcio => format!("CLIENT: Received message decompresses to more than max ({limit})"),
                Dialect::GrpcJs => format!("Received message that decompresses to a size larger than {limit}"),
            },
            Self::SentTooLarge { size, limit } => match dialect {
                Dialect::Native => format!("message to send is larger than max ({size} vs. {limit})"),
                Dialect::Grpcio => format!("CLIENT: Sent message larger than max ({size} vs. {limit})"),
                Dialect::GrpcJs => format!("Attempted to send message with a size larger than {limit} ({size})"),
            },
            Self::TooMuchMetadata { entries } => format!("{entries} metadata entries are more than can be sent"),
            Self::SentHeadersTooLarge { size, limit } => {
                format!("metadata to send is larger than the server takes ({size} vs. {limit})")
            }
            Self::HeadersTooLarge { size, limit } => format!("received metadata larger than max ({size} vs. {limit})"),
            Self::HttpStatus { http, content_type, body } => {
                let words = match dialect {
                    Dialect::Native | Dialect::Grpcio => {
                        format!("the server answered HTTP {http} without a gRPC status")
                    }
                    Dialect::GrpcJs => format!("Received HTTP status code {http}"),
                };
                let words = match content_type {
                    Some(content_type) => format!("{words}, content-type {content_type:?}"),
                    None => format!("{words}, no content-type"),
                };
                if body.is_empty() { words } else { format!("{words}, body {body:?}") }
            }
            Self::NoStatus { found } => format!("the server ended the call without a usable grpc-status: {found}"),
            Self::Protocol { rule } => rule.clone(),
            Self::NoMessage => match dialect {
                Dialect::Native | Dialect::Grpcio => "the server sent no message where one was due".into(),
                Dialect::GrpcJs => "No message received".into(),
            },
            Self::SecondMessage => match dialect {
                Dialect::Native | Dialect::Grpcio => "the server sent a second message where one was due".into(),
                Dialect::GrpcJs => "Too many responses received".into(),
            },
            // The words and the code are gRPC-Go's.
            Self::AuthorityNotValid { authority, cause } => format!(
                "failed to validate authority {authority:?}: {cause}; give the call an authority that the server's certificate is for, or none"
            ),
            Self::CredentialsFailed { code, text } => {
                let words = format!("Getting metadata from plugin failed with error: {text}");
                if !code.is_for_applications() {
                    return words;
                }
                match dialect {
                    Dialect::Native | Dialect::Grpcio => format!(
                        "Illegal status code from call credentials, a bug of their plug-in; original status: {}: {words}",
                        code.name()
                    ),
                    Dialect::GrpcJs => {
                        format!("Invalid status from control plane: {} {} {words}", code.number(), code.name())
                    }
                }
            }
            Self::CredentialsOnInsecure => match dialect {
                Dialect::Native | Dialect::GrpcJs => {
                    "call credentials are sent over secure connections alone; give the channel TLS credentials".into()
                }
                // With a dot, as grpcio has it.
                Dialect::Grpcio => {
                    "Established channel does not have a sufficient security level to transfer call credential.".into()
                }
            },
            Self::Internal { text } => text.clone(),
        }
    }
}

/// So many calls, and that they wait.
struct Waiting(u64);

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 call is waiting"),
            count => write!(f, "{count} calls are waiting"),
        }
    }
}

/// [WIRE-160]
fn code_of_http_status(http: u16) -> Code {
    match http {
        400 | 431 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// [WIRE-165]; rows the protocol leaves open are INTERNAL.
fn code_of_reset(http2_code: u32) -> Code {
    match http2_code {
        7 => Code::Unavailable,
        8 => Code::Cancelled,
        11 => Code::ResourceExhausted,
        12 => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

/// The name of an HTTP/2 error code, RFC 9113 §7.
#[must_use]
pub(crate) fn name_of_http2_code(code: u32) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    usize::try_from(code).ok().and_then(|index| NAMES.get(index).copied()).unwrap_or("an unknown error code")
}

#[cfg(test)]
mod tests;
