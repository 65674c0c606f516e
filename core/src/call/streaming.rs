//! A call with streams: messages out as they come, messages in as they are asked for, one end.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow::{Break, Continue};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::again::Again;
use super::hedged::{self, Hedge, Work};
use super::inbox::{Inbox, Outgoing};
use super::progress::{Attempt, Progress};
use super::quota::SendQuota;
use super::replay::{Cursor, Replay};
use super::unary::due;
use super::{CallEnd, CallSpec, Timeout, attempt, configured, limits, waiting};
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::{Phase, Sent};
use crate::policy::retry::sequence::Bound;
use crate::runtime::Driver;
use crate::time::Time;
use crate::transport::compression::{Coded, Compression};
use crate::transport::message::{Outbound, Payload};
use crate::transport::stream::{Receiver, Sender};
use crate::transport::{Ending, Outcome};

/// Where a running stream's events go.
pub(crate) trait StreamEvents {
    fn on_headers(&self, initial: Metadata, peer: std::sync::Arc<str>);
    fn on_message(&self, message: Bytes);
    fn on_writable(&self);
}

/// Runs the call to its end. `is_empty` half-closes with the headers: no message will come.
pub(crate) async fn run<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &mut CallSpec,
    is_empty: bool,
    inbox: &Inbox,
    quota: &SendQuota,
    events: &impl StreamEvents,
) -> CallEnd {
    // The channel's default is for calls with one answer; a stream lasts as long as it is wanted.
    if spec.timeout == Timeout::ChannelDefault {
        spec.timeout = Timeout::None;
    }
    let (mut progress, replay) = (Progress::start(channel, spec), Replay::new(channel.call_buffer()));
    if channel.config().takes_resolvers_config
        && let Err(outcome) = configured::bind(channel, spec, &mut progress, inbox).await
    {
        return progress.end(channel, outcome);
    }
    spec.choose_compression(channel);
    let (compressing, spec, progress, replay) = (RefCell::default(), &*spec, &progress, &replay);
    let running = Running { channel, spec, is_empty, inbox, quota, compressing, events, progress, replay };
    let outcome = {
        let attempts = pin!(running.attempts());
        progress.supervise(channel.driver(), inbox, attempts).await
    };
    progress.end(channel, outcome)
}

/// A running call and what belongs to it.
struct Running<'a, D: Driver, E: StreamEvents> {
    channel: &'a LocalChannel<D>,
    spec: &'a CallSpec,
    is_empty: bool,
    inbox: &'a Inbox,
    quota: &'a SendQuota,
    /// What the caller sent last, while it is compressed: an attempt may end meanwhile, and the next sends it.
    compressing: RefCell<Option<Compressing>>,
    events: &'a E,
    progress: &'a Progress,
    replay: &'a Replay,
}

/// Something to send whose message may have to be compressed first.
struct Compressing {
    outgoing: Outgoing,
    coded: Option<Coded<Payload>>,
}

impl<'a, D: Driver, E: StreamEvents> hedged::Exchange<'a> for &'a Running<'a, D, E> {
    fn begin(&self, hedge: Rc<Hedge>) -> Work<'a> {
        let running = *self;
        Box::pin(async move { running.exchange(&hedge.attempt, &hedge.cursor).await })
    }

    fn taken(&self) -> usize {
        self.replay.taken()
    }
}

/// A stream's first message is handed over with the headers up to this size; more would wait in memory for a server's small window.
const MOST_WITH_HEADERS: usize = 8 << 10;

