//! One HTTP/2 connection: a handle that opens streams, and the future that moves it.
//!
//! The future belongs to one task. Handles live with who owns the connection and in its pool, until it is drained: then, when the last stream
//! is gone, or when the server says GOAWAY and the last stream ends, the future says goodbye and completes.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use h2::client::SendRequest;
use http::Request;
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite};

use super::authorities::Authorities;
use super::headers;
use super::message::Outbound;
use super::pings::Pings;
pub(crate) use super::places::Watching;
use super::places::{Place, Places};
use super::stream::Stream;
use super::tap::{Seen, Tap};
use super::trust::Trust;
use super::wire::Wire;
use crate::failure::Failure;
use crate::line::Line;
use crate::observe::counters::ConnectionCounters;
use crate::observe::log::names::ConnectionName;
use crate::observe::log::{LogLevel, Room, log};
use crate::policy::liveness::LivenessOptions;
use crate::policy::subchannel::Loss;
use crate::runtime::Driver;
use crate::time::Time;

/// A usable connection. Clones are the same connection.
#[derive(Clone)]
pub(crate) struct Connection(Rc<Shared>);

/// Which connection this is, and which version of the credentials' material it was made with; 0 without TLS.
pub(super) struct Identity {
    pub(super) name: Rc<ConnectionName>,
    pub(super) material: u64,
}

struct Shared {
    identity: Identity,
    /// `None` once the connection takes no new streams ([WIRE-190]); cleared by [`Connection::drain`].
    send_request: RefCell<Option<SendRequest<Outbound>>>,
    places: Rc<Places>,
    /// `None` when liveness is off.
    trust: Option<Rc<Trust>>,
    /// `None` where servers need not show who they are. Boxed, because few connections need it.
    authorities: Option<Box<Authorities>>,
    streams_opened: Cell<u32>,
    seen: Rc<Seen>,
    counters: Arc<ConnectionCounters>,
}

/// A connection has 2^30 stream ids; with three quarters gone another one takes over ([WIRE-199]).
const MOST_STREAMS: u32 = (1 << 30) / 4 * 3;

/// Why a stream was not opened. Nothing was sent.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// The connection takes no new streams, or died; another one may do.
    ConnectionOver,
    /// The request itself cannot be sent, on any connection.
    BadRequest(Failure),
}

impl Connection {
    pub(super) fn new(
        identity: Identity,
        send_request: SendRequest<Outbound>,
        seen: Rc<Seen>,
        counters: Arc<ConnectionCounters>,
        liveness: Option<(LivenessOptions, Time)>,
        line: Rc<Line>,
        authorities: Option<Box<Authorities>>,
    ) -> Self {
        let places = Places::new(Rc::clone(&seen), Arc::clone(&counters), line);
        let trust =
            liveness.map(|(options, now)| Rc::new(Trust::new(options, Rc::clone(&seen), Rc::clone(&places), now)));
        Self(Rc::new(Shared {
            identity,
            send_request: RefCell::new(Some(send_request)),
            places,
            trust,
            authorities,
            streams_opened: Cell::new(0),
            seen,
            counters,
        }))
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.identity.name.id
    }

    /// How log lines name it.
    pub(crate) fn name(&self) -> &Rc<ConnectionName> {
        &self.0.identity.name
    }

    /// The version of the credentials' material it was made with; 0 without TLS.
    pub(crate) fn material_version(&self) -> u64 {
        self.0.identity.material
    }

    pub(crate) fn address(&self) -> &Arc<str> {
        &self.0.identity.name.address
    }

    pub(crate) fn counters(&self) -> &Arc<ConnectionCounters> {
        &self.0.counters
    }

    /// A call wants a place: what was idle for long is checked first. `now` may be when the call was made, if it has not waited since.
    pub(crate) fn on_place_wanted(&self, now: Time) {
        if let Some(trust) = &self.0.trust {
            trust.on_place_wanted(now);
        }
    }

