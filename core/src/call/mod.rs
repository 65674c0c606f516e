//! One RPC as its caller sees it: a deadline, attempts, one end.
//!
//! A call is a future on its channel's loop. It reads the snapshot, opens a stream, and reports one [`CallEnd`] with a text
//! that says where it was. Whoever drops it resets its stream and touches nobody else.

mod again;
mod attempt;
mod configured;
mod credentials;
mod ending;
mod hedged;
pub(crate) mod inbox;
mod limits;
pub(crate) mod methods;
mod progress;
pub(crate) mod quota;
mod replay;
pub(crate) mod streaming;
pub(crate) mod unary;
mod verdict;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;

use crate::channel::LocalChannel;
use crate::error::Error;
use crate::failure::{Dialect, Failure};
use crate::metadata::Metadata;
use crate::observe::trail::Sent;
use crate::runtime::Driver;
use crate::status::Status;
use crate::transport::call_credentials::CallCredentials;
use crate::transport::compression::Compression;
use crate::transport::headers::parse_authority;
use methods::{Method, Methods};

/// How long a call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// What the channel's options say of unary calls; none unless they do, and none for streams.
    #[default]
    ChannelDefault,
    /// As long as it takes.
    None,
    /// This long from the start.
    After(Duration),
    /// The time is over already: the call ends with DEADLINE_EXCEEDED and nothing is sent ([WIRE-43]).
    AlreadyPast,
}

/// What a call is made of.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// `/package.Service/Method`.
    pub method: Arc<str>,
    /// Sent with the request.
    pub metadata: Metadata,
    /// Default: the channel's. A shorter one that the service config has for the method counts.
    pub timeout: Timeout,
    /// Whether to wait through connect failures; `None` is what the service config says, else no ([CONN-20], [CONN-23]).
    pub wait_for_ready: Option<bool>,
    /// `:authority` of this call instead of the channel's. With TLS the server's certificate must be for its host.
    pub authority: Option<Arc<str>>,
    /// What this call shows to be allowed, behind what its channel shows. On a channel that is not secure the call ends UNAUTHENTICATED, and nothing
    /// is sent. Default: nothing.
    pub credentials: Option<CallCredentials>,
    /// The largest message to accept, if smaller than the channel's limit.
    pub max_receive_bytes: Option<u64>,
    /// How its messages are compressed, if the channel's options and what the server has said it reads allow it; `None` is the channel's
    /// default ([WIRE-116]).
    pub compression: Option<Compression>,
    /// `message` is sent as it is, whatever is compressed: what mixes secrets with what others choose must not be ([WIRE-113]).
    pub message_uncompressed: bool,
    /// The request message; of a stream, the first one. A unary call without one sends an empty message.
    pub message: Option<Bytes>,
    /// Stream: nothing follows; half-close with the message, or with the headers when there is none.
    pub last: bool,
    /// Leave initial metadata out of what is reported.
    pub skip_initial: bool,
    /// Stream: how many messages may be reported before more credit is given.
    pub read_credit: u32,
    /// Stream: exactly one response message is due; OK with none or more ends UNIMPLEMENTED, as for a unary call.
    pub single_response: bool,
    /// The call may run twice without harm: if its connection is lost before the server has answered, it is made again at once, within
    /// the bounds of what a server did not process. So are the methods of the option `linkspan.idempotent_methods`. Default: no.
    pub idempotent: bool,
    /// Neither retried nor hedged, whatever the service config or an option says. What a server did not process is sent again all the
    /// same ([RPOL-03]). Default: no.
    pub no_retry: bool,
}

impl CallRequest {
    /// A request with nothing but a method.
    #[must_use]
    pub fn new(method: impl Into<Arc<str>>) -> Self {
        Self {
            method: method.into(),
            metadata: Metadata::new(),
            timeout: Timeout::ChannelDefault,
            wait_for_ready: None,
            authority: None,
            credentials: None,
            max_receive_bytes: None,
            compression: None,
            message_uncompressed: false,
            message: None,
            last: false,
            skip_initial: false,
            read_credit: 0,
            single_response: false,
            idempotent: false,
            no_retry: false,
        }
    }
}