impl<D: Driver, E: StreamEvents> Running<'_, D, E> {
    /// One attempt, and further ones as long as there is a reason.
    async fn attempts(&self) -> Outcome {
        let (attempt, cursor) = (&self.progress.attempt, Cursor::default());
        let _running = match waiting::enter(self.channel, attempt).await {
            Ok(running) => running,
            Err(failure) => return attempt.local(failure),
        };
        if let Some(policy) = self.spec.hedging(self.channel) {
            // Boxed, because few calls are hedged and every call would have room for it.
            return Box::pin(hedged::run(self.channel, policy, self.progress, None, &self)).await;
        }
        let mut again = Again::default();
        loop {
            self.progress.on_attempt();
            let outcome = self.exchange(attempt, &cursor).await;
            if attempt.bound.get() == Some(Bound::Committed) {
                return outcome;
            }
            match again.after(self.channel, self.spec, self.progress, outcome, None) {
                Break(outcome) => return outcome,
                Continue(None) => {}
                Continue(Some(due)) => Box::pin(self.pause(due)).await,
            }
            cursor.start_over();
        }
    }

    /// Waits for the next attempt, and keeps for it what the caller sends meanwhile, as long as there is room ([BUF-09]).
    async fn pause(&self, due: Time) {
        let mut over = pin!(self.channel.driver().sleep_until(due));
        poll_fn(|cx| {
            while self.poll_taken(cx, |outgoing| self.replay.keep(outgoing).is_ok()).is_ready() {}
            let mut has_room = false;
            self.replay.hand_on_kept(|outgoing| {
                has_room |= outgoing.message.is_some() && self.quota.give_back(outgoing.size);
            });
            if has_room {
                self.events.on_writable();
            }
            over.as_mut().poll(cx)
        })
        .await;
    }

    async fn exchange(&self, attempt: &Attempt, cursor: &Cursor) -> Outcome {
        let mut stream = match attempt::open(self.channel, self.spec, attempt, self.is_empty).await {
            Ok(stream) => stream,
            Err(failure) => return attempt.local(failure),
        };
        attempt.sent.set(Sent::Processed);
        if self.is_empty {
            attempt.phase.set(Phase::Wait);
        }
        let outcome = {
            let mut sending = pin!(self.send_all(&mut stream.sender, attempt, cursor));
            let mut receiving = pin!(self.receive_all(&mut stream.receiver, attempt, cursor));
            let mut is_sending = !self.is_empty;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut receiving => break outcome,
                    sent = &mut sending, if is_sending => match sent {
                        Ok(()) => is_sending = false,
                        Err(failure) => break Outcome::local(failure),
                    },
                }
            }
        };
        if matches!(outcome.ending, Ending::Peer { .. }) {
            stream.sender.finished();
        }
        outcome
    }

    /// Sends until half-closed, or until the stream takes nothing more; why it does not comes from the receiving half.
    async fn send_all(&self, sender: &mut Sender, attempt: &Attempt, cursor: &Cursor) -> Result<(), Failure> {
        let mut is_first = true;
        loop {
            let Outgoing { message, size, is_last, .. } = self.next(attempt, cursor).await;
            let taken = match message {
                None => sender.half_close(),
                Some(message) => {
                    let length = message.bytes.len();
                    let outbound = Outbound::message(message, limits::send(self.channel, self.spec))?;
                    // Room is known only once the headers are out; a small message goes with them, whatever the room.
                    let goes_along = std::mem::take(&mut is_first) && length <= MOST_WITH_HEADERS;
                    let taken = if goes_along {
                        sender.send_now(outbound, is_last)
                    } else {
                        sender.send(outbound, is_last).await
                    };
                    self.channel.counters().messages_sent.one();
                    self.hand_on(cursor, size);
                    taken
                }
            };
            if is_last {
                attempt.phase.set(Phase::Wait);
                return Ok(());
            }
            if taken.is_err() {
                return self.swallow(attempt, cursor).await;
            }
        }
    }

    /// What the attempt is to send next: what others of the call have sent goes first, then what its caller sends.
    async fn next(&self, attempt: &Attempt, cursor: &Cursor) -> Outgoing {
        poll_fn(|cx| {
            if let Some(outgoing) = self.replay.next(cursor) {
                return Poll::Ready(outgoing);
            }
            let taken = self.poll_taken(cx, |_| true);
            if let Poll::Ready(outgoing) = &taken
                && let Err(overflow) = self.replay.take_in(cursor, outgoing)
            {
                attempt.bound.set(Some(Bound::Overflown(overflow)));
            }
            taken
        })
        .await
    }

    /// What the caller sends next, if it `fits`: compressed once, however often it is sent ([BUF-03]).
    fn poll_taken(&self, cx: &mut Context<'_>, fits: impl FnOnce(&Outgoing) -> bool) -> Poll<Outgoing> {
        if self.spec.compression() == Compression::Identity {
            return self.inbox.poll_outgoing(cx, fits);
        }
        let mut slot = self.compressing.borrow_mut();
        let compressing = match &mut *slot {
            Some(compressing) => compressing,
            None => {
                let outgoing = ready!(self.inbox.poll_outgoing(cx, |_| true));
                let message = outgoing.message.as_ref().filter(|_| !outgoing.goes_as_it_is);
                let coded =
                    message.and_then(|message| self.channel.coding().compress(self.spec.compression(), &message.bytes));
                slot.insert(Compressing { outgoing, coded })
            }
        };
        if let Some(coded) = &mut compressing.coded {
            compressing.outgoing.message = Some(ready!(coded.as_mut().poll(cx)));
            compressing.coded = None;
        }
        // What does not fit is for whoever asks next.
        match slot.take_if(|compressing| fits(&compressing.outgoing)) {
            Some(Compressing { outgoing, .. }) => Poll::Ready(outgoing),
            None => Poll::Pending,
        }
    }

    /// The message before the cursor is on its way, or goes nowhere. If it was none that another attempt has sent, there is room for another.
    fn hand_on(&self, cursor: &Cursor, size: usize) {
        if self.replay.hand_on(cursor) && self.quota.give_back(size) {
            self.events.on_writable();
        }
    }

    /// The server ended the stream before we half-closed: what is sent from now on goes nowhere, and whoever sends it must not wait
    /// for room. As long as another attempt may follow it is left to that; the receiving half, which is asked first, will know.
    async fn swallow(&self, attempt: &Attempt, cursor: &Cursor) -> Result<(), Failure> {
        poll_fn(|_| if attempt.bound.get().is_some() { Poll::Ready(()) } else { Poll::Pending }).await;
        loop {
            let Outgoing { message, size, is_last, .. } = self.next(attempt, cursor).await;
            if message.is_some() {
                self.hand_on(cursor, size);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Receives until the end. One message is read ahead of the credit, so that an end without a further message shows at once.
    async fn receive_all(&self, receiver: &mut Receiver, attempt: &Attempt, cursor: &Cursor) -> Outcome {
        let single_response = self.spec.single_response;
        match receiver.head(limits::receive(self.channel, self.spec), self.channel.coding()).await {
            Err(outcome) => return if single_response { due(outcome) } else { outcome },
            Ok(initial) => {
                attempt.bound.set(Some(Bound::Committed));
                self.replay.let_go(cursor);
                if !self.spec.skip_initial {
                    let peer = attempt.peer().unwrap_or_else(|| "".into());
                    self.events.on_headers(initial, peer);
                }
            }
        }
        let mut messages = 0_u64;
        loop {
            match receiver.message().await {
                Err(outcome) => return if single_response && messages == 0 { due(outcome) } else { outcome },
                // [WIRE-158]
                Ok(_) if single_response && messages == 1 => return Outcome::local(Failure::SecondMessage),
                Ok(message) => {
                    messages += 1;
                    self.channel.counters().messages_received.one();
                    receiver.wait(self.inbox.credit()).await;
                    self.events.on_message(message);
                }
            }
        }
    }
}