    /// A place for a stream; only where there is room.
    pub(super) fn take_place(&self) -> Place {
        self.0.places.take()
    }

    /// Whether a stream may be opened now: the server's MAX_CONCURRENT_STREAMS is not reached, and nothing is checked.
    pub(super) fn has_room(&self) -> bool {
        self.0.places.have_room()
    }

    /// How many streams are open, or about to be.
    pub(crate) fn streams(&self) -> u32 {
        self.0.places.taken()
    }

    /// How many streams were opened for calls so far.
    pub(crate) fn streams_opened(&self) -> u32 {
        self.0.streams_opened.get()
    }

    /// What the server allows at once, if it has said so.
    pub(super) fn stream_limit(&self) -> Option<u32> {
        self.0.seen.stream_limit()
    }

    /// Whether it takes no new streams any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.places.are_closed()
    }

    /// Whether a call may name this authority here; asked before its stream is opened ([NAME-34]).
    pub(crate) fn check_authority(&self, authority: &Authority) -> Result<(), Failure> {
        self.0.authorities.as_ref().map_or(Ok(()), |authorities| authorities.check(authority, self.address()))
    }

    /// Opens a stream in the place. `is_last` half-closes with the headers.
    pub(crate) fn open_stream(&self, place: Place, request: Request<()>, is_last: bool) -> Result<Stream, NotOpened> {
        let stream = self.open(place, request, is_last)?;
        self.0.streams_opened.set(self.0.streams_opened.get() + 1);
        Ok(stream)
    }

    /// Opens a stream that is no call and stays: whether the connection is idle, worn or was of use does not depend on it. It takes a place
    /// even where there is no room; the HTTP/2 library keeps it back until there is ([LB-125]).
    pub(crate) fn open_watch(&self, request: Request<()>) -> Result<(Stream, Watching), NotOpened> {
        let stream = self.open(self.take_place(), request, false)?;
        Ok((stream, self.0.places.watch()))
    }

    fn open(&self, place: Place, request: Request<()>, is_last: bool) -> Result<Stream, NotOpened> {
        self.check_size(&request).map_err(NotOpened::BadRequest)?;
        // A handle of its own: the library refuses a second stream through the same one until the first is on the wire.
        let mut send_request = self.0.send_request.borrow().clone().ok_or(NotOpened::ConnectionOver)?;
        let (response, send) = send_request.send_request(request, is_last).map_err(|cause| not_opened(&cause))?;
        self.0.counters.streams_total.one();
        Ok(Stream::new(response, send, place, Rc::clone(&self.0.seen)))
    }

    /// [WIRE-73]: what the server would refuse with the whole connection, or cut, is not sent.
    fn check_size(&self, request: &Request<()>) -> Result<(), Failure> {
        let Some(limit) = self.0.seen.header_limit().map(u64::from) else { return Ok(()) };
        let size = headers::size_of(request);
        if size > limit { Err(Failure::SentHeadersTooLarge { size, limit }) } else { Ok(()) }
    }

    /// Whether calls wait until it is known to be alive.
    pub(crate) fn is_checked(&self) -> bool {
        self.0.places.are_held()
    }

    /// How often bytes were read so far; two equal answers mean that nothing was between them.
    pub(crate) fn reads(&self) -> u32 {
        self.0.seen.reads()
    }

    /// A call reached its deadline, and nothing was read since its stream was opened or it began to wait for a place.
    pub(crate) fn on_silent_deadline(&self, now: Time, since: Time) {
        if let Some(trust) = &self.0.trust {
            trust.on_silent_deadline(now, since);
        }
    }

    /// A call on it has ended, and let go of its stream.
    pub(crate) fn on_call_ended(&self, now: Time) {
        if let Some(trust) = &self.0.trust {
            trust.on_call_ended(now);
        }
    }

    pub(super) fn trust(&self) -> Option<&Rc<Trust>> {
        self.0.trust.as_ref()
    }

    /// What it was good for, once it is lost.
    pub(crate) fn loss(&self) -> Loss {
        let was_sent_away = self.0.seen.goaway().is_some_and(|goaway| goaway.code == 0);
        let has_calls = self.0.streams_opened.get() > 0;
        if self.0.seen.has_answered() && has_calls {
            Loss::HadAnswered
        } else if was_sent_away && !has_calls {
            Loss::SentAwayUnused
        } else {
            Loss::Fruitless
        }
    }

    /// Takes no new streams from now on; running ones go on.
    pub(crate) fn drain(&self) {
        self.0.send_request.borrow_mut().take();
        self.0.counters.set_draining();
        self.0.places.close();
    }

    /// Tells how the connection ended, without keeping it open.
    pub(crate) fn ending(&self) -> ConnectionEnding {
        ConnectionEnding(Rc::clone(&self.0.seen))
    }
}

