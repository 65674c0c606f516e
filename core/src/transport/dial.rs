//! From an address to a usable connection: socket, TLS, HTTP/2 preface and the server's SETTINGS, under one deadline
//! ([CONN-40], [CONN-41]).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authorities::{Authorities, Certified};
use super::connection::{Connection, Identity, Moving};
use super::credentials::{LocalConnection, Tls, server_name};
use super::message::Outbound;
use super::pings::Pings;
use super::proxy;
use super::rewound::Rewound;
use super::tap::{Seen, Tap};
use super::tls::failures;
use super::wire::Wire;
use crate::address::Address;
use crate::line::Line;
use crate::observe::counters::{ChannelCounters, ConnectionCounters};
use crate::observe::log::names::{ChannelName, ConnectionName};
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::snapshot::TlsSnapshot;
use crate::observe::trail::{DialStep, Milliseconds};
use crate::policy::keepalive::{KeepaliveOptions, doubled};
use crate::policy::liveness::LivenessOptions;
use crate::runtime::{Driver, Socket, SocketOptions};
use crate::time::Time;

/// What every connection of a channel is made with.
#[derive(PartialEq)]
pub(crate) struct ConnectionOptions {
    pub(crate) tls: Option<Tls>,
    /// Connections that do not stay on this machine are refused; `None` is that they may.
    pub(crate) local: Option<LocalConnection>,
    /// The host to ask for and to check in TLS.
    pub(crate) server_name: String,
    pub(crate) socket: SocketOptions,
    pub(crate) stream_window: u32,
    /// What the stream window may grow to; no larger, and it is pinned.
    pub(crate) max_stream_window: u32,
    pub(crate) connection_window: u32,
    /// A connection asks to be replaced after so many calls; `None` is never.
    pub(crate) max_requests: Option<u32>,
    /// `None` is off.
    pub(crate) keepalive: Option<KeepaliveOptions>,
    /// `None` is off.
    pub(crate) liveness: Option<LivenessOptions>,
}

/// What every dial of a channel has in common.
pub(crate) struct DialSettings {
    channel: Arc<ChannelName>,
    options: Arc<ConnectionOptions>,
    /// As in the options at first; new connections are pinged less once a server complains.
    keepalive: Cell<Option<KeepaliveOptions>>,
    pub(crate) counters: Arc<ChannelCounters>,
}

impl DialSettings {
    pub(crate) fn new(
        channel: Arc<ChannelName>,
        options: Arc<ConnectionOptions>,
        counters: Arc<ChannelCounters>,
    ) -> Self {
        let keepalive = Cell::new(options.keepalive);
        Self { channel, options, keepalive, counters }
    }

    /// The keepalive of a connection that is made now.
    pub(crate) fn keepalive(&self) -> Option<KeepaliveOptions> {
        self.keepalive.get()
    }

    /// A server said `too_many_pings` on a connection that had this keepalive time. The time of new connections ([CONN-95]), if there is
    /// one.
    pub(crate) fn on_too_many_pings(&self, time: Option<Duration>) -> Option<Duration> {
        let keepalive = self.keepalive.get()?;
        let time = doubled(keepalive.time, time?);
        self.keepalive.set(Some(KeepaliveOptions { time, is_policed: true, ..keepalive }));
        Some(time)
    }
}

/// A connection that is usable, and the future that moves it.
pub(crate) struct Dialed<S: Socket> {
    pub(crate) connection: Connection,
    /// Boxed, because it is handed on once and lives long: whoever keeps it has no copy of it in each of its states.
    pub(crate) moving: Box<Moving<MaybeTls<S>>>,
}

/// HTTP/2 lets a header block be as large as this; the gRPC limit is checked by us, because the HTTP/2 library cuts a longer
/// block silently, a lost `grpc-status` included.
pub(super) const HTTP2_HEADER_LIMIT: u32 = 1 << 20;

