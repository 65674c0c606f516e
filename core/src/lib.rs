//! linkspan's core: one gRPC connection engine for every language.
//!
//! A [`Channel`] finds addresses for its target, keeps a connection, and carries calls on it. It lives on an [`Engine`]'s loop; the
//! handles here may be used from any thread. The C, Python and Node faces use exactly what this file exports; Rust programs have
//! [`Channel::unary`] and [`Channel::stream`] on top.
//!
//! The rooms, each importing only what stands left of it:
//!
//! ```text
//! status metadata error failure foreign generation interned line load_report percent random small_map state time address ← observe ← policy ← { service_config ← resolver, transport } ← channel ← call ← engine
//!                                     runtime: used by resolver, transport, channel, call, engine; never by policy, service_config
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(fuzzing, allow(dead_code, unused_imports, reason = "fuzzing uses only some of what tests do"))]
#![warn(missing_docs, missing_debug_implementations)]

mod address;
mod call;
mod channel;
mod engine;
mod error;
mod failure;
mod foreign;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod generation;
mod interned;
mod line;
mod load_report;
mod metadata;
mod observe;
mod percent;
mod policy;
mod protobuf;
mod random;
mod resolver;
mod runtime;
mod service_config;
#[cfg(test)]
mod simulation;
mod small_map;
mod state;
mod status;
mod time;
mod transport;

pub use call::{CallEnd, CallRequest, Timeout, UnaryEnd};
pub use channel::options::{ChannelOptions, OptionValue, Preset};
pub use channel::registry::{OptionDoc, OptionKind, OptionScope, option_docs};
pub use engine::completion::{Bell, Completion, CompletionQueue, Event, Reply, Waited};
pub use engine::face::{CallError, CallOptions, RpcError, StreamCall, StreamReceiver, StreamSender, UnaryResponse};
pub use engine::on_loop::{LoopChannel, OnLoop};
pub use engine::{Batch, CallHandle, Channel, Engine, EngineOptions, SendError, ThreadHook, WatchHandle};
pub use error::{Error, ErrorKind};
pub use failure::{CANCELLED_BY_FORK, Dialect};
pub use generation::{PerProcess, process_generation};
pub use metadata::{Metadata, is_binary, is_reserved};
pub use observe::channel_metrics::ChannelMetrics;
pub use observe::counters::ConnectionMetrics;
pub use observe::events::ChannelEvent;
pub use observe::log::queue::{LogLine, LogQueue};
pub use observe::log::{LogLevel, Logger, set_log_level, set_logger};
pub use observe::snapshot::{
    BreakerSnapshot, ChannelSnapshot, ConnectionSnapshot, DialSnapshot, EngineSnapshot, ResolverSnapshot,
    SubchannelSnapshot, TlsSnapshot,
};
pub use observe::sums::EngineMetrics;
pub use observe::trail::Sent;
pub use resolver::host::{Resolver, ResolverFactory, ResolverTarget};
pub use resolver::results::{ResolverAddress, ResolverSender, ResolverUpdate};
pub use runtime::fork::process_has_forked;
pub use state::State;
pub use status::{Code, Status};
pub use transport::call_credentials::{AuthContext, CallCredentials, MetadataPlugin, MetadataReply};
pub use transport::compression::Compression;
pub use transport::credentials::{Credentials, LocalConnection};
pub use transport::headers::check_method;
pub use transport::tls::{Roots, TlsOptions, TlsVersion};

/// Compiles the program the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadMe;

/// The version of linkspan.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