/// The HTTP/2 library calls what it refuses to send a user's error; all else is the connection's.
fn not_opened(cause: &h2::Error) -> NotOpened {
    let is_connection_over = cause.is_io() || cause.is_go_away() || cause.is_remote() || cause.reason().is_some();
    if is_connection_over {
        return NotOpened::ConnectionOver;
    }
    NotOpened::BadRequest(Failure::Internal { text: format!("the request cannot be sent: {cause}") })
}

/// How a connection ended, once it has.
pub(crate) struct ConnectionEnding(Rc<Seen>);

impl ConnectionEnding {
    pub(crate) fn words(&self) -> String {
        self.0.end()
    }
}

/// What happened to a connection; told by [`Moving::next`].
#[derive(Debug)]
pub(crate) enum Happened {
    /// The server wants fewer PINGs ([CONN-95]); told before the draining it comes with.
    TooManyPings,
    /// Another connection should take over, because of this. Until one has, it goes on taking streams, unless it is checked.
    SuccessorWanted(String),
    /// It takes no new streams, because of this.
    Draining(String),
    /// Nothing can be written any more, because of this. What the server said before may still be read, for a while.
    CannotWrite(String),
    /// [`Moving::next_deadline`] became earlier.
    DeadlineMoved,
    /// It is over.
    Ended,
}

