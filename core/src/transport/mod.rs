//! The only room that names HTTP/2, TLS and frames: from an address to a usable connection, and one RPC on the wire.
//!
//! It decides nothing about which address, when, or whether again; it says truthfully how a dial, a connection or a stream
//! ended and whether the request reached the server.

mod authorities;
pub(crate) mod call_credentials;
pub(crate) mod compression;
pub(crate) mod connection;
pub(crate) mod credentials;
pub(crate) mod dial;
pub(crate) mod headers;
pub(crate) mod message;
mod pings;
mod places;
pub(crate) mod pool;
pub(crate) mod proxy;
mod rewound;
pub(crate) mod stream;
mod tap;
pub(crate) mod tls;
mod trust;
mod wire;

use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::Sent;
use crate::status::{Code, Status};

/// How one stream ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    pub(crate) sent: Sent,
}

/// Who ended it.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The server, with a status and trailing metadata.
    Peer { status: Status, trailing: Metadata },
    /// This side, or the connection under it.
    Local(Failure),
}

impl Outcome {
    /// A failure after the request may have reached the server.
    pub(crate) fn local(failure: Failure) -> Self {
        Self { ending: Ending::Local(failure), sent: Sent::Processed }
    }

    /// The code of the status it is.
    pub(crate) fn code(&self) -> Code {
        match &self.ending {
            Ending::Peer { status, .. } => status.code(),
            Ending::Local(failure) => failure.code(),
        }
    }

    /// Whether the call succeeded.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(&self.ending, Ending::Peer { status, .. } if status.is_ok())
    }

    /// A failure the server declares harmless: it did not process the request.
    pub(crate) fn refused(cause: String) -> Self {
        Self { ending: Ending::Local(Failure::Refused { cause }), sent: Sent::Refused }
    }
}
