//! What follows an attempt that came to nothing: the call's end, or another attempt, at once or after a while. Decided here for all kinds of
//! calls, by the rules of `policy/retry/`.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;

use super::CallSpec;
use super::progress::Progress;
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::observe::trail::{Milliseconds, Phase, Sent};
use crate::policy::retry::buffer::{CallBuffer, Overflow};
use crate::policy::retry::pushback::Advice;
use crate::policy::retry::sequence::{Bound, Decision, Failed, Sequence};
use crate::policy::retry::why::Why;
use crate::policy::retry::{Attempts, HedgingPolicy};
use crate::runtime::Driver;
use crate::time::Time;
use crate::transport::{Ending, Outcome};

/// What a call has been through that is made once more, if it is. Boxed, because few calls fail.
#[derive(Default)]
pub(super) struct Again<'a>(Option<Box<State<'a>>>);

struct State<'a> {
    sequence: Sequence<'a>,
    /// Where a unary call's message is counted from its first failure on.
    message: Option<CallBuffer>,
}

impl<'a> Again<'a> {
    /// The running attempt of the call has ended, not with an answer, and its stream was let go. Breaks with the call's end; else another attempt
    /// follows, at once or when it is due. A unary call's `message` is still to be counted among what is kept.
    #[cold]
    pub(super) fn after<D: Driver>(
        &mut self,
        channel: &'a LocalChannel<D>,
        spec: &'a CallSpec,
        progress: &Progress,
        outcome: Outcome,
        message: Option<&Bytes>,
    ) -> ControlFlow<Outcome, Option<Time>> {
        if is_final(&outcome) {
            return Break(outcome);
        }
        let state = self.0.get_or_insert_with(|| Box::new(State::new(channel, spec)));
        let (now, bound) = (channel.driver().now(), progress.attempt.bound.get());
        // [RETRY-3]: the server says that it did not process it.
        if outcome.sent == Sent::Refused && bound.is_none() {
            let sequence = &mut state.sequence;
            if channel.with_allowance(now, |allowance| sequence.on_unprocessed(allowance)) {
                channel.counters().transparent_retries.one();
                let words = || "another follows at once, as the server did not process it".to_owned();
                progress.log_what_follows(channel, progress.attempts.get(), &outcome, words);
                state.follow(channel, progress, now, &outcome);
                return Continue(None);
            }
        }
        let bound = bound.or_else(|| state.keep(channel, message?).err().map(Bound::Overflown));
        match state.decide(channel, now, &failed(&outcome, bound)) {
            Decision::Retry { after } => {
                let words = || format!("another follows in {}", Milliseconds(after));
                progress.log_what_follows(channel, progress.attempts.get(), &outcome, words);
                state.follow(channel, progress, now, &outcome);
                Continue((!after.is_zero()).then(|| {
                    progress.on_waits_until(now + after);
                    now + after
                }))
            }
            Decision::GiveUp(why) => {
                progress.log_what_follows(channel, progress.attempts.get(), &outcome, || in_words(why));
                progress.on_given_up(why);
                Break(outcome)
            }
        }
    }
}

impl<'a> State<'a> {
    fn new<D: Driver>(channel: &'a LocalChannel<D>, spec: &'a CallSpec) -> Self {
        let policy = match spec.attempts() {
            Some(Attempts::Retry(policy)) => Some(policy),
            // What hedges does not wait for failures.
            Some(Attempts::Hedge(_)) | None => None,
        };
        let rules = &channel.config().retries;
        let is_idempotent = spec.is_idempotent || rules.idempotent.contains(spec.method.path.as_str());
        Self { sequence: Sequence::new(rules, policy, is_idempotent && !spec.no_retry), message: None }
    }

    fn keep<D: Driver>(&mut self, channel: &LocalChannel<D>, message: &Bytes) -> Result<(), Overflow> {
        if self.message.is_none() {
            // [BUF-05]
            let mut buffer = channel.call_buffer();
            buffer.keep(message.len())?;
            self.message = Some(buffer);
        }
        Ok(())
    }

    fn decide<D: Driver>(&mut self, channel: &LocalChannel<D>, now: Time, failed: &Failed) -> Decision {
        let unit = channel.driver().random_unit();
        channel.with_allowance(now, |allowance| self.sequence.on_failed(failed, unit, allowance))
    }

