//! A unary call: one message out, one message in, one end.

use std::cell::RefCell;
use std::ops::ControlFlow::{Break, Continue};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;

use super::again::Again;
use super::hedged::{self, Hedge, Work};
use super::inbox::Inbox;
use super::progress::{Attempt, Progress};
use super::{CallSpec, UnaryEnd, attempt, configured, limits, waiting};
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::{Phase, Sent};
use crate::policy::retry::HedgingPolicy;
use crate::policy::retry::sequence::Bound;
use crate::runtime::Driver;
use crate::transport::message::{Outbound, Payload};
use crate::transport::stream::Receiver;
use crate::transport::{Ending, Outcome};

/// Runs the call to its end.
pub(crate) async fn run<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &mut CallSpec,
    message: Bytes,
    inbox: &Inbox,
) -> UnaryEnd {
    let mut progress = Progress::start(channel, spec);
    if channel.config().takes_resolvers_config
        && let Err(outcome) = configured::bind(channel, spec, &mut progress, inbox).await
    {
        return UnaryEnd { end: progress.end(channel, outcome), initial: None, message: None };
    }
    spec.choose_compression(channel);
    let spec = &*spec;
    let received = RefCell::new(Received::default());
    let outcome = {
        let attempts = pin!(attempts(channel, spec, message, &progress, &received));
        progress.supervise(channel.driver(), inbox, attempts).await
    };
    let end = progress.end(channel, outcome);
    let Received { initial, message } = received.into_inner();
    let message = message.filter(|_| end.status.is_ok());
    UnaryEnd { end, initial: initial.filter(|_| !spec.skip_initial), message }
}

#[derive(Default)]
struct Received {
    initial: Option<Metadata>,
    message: Option<Bytes>,
}

/// One attempt, and further ones as long as there is a reason.
async fn attempts<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    message: Bytes,
    progress: &Progress,
    received: &RefCell<Received>,
) -> Outcome {
    let attempt = &progress.attempt;
    let _running = match waiting::enter(channel, attempt).await {
        Ok(running) => running,
        Err(failure) => return attempt.local(failure),
    };
    let compressing =
        if spec.message_uncompressed { None } else { channel.coding().compress(spec.compression(), &message) };
    let message = match compressing {
        Some(compressing) => compressing.await,
        None => message.into(),
    };
    if let Some(policy) = spec.hedging(channel) {
        // Boxed, because few calls are hedged and every call would have room for it.
        return Box::pin(hedge(channel, spec, policy, &message, progress, received)).await;
    }
    let mut again = Again::default();
    loop {
        progress.on_attempt();
        let outcome = exchange(channel, spec, &message, attempt, received).await;
        if attempt.bound.get() == Some(Bound::Committed) {
            return outcome;
        }
        match again.after(channel, spec, progress, outcome, Some(&message.bytes)) {
            Break(outcome) => return outcome,
            Continue(None) => {}
            Continue(Some(due)) => Box::pin(channel.driver().sleep_until(due)).await,
        }
    }
}

/// Attempts beside each other.
async fn hedge<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    policy: &HedgingPolicy,
    message: &Payload,
    progress: &Progress,
    received: &RefCell<Received>,
) -> Outcome {
    // [BUF-05]
    let mut kept = channel.call_buffer();
    let overflow = kept.keep(message.bytes.len()).err();
    hedged::run(channel, policy, progress, overflow, &Exchange { channel, spec, message, received }).await
}

struct Exchange<'a, D: Driver> {
    channel: &'a LocalChannel<D>,
    spec: &'a CallSpec,
    message: &'a Payload,
    received: &'a RefCell<Received>,
}

impl<'a, D: Driver> hedged::Exchange<'a> for Exchange<'a, D> {
    fn begin(&self, hedge: Rc<Hedge>) -> Work<'a> {
        let Self { channel, spec, message, received } = *self;
        Box::pin(async move { exchange(channel, spec, message, &hedge.attempt, received).await })
    }

    fn taken(&self) -> usize {
        0
    }
}

async fn exchange<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    message: &Payload,
    attempt: &Attempt,
    received: &RefCell<Received>,
) -> Outcome {
    let outbound = match Outbound::message(message.clone(), limits::send(channel, spec)) {
        Ok(outbound) => outbound,
        Err(failure) => {
            attempt.phase.set(Phase::Send);
            return attempt.local(failure);
        }
    };
    let mut stream = match attempt::open(channel, spec, attempt, false).await {
        Ok(stream) => stream,
        Err(failure) => return attempt.local(failure),
    };
    attempt.sent.set(Sent::Processed);
    let (outbound, unwritten) = outbound.watched();
    // Why it took nothing, if it did, comes from the receiving half.
    let _ = stream.sender.send_now(outbound, true);
    channel.counters().messages_sent.one();
    attempt.on_handed_over(unwritten);

    let outcome = receive(channel, spec, &mut stream.receiver, attempt, received).await;
    if matches!(outcome.ending, Ending::Peer { .. }) {
        stream.sender.finished();
    }
    outcome
}

async fn receive<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    receiver: &mut Receiver,
    attempt: &Attempt,
    received: &RefCell<Received>,
) -> Outcome {
    match receiver.head(limits::receive(channel, spec), channel.coding()).await {
        Ok(initial) => {
            attempt.bound.set(Some(Bound::Committed));
            received.borrow_mut().initial = Some(initial);
        }
        Err(outcome) => return due(outcome),
    }
    match receiver.message().await {
        Err(outcome) => return due(outcome),
        Ok(message) => {
            channel.counters().messages_received.one();
            received.borrow_mut().message = Some(message);
        }
    }
    match receiver.message().await {
        Err(outcome) => outcome,
        // [WIRE-158]
        Ok(_) => Outcome::local(Failure::SecondMessage),
    }
}

/// The end of a call that got no message where one was due: OK is not OK then ([WIRE-157]).
pub(super) fn due(outcome: Outcome) -> Outcome {
    match &outcome.ending {
        Ending::Peer { status, .. } if status.is_ok() => Outcome::local(Failure::NoMessage),
        _ => outcome,
    }
}
