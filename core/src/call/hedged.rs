//! A call that is hedged: attempts beside each other, of which the first that is answered is the call ([HEDGE-20] to [HEDGE-30]).
//!
//! What to do is decided by `policy/retry/hedging.rs`; here it is done. All attempts are polled by the call's one task, and as soon as one is
//! committed the others are dropped, before they are polled again: so only one of them ever reaches the caller.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::again::{failed, is_final};
use super::progress::{Attempt, Progress};
use super::replay::Cursor;
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::Sent;
use crate::policy::retry::HedgingPolicy;
use crate::policy::retry::buffer::Overflow;
use crate::policy::retry::hedging::{Action, Hedging};
use crate::policy::retry::sequence::{Bound, Sequence};
use crate::policy::retry::throttle::Allowance;
use crate::policy::retry::why::Why;
use crate::runtime::Driver;
use crate::time::Time;
use crate::transport::Outcome;

/// One attempt of a hedged call.
pub(super) struct Hedge {
    pub(super) attempt: Attempt,
    pub(super) cursor: Cursor,
    /// Of all the call's attempts it is this one; the first has 1.
    pub(super) ordinal: u32,
}

/// How a hedged call's attempts are made.
pub(super) trait Exchange<'a> {
    /// One attempt, up to its end.
    fn begin(&self, hedge: Rc<Hedge>) -> Work<'a>;

    /// How many messages were taken in to be sent: if more were meanwhile, the other attempts have something to do.
    fn taken(&self) -> usize;
}

pub(super) type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Makes the call. `overflow` says that its message is larger than what is kept, so that it can be made once only.
pub(super) async fn run<'a, D: Driver>(
    channel: &'a LocalChannel<D>,
    policy: &HedgingPolicy,
    progress: &Progress,
    overflow: Option<Overflow>,
    exchange: &impl Exchange<'a>,
) -> Outcome {
    progress.on_hedged();
    let rules = &channel.config().retries;
    let mut call = Hedged {
        channel,
        progress,
        exchange,
        hedging: Hedging::new(policy, rules, channel.driver().now()),
        overflow,
        unseen: Sequence::new(rules, None, false),
        live: Vec::new(),
        timer: None,
        ended: None,
        winner: None,
    };
    poll_fn(|cx| call.poll(cx)).await
}

struct Hedged<'a, 'c, D: Driver, X> {
    channel: &'a LocalChannel<D>,
    progress: &'c Progress,
    exchange: &'c X,
    hedging: Hedging,
    overflow: Option<Overflow>,
    /// Bounds what is sent again because the server did not process it.
    unseen: Sequence<'a>,
    live: Vec<Live<'a>>,
    timer: Option<Timer>,
    /// How the attempt ended that failed last.
    ended: Option<Outcome>,
    /// The attempt that is the call.
    winner: Option<u32>,
}

/// What wakes the call's task, and when.
struct Timer {
    due: Time,
    sleep: Pin<Box<dyn Future<Output = ()>>>,
}

/// What came of doing what was to be done.
enum Done {
    /// The call ends so.
    Call(Outcome),
    /// An attempt was started, and is to be polled before anything else is done: if it is answered at once it is the only one.
    Start,
    Nothing,
}

/// An attempt that runs.
struct Live<'a> {
    /// As [`Hedging`] counts.
    number: u32,
    hedge: Rc<Hedge>,
    work: Work<'a>,
}