/// The future that moves a connection's frames.
pub(crate) struct Moving<S: AsyncRead + AsyncWrite + Unpin> {
    http2: h2::client::Connection<Tap<Wire<S>>, Outbound>,
    wire: Wire<S>,
    seen: Rc<Seen>,
    connection: Connection,
    pings: Pings,
    reads: u32,
    too_many_pings_is_told: bool,
    goaway_is_told: bool,
    /// A successor is wanted after so many streams.
    wears_after: Option<u32>,
    is_used_up: bool,
    write_failure_is_told: bool,
    /// Set when the HTTP/2 library's future has completed; it must not be polled again.
    is_over: bool,
    stream_limit: Option<u32>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Moving<S> {
    pub(super) fn new(
        http2: h2::client::Connection<Tap<Wire<S>>, Outbound>,
        wire: Wire<S>,
        seen: Rc<Seen>,
        connection: Connection,
        wears_after: Option<u32>,
        pings: Pings,
    ) -> Self {
        let reads = seen.reads();
        let stream_limit = seen.stream_limit();
        Self {
            http2,
            wire,
            seen,
            connection,
            pings,
            reads,
            too_many_pings_is_told: false,
            goaway_is_told: false,
            wears_after,
            is_used_up: false,
            write_failure_is_told: false,
            is_over: false,
            stream_limit,
        }
    }

    /// When [`Moving::on_time`] must be called next; nobody else does what it does.
    pub(crate) fn next_deadline(&mut self) -> Option<Time> {
        let is_in_use = self.is_in_use();
        self.pings.arm(is_in_use)
    }

    /// A deadline may have passed; [`Moving::next`] was polled since and found nothing to read.
    pub(crate) fn on_time(&mut self, now: Time) {
        let is_in_use = self.is_in_use();
        self.pings.on_time(now, &self.connection.0.counters, is_in_use);
    }

    fn is_in_use(&self) -> bool {
        self.connection.0.places.are_taken()
    }

    /// Moves the connection until something happens to it.
    pub(crate) async fn next(&mut self, driver: &impl Driver) -> Happened {
        poll_fn(|cx| {
            let is_in_use = self.is_in_use();
            let counters = &self.connection.0.counters;
            self.pings.before_frames(cx, &mut self.http2, counters, is_in_use, || driver.now());
            if !self.is_over
                && let Poll::Ready(ended) = Pin::new(&mut self.http2).poll(cx)
            {
                self.is_over = true;
                if let Err(cause) = ended {
                    self.seen.note_end(cause.to_string());
                }
            }
            if let Poll::Ready(Err(cause)) = self.wire.poll_send(cx) {
                self.seen.note_write_failure(&cause);
            }
            if self.seen.reads() != self.reads {
                self.reads = self.seen.reads();
                self.pings.on_bytes_read(|| driver.now());
            }
            self.pings.after_frames(cx, &self.connection.0.counters, || driver.now());
            if self.seen.stream_limit() != self.stream_limit {
                self.stream_limit = self.seen.stream_limit();
                self.connection.0.places.on_limit_changed();
            }
            if self.seen.has_bad_goaway() && !self.is_over {
                self.is_over = true;
                self.seen.note_end("the server sent a GOAWAY with a last stream it cannot know".to_owned());
            }
            if self.seen.has_too_many_pings() && !self.too_many_pings_is_told {
                self.too_many_pings_is_told = true;
                return Poll::Ready(Happened::TooManyPings);
            }
            // Told before the end, which the same read may bring: it says why.
            if let Some(goaway) = self.seen.goaway().filter(|_| !self.goaway_is_told) {
                self.goaway_is_told = true;
                self.connection.0.counters.set_goaway(goaway.code);
                // [CONN-33]: at once, so that no call picks it again.
                self.connection.drain();
                log(LogLevel::Debug, Room::Http, || {
                    let (name, last, streams) = (self.connection.name(), goaway.last_stream, self.connection.streams());
                    format!("{name}: the server sent {goaway}, last stream {last}; {streams} streams are open")
                });
                return Poll::Ready(Happened::Draining(format!("the server sent {goaway}")));
            }
            let streams_opened = self.connection.0.streams_opened.get();
            if let Some(count) = self.wears_after.take_if(|count| streams_opened >= *count) {
                return Poll::Ready(Happened::SuccessorWanted(format!("it has carried {count} calls")));
            }
            // The server may have used them up, by headers for streams that never were.
            if !self.is_used_up && streams_opened.max(self.seen.highest_stream() / 2) >= MOST_STREAMS {
                self.is_used_up = true;
                self.connection.drain();
                return Poll::Ready(Happened::Draining("the connection has used up its streams".to_owned()));
            }
            if let Some(words) = self.pings.take_death() {
                log(LogLevel::Debug, Room::HttpKeepalive, || format!("{}: {words}", self.connection.name()));
                self.is_over = true;
                self.seen.note_end(words);
            }
            if self.is_over {
                self.connection.drain();
                return Poll::Ready(Happened::Ended);
            }
            if let Some(cause) = self.seen.write_failure().filter(|_| !self.write_failure_is_told) {
                self.write_failure_is_told = true;
                self.connection.drain();
                return Poll::Ready(Happened::CannotWrite(cause.to_owned()));
            }
            if let Some(words) = self.pings.take_successor() {
                log(LogLevel::Debug, Room::HttpKeepalive, || format!("{}: {words}", self.connection.name()));
                return Poll::Ready(Happened::SuccessorWanted(words));
            }
            let is_in_use = self.is_in_use();
            if self.pings.must_be_armed(is_in_use) {
                return Poll::Ready(Happened::DeadlineMoved);
            }
            Poll::Pending
        })
        .await
    }
}
