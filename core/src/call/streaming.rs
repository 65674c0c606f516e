//! A call with streams: messages out as they come, messages in as they are asked for, one end.

use std::cell::Cell;
use std::pin::pin;

use bytes::Bytes;

use super::ending::Progress;
use super::inbox::{Inbox, Outgoing};
use super::quota::SendQuota;
use super::replay::Replay;
use super::unary::due;
use super::{CallEnd, CallSpec, attempt, configured, limits, waiting};
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::{Phase, Sent};
use crate::runtime::Driver;
use crate::transport::message::Outbound;
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
    let (mut progress, replay) = (Progress::start(channel, spec), Replay::default());
    if channel.config().takes_resolvers_config
        && let Err(outcome) = configured::bind(channel, spec, &mut progress, inbox).await
    {
        return progress.end(channel, outcome);
    }
    let owed = Cell::new(None);
    let running = Running { channel, spec, is_empty, inbox, quota, owed, events, progress: &progress, replay: &replay };
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
    /// The size of the message that was taken to be sent and has not been given back to the quota.
    owed: Cell<Option<usize>>,
    events: &'a E,
    progress: &'a Progress,
    replay: &'a Replay,
}

/// A stream's first message is handed over with the headers up to this size; more would wait in memory for a server's small window.
const MOST_WITH_HEADERS: usize = 8 << 10;

impl<D: Driver, E: StreamEvents> Running<'_, D, E> {
    /// One attempt, and further ones, unseen, while the server says that it did not process the last ([RETRY-3]) and everything sent so
    /// far can be sent again.
    async fn attempts(&self) -> Outcome {
        let _running = match waiting::enter(self.channel, self.progress).await {
            Ok(running) => running,
            Err(failure) => return self.progress.local(failure),
        };
        let mut attempts = 1;
        loop {
            let outcome = self.exchange().await;
            if outcome.sent != Sent::Refused || !self.replay.is_whole() || !self.channel.may_retry(attempts) {
                return outcome;
            }
            attempts += 1;
            self.progress.on_retry();
            self.replay.start_over();
        }
    }

    async fn exchange(&self) -> Outcome {
        let mut stream = match attempt::open(self.channel, self.spec, self.progress, self.is_empty).await {
            Ok(stream) => stream,
            Err(failure) => return self.progress.local(failure),
        };
        self.progress.sent.set(Sent::Processed);
        if self.is_empty {
            self.progress.phase.set(Phase::Wait);
        }
        let outcome = {
            let mut sending = pin!(self.send_all(&mut stream.sender));
            let mut receiving = pin!(self.receive_all(&mut stream.receiver));
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

    /// Sends until half-closed, or until the stream takes nothing more; why it does not comes from the receiving half. What an earlier
    /// attempt has sent goes first.
    async fn send_all(&self, sender: &mut Sender) -> Result<(), Failure> {
        let mut is_first = true;
        loop {
            let Outgoing { message, is_last } = match self.replay.next() {
                Some(outgoing) => outgoing,
                None => self.taken_from_inbox().await,
            };
            let taken = match message {
                None => sender.half_close(),
                Some(message) => {
                    let size = message.len();
                    let outbound = Outbound::message(message, limits::send(self.channel, self.spec))?;
                    // Room is known only once the headers are out; a small message goes with them, whatever the room.
                    let goes_along = std::mem::take(&mut is_first) && size <= MOST_WITH_HEADERS;
                    let taken = if goes_along {
                        sender.send_now(outbound, is_last)
                    } else {
                        sender.send(outbound, is_last).await
                    };
                    self.channel.counters().messages_sent.one();
                    self.give_back();
                    taken
                }
            };
            if is_last {
                self.progress.phase.set(Phase::Wait);
                return Ok(());
            }
            if taken.is_err() {
                return self.swallow().await;
            }
        }
    }

    async fn taken_from_inbox(&self) -> Outgoing {
        let outgoing = self.inbox.outgoing().await;
        self.replay.keep(&outgoing);
        self.owed.set(outgoing.message.as_ref().map(Bytes::len));
        outgoing
    }

    /// The message taken last is on its way, or goes nowhere. One that an earlier attempt was about to send is given back by the next.
    fn give_back(&self) {
        if self.owed.take().is_some_and(|size| self.quota.give_back(size)) {
            self.events.on_writable();
        }
    }

    /// The server ended the stream before we half-closed: what is sent from now on goes nowhere, and whoever sends it must not wait
    /// for room.
    async fn swallow(&self) -> Result<(), Failure> {
        loop {
            self.give_back();
            if self.taken_from_inbox().await.is_last {
                return Ok(());
            }
        }
    }

    /// Receives until the end. One message is read ahead of the credit, so that an end without a further message shows at once.
    async fn receive_all(&self, receiver: &mut Receiver) -> Outcome {
        let single_response = self.spec.single_response;
        match receiver.head(limits::receive(self.channel, self.spec)).await {
            Err(outcome) => return if single_response { due(outcome) } else { outcome },
            Ok(initial) => {
                self.replay.let_go();
                if !self.spec.skip_initial {
                    let peer = self.progress.peer().unwrap_or_else(|| "".into());
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