/// Cancelled streams are remembered so that frames the server had on the way are told from broken ones ([WIRE-177]). Fewer, and a
/// burst of cancellations answers late frames with resets of its own; more, and a hostile server could fill the memory.
const REMEMBERED_RESETS: usize = 8_192;
const RESETS_ARE_REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// Dials once; the calls of `line` wait for the connection. The error is a text for people; the address is added by whoever tells it.
/// `step` is where the dial is; when it has failed, where it did.
pub(crate) async fn dial<D: Driver>(
    driver: &D,
    id: u64,
    address: &Address,
    settings: &DialSettings,
    line: &Rc<Line>,
    deadline: Time,
    step: &Cell<DialStep>,
) -> Result<Dialed<D::Socket>, String> {
    let started = driver.now();
    step.set(first_step(address));
    let attempt = pin!(attempt(driver, id, address, settings, line, step));
    let dialed = tokio::select! {
        biased;
        dialed = attempt => dialed,
        () = driver.sleep_until(deadline) => {
            let waited_for = step.get().words();
            Err(format!("timed out after {:.1} s waiting for {waited_for}", driver.now().since(started).as_secs_f64()))
        }
    };
    if let Err(cause) = &dialed {
        log(LogLevel::Debug, Room::Subchannel, || {
            let (channel, took) = (&settings.channel, Milliseconds(driver.now().since(started)));
            let waited_for = step.get().words();
            format!("{channel}: connection {id} {address}: failed after {took}, waiting for {waited_for}: {cause}")
        });
    }
    dialed
}

/// What a dial of this address waits for at first.
pub(crate) fn first_step(address: &Address) -> DialStep {
    if matches!(address, Address::Unresolved { .. }) { DialStep::LookUp } else { DialStep::Open }
}