/// A request that passed the border: everything that can be wrong has been looked at.
#[derive(Debug)]
pub(crate) struct CallSpec {
    /// Unique in the process; 0 until the call is taken. For log lines.
    pub(crate) id: u64,
    pub(crate) method: Method,
    pub(crate) metadata: Metadata,
    pub(crate) timeout: Timeout,
    /// What the call itself says.
    pub(crate) wait_for_ready: Option<bool>,
    pub(crate) authority: Option<Authority>,
    pub(crate) credentials: Option<CallCredentials>,
    pub(crate) max_receive_bytes: Option<u64>,
    /// What the call wants; once it runs, what it was given, for all its attempts ([INT-02]).
    pub(crate) compression: Option<Compression>,
    /// Of a unary call's message.
    pub(crate) message_uncompressed: bool,
    pub(crate) skip_initial: bool,
    pub(crate) single_response: bool,
    /// What the call itself says.
    is_idempotent: bool,
    no_retry: bool,
}

impl CallSpec {
    /// # Errors
    /// The method or the authority cannot be used.
    pub(crate) fn new(request: CallRequest, methods: &Methods) -> Result<Self, Error> {
        let method = methods.find(&request.method)?;
        Ok(Self {
            id: 0,
            method,
            metadata: request.metadata,
            timeout: request.timeout,
            wait_for_ready: request.wait_for_ready,
            authority: request.authority.as_deref().map(parse_authority).transpose()?,
            credentials: request.credentials,
            max_receive_bytes: request.max_receive_bytes,
            compression: request.compression,
            message_uncompressed: request.message_uncompressed,
            skip_initial: request.skip_initial,
            single_response: request.single_response,
            is_idempotent: request.idempotent,
            no_retry: request.no_retry,
        })
    }

    /// Given to the call when it starts to run.
    fn choose_compression<D: Driver>(&mut self, channel: &LocalChannel<D>) {
        self.compression = Some(channel.coding().choose(self.compression));
    }

    fn compression(&self) -> Compression {
        self.compression.unwrap_or_default()
    }

    /// [CONN-20], [CONN-23]
    fn waits_for_ready(&self) -> bool {
        let of_method = || self.method.config.as_ref().and_then(|config| config.wait_for_ready);
        self.wait_for_ready.or_else(of_method).unwrap_or(false)
    }
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct CallEnd {
    /// Code and text. The text of a status made here carries the trail.
    pub status: Status,
    /// What the server sent with its status.
    pub trailing: Metadata,
    /// Whether the status was made by this library and not by the server.
    pub local: bool,
    /// How far the request got, in the attempt that came furthest.
    pub sent: Sent,
    /// How many attempts were started, those that are made unseen among them. Default: 0, when the call ended before its first.
    pub attempts: u32,
    /// The address of the connection that the last attempt was on; `None` if that one never came so far.
    pub peer: Option<Arc<str>>,
    /// From the start to the end.
    pub elapsed: Duration,
    /// Where a locally failed call was and what was tried, its attempts among it; part of the status' text already. A server's status and
    /// its text are as the server sent them; then this has the attempts, if there were several or another one was not made for a reason worth
    /// telling. Else it is empty.
    pub trail: String,
}

impl CallEnd {
    /// The end of a call that this library ends before, or without, a call of its own: no metadata, no peer, no trail.
    #[must_use]
    pub fn local(status: Status, sent: Sent) -> Self {
        Self {
            status,
            trailing: Metadata::new(),
            local: true,
            sent,
            attempts: 0,
            peer: None,
            elapsed: Duration::ZERO,
            trail: String::new(),
        }
    }

    /// How a call that was running when the process forked ends in the child.
    #[must_use]
    pub fn in_forked_child() -> Self {
        let failure = Failure::Forked;
        Self::local(Status::new(failure.code(), failure.words(Dialect::Native)), Sent::Processed)
    }
}

/// How a unary call ended.
#[derive(Clone, Debug)]
pub struct UnaryEnd {
    /// Status and trailing metadata.
    pub end: CallEnd,
    /// Initial metadata; `None` when none came or it was not wanted.
    pub initial: Option<Metadata>,
    /// The response; there when the status is OK.
    pub message: Option<Bytes>,
}