    /// The attempt is over, and another one follows.
    fn follow<D: Driver>(&self, channel: &LocalChannel<D>, progress: &Progress, now: Time, outcome: &Outcome) {
        channel.counters().retries.one();
        progress.on_failed(channel, now, outcome);
        progress.attempt.previous.set(self.sequence.previous_attempts());
    }
}

impl CallSpec {
    /// By what policy the call is hedged, if it is.
    pub(super) fn hedging<D: Driver>(&self, channel: &LocalChannel<D>) -> Option<&HedgingPolicy> {
        match self.attempts()? {
            Attempts::Hedge(policy) if channel.config().retries.is_enabled => Some(policy),
            Attempts::Hedge(_) | Attempts::Retry(_) => None,
        }
    }

    /// How the call may be made more than once.
    fn attempts(&self) -> Option<&Attempts> {
        let of_method = self.method.config.as_ref()?.attempts.as_ref();
        of_method.filter(|_| !self.no_retry)
    }
}

/// For log lines, which tell it in any case.
pub(super) fn in_words(why: Why) -> String {
    why.words().unwrap_or_else(|| "no further attempt: nothing says that the call may be made again".to_owned())
}

/// A failed attempt as policies look at it.
pub(super) fn failed(outcome: &Outcome, bound: Option<Bound>) -> Failed {
    let (advice, is_lost) = match &outcome.ending {
        Ending::Peer { trailing, .. } => (Advice::of(trailing), false),
        Ending::Local(failure) => (Advice::default(), matches!(failure, Failure::ConnectionLost { .. })),
    };
    Failed { code: outcome.code(), advice, bound, is_lost }
}

/// Whether no other attempt would end otherwise: it ended well, or it is this side that does not let the call through.
pub(super) fn is_final(outcome: &Outcome) -> bool {
    let failure = match &outcome.ending {
        Ending::Peer { status, .. } => return status.is_ok(),
        Ending::Local(failure) => failure,
    };
    match failure {
        Failure::Cancelled { .. }
        | Failure::DeadlineExceeded { .. }
        | Failure::ChannelClosed
        | Failure::ChannelClosedWhileRunning
        | Failure::Forked
        | Failure::TooManyQueued { .. }
        | Failure::NoRequestHash
        | Failure::ReceivedTooLarge { .. }
        | Failure::DecompressedTooLarge { .. }
        | Failure::SentTooLarge { .. }
        | Failure::TooMuchMetadata { .. }
        | Failure::SentHeadersTooLarge { .. }
        | Failure::HeadersTooLarge { .. }
        | Failure::NoMessage
        | Failure::SecondMessage
        | Failure::AuthorityNotValid { .. }
        | Failure::CredentialsOnInsecure
        | Failure::Internal { .. } => true,
        // A plug-in may have been out of luck, too.
        Failure::CredentialsFailed { .. }
        | Failure::ConnectFailed { .. }
        | Failure::RingFailed { .. }
        | Failure::Unhealthy
        | Failure::BreakersOpen
        | Failure::ResolveFailed { .. }
        | Failure::ResolverFailed { .. }
        | Failure::ConnectionLost { .. }
        | Failure::StreamReset { .. }
        | Failure::Refused { .. }
        | Failure::HttpStatus { .. }
        | Failure::NoStatus { .. }
        | Failure::Protocol { .. } => false,
    }
}

impl Progress {
    /// The call waits until then for its next attempt.
    pub(super) fn on_waits_until(&self, due: Time) {
        self.attempt.phase.set(Phase::Backoff);
        self.past().peer.take();
        self.past().attempts.borrow_mut().next = Some((self.attempts.get() + 1, due));
    }

    /// No attempt follows. Told where somebody may have expected one.
    pub(super) fn on_given_up(&self, why: Why) {
        let is_expected =
            self.attempts.get() > 1 || !matches!(why, Why::NoPolicy | Why::NotRetryable(_) | Why::Committed);
        if is_expected && let Some(words) = why.words() {
            self.past().attempts.borrow_mut().why_none = Some(words);
        }
    }
}