async fn attempt<D: Driver>(
    driver: &D,
    id: u64,
    address: &Address,
    settings: &DialSettings,
    line: &Rc<Line>,
    step: &Cell<DialStep>,
) -> Result<Dialed<D::Socket>, String> {
    let started = driver.now();
    let socket = open(driver, address, settings.options.socket, step).await?;
    let connected = driver.now();
    let local_address = socket.get_ref().local_address();
    if let Some(local) = settings.options.local {
        local.check(address, local_address)?;
    }

    let (mut material_version, mut tls_facts) = (0, None);
    let stream = match &settings.options.tls {
        None => MaybeTls::Plain(socket),
        Some(tls) => {
            step.set(DialStep::Tls);
            let name =
                server_name(&settings.options.server_name).map_err(|_| "TLS handshake failed: no name to ask for")?;
            let material = tls.source.material();
            material_version = material.version;
            let stream = TlsConnector::from(Arc::clone(&material.config)).connect(name, socket).await;
            let stream =
                stream.map_err(|cause| format!("TLS handshake failed: {}", failures::words_of_handshake(&cause)))?;
            // [WIRE-3]
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(format!("TLS handshake failed: {}", failures::NO_HTTP_2));
            }
            tls_facts = Some(facts_of(&stream, driver.now().since(connected)));
            MaybeTls::Tls(Box::new(stream))
        }
    };

    step.set(DialStep::Settings);
    let secured = tls_facts.as_ref().map_or(connected, |tls| connected + tls.took);
    let counters = Arc::new(ConnectionCounters::new(
        address.to_string().into(),
        local_address,
        connected.since(started),
        tls_facts,
    ));
    let seen = Rc::new(Seen::default());
    let wire = Wire::new(stream);
    let tap = Tap::new(wire.clone(), Rc::clone(&seen), Arc::clone(&counters), Arc::clone(&settings.counters));
    let (send_request, mut http2) = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(settings.options.stream_window)
        .initial_connection_window_size(settings.options.connection_window)
        .max_header_list_size(HTTP2_HEADER_LIMIT)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        // Counted over the whole life of a connection, so any limit ends a connection that lived long enough.
        .max_local_error_reset_streams(None)
        .reset_stream_duration(RESETS_ARE_REMEMBERED_FOR)
        // Counts frames for cancelled streams for good and those that wait for a slow reader, so that it ends connections in honest use.
        // What it guards against is guarded against by the calls, which take in what comes, and by the wire, which reads in turns.
        .data_frame_budget(usize::MAX)
        .handshake::<_, Outbound>(tap)
        .await
        .map_err(|cause| format!("HTTP/2 could not be started: {cause}"))?;

    // [WIRE-5], [WIRE-6]: usable only once the server's SETTINGS are here.
    poll_fn(|cx| {
        let ended = Pin::new(&mut http2).poll(cx);
        if let Some(wrong) = seen.wrong_start() {
            return Poll::Ready(Err(wrong.to_owned()));
        }
        match ended {
            Poll::Ready(ended) => {
                if let Err(cause) = ended {
                    seen.note_end(cause.to_string());
                }
                // TLS 1.3: the server judges the client's certificate after the client has done its part.
                if seen.has_alert() {
                    step.set(DialStep::Tls);
                    return Poll::Ready(Err(format!("TLS handshake failed: {}", seen.end())));
                }
                let said_nothing = settings.options.tls.is_none() && seen.reads() == 0;
                let missing = match seen.has_settings() {
                    true => "",
                    false if said_nothing => ", before its HTTP/2 SETTINGS (as servers do that want TLS)",
                    false => ", before its HTTP/2 SETTINGS",
                };
                Poll::Ready(Err(format!("{}{missing}", seen.end())))
            }
            Poll::Pending if seen.has_settings() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await?;

    let now = driver.now();
    let (liveness, line) = (settings.options.liveness.map(|options| (options, now)), Rc::clone(line));
    let is_verified = settings.options.tls.as_ref().is_some_and(|tls| tls.is_verified);
    let authorities = is_verified.then(|| Box::new(Authorities::new(wire.certified())));
    let remote = Arc::clone(counters.remote_address());
    let name = Rc::new(ConnectionName { channel: Arc::clone(&settings.channel), id, address: remote });
    log(LogLevel::Debug, Room::Subchannel, || {
        let [opened, secure, greeted] =
            [(started, connected), (connected, secured), (secured, now)].map(|(from, to)| Milliseconds(to.since(from)));
        let tls = if settings.options.tls.is_some() { format!(", TLS {secure}") } else { String::new() };
        format!("{name}: connected after {}: opened {opened}{tls}, HTTP/2 {greeted}", Milliseconds(now.since(started)))
    });
    let identity = Identity { name: Rc::clone(&name), material: material_version };
    let connection = Connection::new(identity, send_request, Rc::clone(&seen), counters, liveness, line, authorities);
    let (trust, counters) = (connection.trust().cloned(), Arc::clone(&settings.counters));
    let windows = (settings.options.stream_window, settings.options.max_stream_window);
    let pings = Pings::new(name, settings.keepalive(), trust, windows, Rc::clone(&seen), counters, now);
    let moving = Box::new(Moving::new(http2, wire, seen, connection.clone(), settings.options.max_requests, pings));
    Ok(Dialed { connection, moving })
}

/// What the handshake, which took so long, came to.
fn facts_of<S>(stream: &TlsStream<S>, took: Duration) -> TlsSnapshot {
    let session = stream.get_ref().1;
    let version = session.protocol_version().map_or("unknown", |version| match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        other => other.as_str().unwrap_or("unknown"),
    });
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    TlsSnapshot { took, version, cipher, resumed }
}

/// A way for bytes to the server: a socket, and for a tunnel what the proxy does before they are the server's.
async fn open<D: Driver>(
    driver: &D,
    address: &Address,
    options: SocketOptions,
    step: &Cell<DialStep>,
) -> Result<Rewound<D::Socket>, String> {
    let socket = driver.connect(address, options).await;
    let Address::Tunnel(tunnel) = address else {
        return socket.map(|socket| Rewound::new(socket, Bytes::new())).map_err(|cause| cause.to_string());
    };
    let socket = socket.map_err(|cause| format!("the proxy cannot be reached: {cause}"))?;
    step.set(DialStep::Proxy);
    // Boxed, because it is rare.
    Box::pin(proxy::connect(socket, tunnel)).await
}

/// A socket, plain or under TLS.
pub(crate) enum MaybeTls<S> {
    Plain(Rewound<S>),
    Tls(Box<TlsStream<Rewound<S>>>),
}

impl<S> Certified for MaybeTls<S> {
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first().map(|own| own.clone().into_owned()),
        }
    }
}

impl<S: Socket> AsyncRead for MaybeTls<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl<S: Socket> AsyncWrite for MaybeTls<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
