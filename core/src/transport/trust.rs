//! Whether calls may rely on a connection: the machine that suspects it, where calls tell it what they saw, and what it asks of the
//! connection's task.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::places::Places;
use super::tap::Seen;
use crate::policy::liveness::{Liveness, LivenessOptions, LivenessStep, Suspicion};
use crate::time::Time;

/// One connection's trust, shared by its handle and the task that moves it.
pub(super) struct Trust {
    liveness: RefCell<Liveness>,
    asked: Cell<Asked>,
    seen: Rc<Seen>,
    /// What [`Seen::answers`] said when the machine was told of them last.
    answers: Cell<u32>,
    places: Rc<Places>,
    /// Moves the connection; `None` until it has begun to.
    task: RefCell<Option<Waker>>,
}

/// What the machine asks of the connection's task.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) ping: bool,
    pub(super) successor: Option<Suspicion>,
    pub(super) dead: Option<(Suspicion, Duration)>,
    /// The next deadline may be earlier than it was.
    pub(super) has_moved: bool,
}

impl Trust {
    pub(super) fn new(options: LivenessOptions, seen: Rc<Seen>, places: Rc<Places>, now: Time) -> Self {
        let liveness = RefCell::new(Liveness::new(options, now));
        let answers = Cell::new(seen.answers());
        Self { liveness, asked: Cell::default(), seen, answers, places, task: RefCell::new(None) }
    }

    /// A call wants a place.
    pub(super) fn on_place_wanted(&self, now: Time) {
        if !self.places.have_calls() {
            self.tell(|liveness| liveness.on_reuse(now));
        }
        if self.places.are_held() {
            self.tell(|liveness| liveness.on_call_waits(now));
            self.ask(|asked| asked.has_moved = true);
        }
    }

    /// A call reached its deadline and nothing was read since its stream was opened.
    pub(super) fn on_silent_deadline(&self, now: Time, opened: Time) {
        self.tell(|liveness| liveness.on_silent_deadline(now, opened));
    }

    /// A call has ended and its stream is gone.
    pub(super) fn on_call_ended(&self, now: Time) {
        if !self.places.have_calls() {
            self.liveness.borrow_mut().on_idle(now);
        }
    }

    pub(super) fn is_moved_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        match &mut *task {
            Some(task) => task.clone_from(waker),
            None => *task = Some(waker.clone()),
        }
    }

    pub(super) fn on_stream_opened(&self, now: Time) {
        self.liveness.borrow_mut().on_in_use(now);
    }

    pub(super) fn is_beating(&self) -> bool {
        self.liveness.borrow().is_beating()
    }

    /// Bytes were read; the time is asked for only if it matters.
    pub(super) fn on_bytes_read(&self, now: impl FnOnce() -> Time) {
        let mut liveness = self.liveness.borrow_mut();
        if liveness.on_bytes_read() {
            self.asked.set(Asked::default());
            self.places.release();
        }
        if !self.places.have_calls() {
            liveness.on_idle(now());
        }
    }

    /// A PING was sent for another purpose.
    pub(super) fn on_other_ping(&self) {
        self.informed().on_other_ping();
    }

    pub(super) fn on_time(&self, now: Time) {
        let (is_in_use, calls_wait) = (self.places.are_taken(), self.places.have_waiting());
        loop {
            let step = self.liveness.borrow_mut().on_time(now, is_in_use, calls_wait);
            self.carry_out(step);
            if matches!(step, LivenessStep::Nothing | LivenessStep::Dead(..)) {
                return;
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.liveness.borrow().next_deadline(self.places.have_waiting())
    }

    pub(super) fn take_asked(&self) -> Asked {
        self.asked.take()
    }

    fn tell(&self, event: impl FnOnce(&mut Liveness) -> LivenessStep) {
        let step = event(&mut self.informed());
        self.carry_out(step);
    }

    /// The machine, once it knows whether the server has answered.
    fn informed(&self) -> RefMut<'_, Liveness> {
        let mut liveness = self.liveness.borrow_mut();
        let answers = self.seen.answers();
        if self.answers.replace(answers) != answers {
            liveness.on_answer_read();
        }
        liveness
    }

    fn carry_out(&self, step: LivenessStep) {
        match step {
            LivenessStep::Nothing => {}
            LivenessStep::Check => {
                self.places.hold();
                self.ask(|asked| (asked.ping, asked.has_moved) = (true, true));
            }
            LivenessStep::WantSuccessor(suspicion) => self.ask(|asked| asked.successor = Some(suspicion)),
            LivenessStep::Dead(suspicion, silence) => self.ask(|asked| asked.dead = Some((suspicion, silence))),
        }
    }

    fn ask(&self, what: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.get();
        what(&mut asked);
        self.asked.set(asked);
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }
}

/// Why, in words that follow a comma or a colon.
pub(super) fn words_of(suspicion: Suspicion) -> &'static str {
    match suspicion {
        Suspicion::SilentDeadline => "a call had reached its deadline in silence",
        Suspicion::Idle => "it had been idle for long",
        Suspicion::Frozen => "the process had not run for a while",
    }
}