impl<'a, D: Driver, X: Exchange<'a>> Hedged<'a, '_, D, X> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            let taken = self.exchange.taken();
            let mut has_news = false;
            let mut place = 0;
            while let Some(live) = self.live.get_mut(place) {
                let polled = live.work.as_mut().poll(cx);
                match polled {
                    Poll::Ready(outcome) => {
                        has_news = true;
                        if let Some(outcome) = self.on_over(place, outcome) {
                            return Poll::Ready(outcome);
                        }
                        // What the call's end is must not change any more: the others are not polled again.
                        if self.hedging.is_decided() {
                            break;
                        }
                    }
                    Poll::Pending if self.winner.is_none() && live.hedge.attempt.bound.get().is_some() => {
                        // The others must not go on: what they would send may be let go already.
                        self.commit(place);
                        has_news = true;
                        break;
                    }
                    Poll::Pending => place += 1,
                }
            }
            match self.act(cx) {
                Done::Call(outcome) => return Poll::Ready(outcome),
                Done::Start => {}
                Done::Nothing if has_news || self.exchange.taken() != taken => {}
                Done::Nothing => return Poll::Pending,
            }
        }
    }

    /// Does what is to be done now.
    fn act(&mut self, cx: &mut Context<'_>) -> Done {
        loop {
            match self.allowed(|hedging, allowance| hedging.next(allowance)) {
                Action::Start(number) => {
                    if number > 0 {
                        log(LogLevel::Debug, Room::Retry, || {
                            let (name, call) = (&self.channel.config().name, self.progress.attempt.call);
                            format!(
                                "{name}: call {call}: another attempt begins, of {} so far",
                                self.progress.attempts.get()
                            )
                        });
                        self.channel.counters().retries.one();
                        self.channel.counters().hedges.one();
                    }
                    let running = self.live.last().and_then(|live| live.hedge.attempt.connection());
                    self.start(number, running.or(self.progress.attempt.avoids()));
                    // [HEDGE-30]
                    if self.overflow.is_some() {
                        self.commit(self.live.len() - 1);
                    }
                    return Done::Start;
                }
                Action::Wait(due) => {
                    if !self.is_time(due, cx) {
                        if let Some(due) = due.filter(|_| self.live.is_empty()) {
                            self.progress.on_waits_until(due);
                        }
                        return Done::Nothing;
                    }
                }
                Action::Commit(number) => {
                    if let Some(place) = self.live.iter().position(|live| live.number == number) {
                        self.commit(place);
                    }
                }
                Action::End { why, .. } => {
                    self.abandon_all();
                    self.progress.on_given_up(why);
                    let bug =
                        || Outcome::local(Failure::Internal { text: "a hedged call ended as no attempt did".into() });
                    return Done::Call(self.ended.take().unwrap_or_else(bug));
                }
            }
        }
    }

    /// Whether it is time already; else the call's task is woken then.
    fn is_time(&mut self, due: Option<Time>, cx: &mut Context<'_>) -> bool {
        self.timer = match (due, self.timer.take()) {
            (None, _) => return false,
            (Some(due), Some(timer)) if timer.due == due => Some(timer),
            (Some(due), _) => Some(Timer { due, sleep: Box::pin(self.channel.driver().sleep_until(due)) }),
        };
        let is_time = self.timer.as_mut().is_some_and(|timer| timer.sleep.as_mut().poll(cx).is_ready());
        if is_time {
            self.timer = None;
        }
        is_time
    }

    fn start(&mut self, number: u32, avoids: Option<u64>) {
        let attempt = self.progress.beside(self.channel.driver().now(), number, avoids);
        self.progress.on_attempt();
        let hedge = Rc::new(Hedge { attempt, cursor: Cursor::default(), ordinal: self.progress.attempts.get() });
        self.progress.past().hedges.borrow_mut().push(Rc::clone(&hedge));
        self.live.push(Live { number, work: self.exchange.begin(Rc::clone(&hedge)), hedge });
    }

    /// The attempt in this place is over. The end of the call, if it is that.
    fn on_over(&mut self, place: usize, outcome: Outcome) -> Option<Outcome> {
        let bound = self.live[place].hedge.attempt.bound.get();
        // [RETRY-3], also of the only one.
        if outcome.sent == Sent::Refused && bound.is_none() && self.may_go_unseen() {
            let (number, connection) = self.remove(place, &outcome);
            self.channel.counters().retries.one();
            self.channel.counters().transparent_retries.one();
            let (made, words) =
                (self.progress.attempts.get(), "another follows at once, as the server did not process it");
            self.progress.log_what_follows(self.channel, made, &outcome, || words.to_owned());
            self.start(number, connection);
            return None;
        }
        let (is_winner, is_alone) = (self.winner == Some(self.live[place].number), self.live.len() == 1);
        // [HEDGE-22]
        if is_winner || bound.is_some() || outcome.is_ok() || (is_alone && is_final(&outcome)) {
            self.commit(place);
            let overflow = match bound {
                Some(Bound::Overflown(overflow)) => Some(overflow),
                Some(Bound::Committed) => None,
                None => self.overflow,
            };
            if let Some(overflow) = overflow.filter(|_| !is_final(&outcome)) {
                self.progress.on_given_up(Why::BufferExceeded(overflow));
            }
            return Some(outcome);
        }
        let (number, _) = self.remove(place, &outcome);
        if is_final(&outcome) {
            self.hedging.on_not_made(number, outcome.code());
        } else {
            let failed = failed(&outcome, None);
            self.allowed(|hedging, allowance| hedging.on_failed(number, failed.code, failed.advice, allowance));
        }
        self.ended = Some(outcome);
        None
    }

    /// Whether what no server processed is sent again, out of the policy's sight.
    fn may_go_unseen(&mut self) -> bool {
        let unseen = &mut self.unseen;
        self.channel.with_allowance(self.channel.driver().now(), |allowance| unseen.on_unprocessed(allowance))
    }

    /// The attempt in this place runs no more, and its stream is let go. Which it was, and on what connection.
    fn remove(&mut self, place: usize, outcome: &Outcome) -> (u32, Option<u64>) {
        let Live { number, hedge, work } = self.live.remove(place);
        drop(work);
        self.progress.past().forget(&hedge);
        self.progress.on_failed_beside(self.channel, &hedge, self.channel.driver().now(), outcome);
        (number, hedge.attempt.connection())
    }

    /// The call is the attempt in this place, and all others are cancelled ([RETRY-16]).
    fn commit(&mut self, place: usize) {
        let winner = self.live.remove(place);
        self.hedging.on_answer(winner.number);
        self.winner = Some(winner.number);
        self.abandon_all();
        self.live.push(winner);
    }

    fn abandon_all(&mut self) {
        for Live { hedge, work, .. } in std::mem::take(&mut self.live) {
            // Its stream is reset first.
            drop(work);
            self.progress.past().forget(&hedge);
            self.progress.on_abandoned(self.channel.driver().now(), &hedge);
        }
    }

    fn allowed<T>(&mut self, ask: impl FnOnce(&mut Hedging, &mut Allowance<'_>) -> T) -> T {
        let hedging = &mut self.hedging;
        self.channel.with_allowance(self.channel.driver().now(), |allowance| ask(hedging, allowance))
    }
}
