//! A call with streams: messages out as they come, messages in as they are asked for, one end.

use std::pin::pin;

use bytes::Bytes;

use super::ending::Progress;
use super::inbox::{Inbox, Outgoing};
use super::quota::SendQuota;
use super::unary::{due, receive_limits};
use super::{CallEnd, CallSpec, attempt};
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
    spec: &CallSpec,
    is_empty: bool,
    inbox: &Inbox,
    quota: &SendQuota,
    events: &impl StreamEvents,
) -> CallEnd {
    let progress = Progress::start(channel, spec);
    let outcome = {
        let exchange = pin!(exchange(channel, spec, is_empty, inbox, quota, events, &progress));
        progress.supervise(channel.driver(), inbox, exchange).await
    };
    progress.end(channel, outcome)
}

async fn exchange<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    is_empty: bool,
    inbox: &Inbox,
    quota: &SendQuota,
    events: &impl StreamEvents,
    progress: &Progress,
) -> Outcome {
    let mut stream = match attempt::open(channel, spec, progress, is_empty).await {
        Ok(stream) => stream,
        Err(failure) => return progress.local(failure),
    };
    progress.sent.set(Sent::Processed);
    if is_empty {
        progress.phase.set(Phase::Wait);
    }
    let outcome = {
        let mut sending = pin!(send_all(channel, &mut stream.sender, inbox, quota, events, progress));
        let mut receiving = pin!(receive_all(channel, spec, &mut stream.receiver, inbox, events, progress));
        let mut is_sending = !is_empty;
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
async fn send_all<D: Driver>(
    channel: &LocalChannel<D>,
    sender: &mut Sender,
    inbox: &Inbox,
    quota: &SendQuota,
    events: &impl StreamEvents,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut is_first = true;
    loop {
        let Outgoing { message, is_last } = inbox.outgoing().await;
        let taken = match message {
            None => sender.half_close(),
            Some(message) => {
                let size = message.len();
                let outbound = Outbound::message(message, channel.config().max_send_bytes)?;
                // Room is known only once the headers are out; a small message goes with them, whatever the room.
                let goes_along = std::mem::take(&mut is_first) && size <= MOST_WITH_HEADERS;
                let taken =
                    if goes_along { sender.send_now(outbound, is_last) } else { sender.send(outbound, is_last).await };
                channel.counters().messages_sent.one();
                if quota.give_back(size) {
                    events.on_writable();
                }
                taken
            }
        };
        if is_last {
            progress.phase.set(Phase::Wait);
            return Ok(());
        }
        if taken.is_err() {
            return swallow(inbox, quota, events).await;
        }
    }
}

/// A stream's first message is handed over with the headers up to this size; more would wait in memory for a server's small window.
const MOST_WITH_HEADERS: usize = 8 << 10;

/// The server ended the stream before we half-closed: what is sent from now on goes nowhere, and whoever sends it must not wait
/// for room.
async fn swallow(inbox: &Inbox, quota: &SendQuota, events: &impl StreamEvents) -> Result<(), Failure> {
    loop {
        let Outgoing { message, is_last } = inbox.outgoing().await;
        if message.is_some_and(|message| quota.give_back(message.len())) {
            events.on_writable();
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Receives until the end. One message is read ahead of the credit, so that an end without a further message shows at once.
async fn receive_all<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    receiver: &mut Receiver,
    inbox: &Inbox,
    events: &impl StreamEvents,
    progress: &Progress,
) -> Outcome {
    match receiver.head(receive_limits(channel, spec)).await {
        Err(outcome) => return if spec.single_response { due(outcome) } else { outcome },
        Ok(initial) if spec.skip_initial => drop(initial),
        Ok(initial) => {
            let peer = progress.peer.borrow().clone().unwrap_or_else(|| "".into());
            events.on_headers(initial, peer);
        }
    }
    let mut messages = 0_u64;
    loop {
        match receiver.message().await {
            Err(outcome) => {
                return if spec.single_response && messages == 0 { due(outcome) } else { outcome };
            }
            // [WIRE-158]
            Ok(_) if spec.single_response && messages == 1 => return Outcome::local(Failure::SecondMessage),
            Ok(message) => {
                messages += 1;
                channel.counters().messages_received.one();
                inbox.credit().await;
                events.on_message(message);
            }
        }
    }
}
