//! What a channel shows: its state and the events that led there, and the snapshot calls read.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::Shown;
use super::call_limits::AddressLimit;
use super::config::ChannelConfig;
use super::mailbox::Mailbox;
use super::slot::Publisher;
use super::snapshot::{Connected, Snapshot};
use crate::failure::{Dialect, Failure};
use crate::observe::events::ChannelEvent;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::{AttemptNote, BreakerNote, ConnectTrail, DialNote, LookUpNote};
use crate::policy::balancer::breaker::{BreakerTurned, OpenBreaker};
use crate::policy::balancer::{FixedPicker, PickResult, Picker};
use crate::policy::connectivity::steps;
use crate::service_config::ServiceConfig;
use crate::state::State;
use crate::time::Time;

/// The control task's side of everything others see of a channel.
pub(super) struct Showing {
    /// Whose target names the channel in log lines.
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    publisher: Publisher,
    address_limit: Option<Rc<AddressLimit>>,
    mailbox: Rc<Mailbox>,
    state: State,
    picker: Rc<dyn Picker>,
    /// Why picks fail, once something failed.
    failure: Option<Box<Failure>>,
    /// Set when a connection was usable since that failure: it is told only while nothing is.
    is_past: bool,
    /// The newest failure of each address, oldest first.
    notes: VecDeque<AttemptNote>,
    /// Why the change that is being carried out happens.
    cause: Cause,
    /// What holds for calls, where resolvers bring it.
    service_config: Option<Arc<ServiceConfig>>,
}

/// Why a state changes.
#[derive(Clone, Default)]
pub(super) struct Cause {
    pub(super) words: Cow<'static, str>,
    pub(super) address: Option<Arc<str>>,
    pub(super) connection: Option<u64>,
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self { words: words.into(), ..Self::default() }
    }
}

impl From<&'static str> for Cause {
    fn from(words: &'static str) -> Self {
        Self { words: words.into(), ..Self::default() }
    }
}

/// An error names at most this many addresses; the newest failures stay.
pub(super) const MOST_NOTES: usize = 4;

impl Showing {
    pub(super) fn new(
        config: Arc<ChannelConfig>,
        shown: Arc<Shown>,
        publisher: Publisher,
        address_limit: Option<Rc<AddressLimit>>,
        mailbox: Rc<Mailbox>,
    ) -> Self {
        Self {
            config,
            shown,
            publisher,
            address_limit,
            mailbox,
            state: State::Idle,
            picker: Rc::new(FixedPicker(PickResult::Queue)),
            failure: None,
            is_past: false,
            notes: VecDeque::new(),
            cause: Cause::default(),
            service_config: None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// The reason of the changes that follow.
    pub(super) fn because(&mut self, cause: impl Into<Cause>) {
        self.cause = cause.into();
    }

    /// An address could not be connected.
    pub(super) fn on_dial_failed(&mut self, note: AttemptNote) {
        let last_error = format!("{}: {}", note.address, note.cause);
        self.shown.counters.connect_failures.one();
        self.shown.counters.note_error(last_error.clone());
        self.notes.retain(|other| other.address != note.address);
        if self.notes.len() == MOST_NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
        (self.failure, self.is_past) = (Some(Box::new(Failure::ConnectFailed { last_error })), false);
    }

    /// An address's circuit breaker has turned.
    pub(super) fn on_breaker_turned(&mut self, turned: BreakerTurned) {
        let BreakerTurned { address, words, has_opened } = turned;
        if has_opened {
            self.shown.counters.breaker_trips.one();
        }
        let level = if has_opened { LogLevel::Warn } else { LogLevel::Info };
        log(level, Room::CircuitBreaker, || format!("{}: {words} [{address}]", self.config.name));
        self.because(Cause { words: words.into(), address: Some(address.into()), connection: None });
    }

    /// Something happened that changes no state.
    pub(super) fn tell(&mut self, now: Time, words: String) {
        let cause = std::mem::replace(&mut self.cause, words.into());
        self.record(now, self.state);
        self.cause = cause;
    }

    /// The name could not be resolved, and nothing is known from before.
    pub(super) fn on_resolve_failed(&mut self, failure: Failure) {
        (self.failure, self.is_past) = (Some(Box::new(failure)), false);
    }

    /// Calls that start from the next snapshot on follow this config.
    pub(super) fn on_configured(&mut self, service_config: Arc<ServiceConfig>) {
        self.service_config = Some(service_config);
    }

    /// Why the name could not be looked up, while nothing is known of it.
    pub(super) fn look_up_failure(&self) -> Option<String> {
        let failure = self.failure.as_ref().filter(|failure| failure.is_of_look_up());
        failure.map(|failure| failure.words(Dialect::Native))
    }

    /// Where the service config is from that holds.
    pub(super) fn service_config_source(&self) -> &'static str {
        match (&self.service_config, &self.config.service_config) {
            (Some(found), Some(own)) if Arc::ptr_eq(found, own) => "default",
            (Some(_), _) => "resolver",
            (None, Some(_)) => "default",
            (None, None) => "none",
        }
    }

    /// The channel starts from nothing again.
    pub(super) fn on_went_idle(&mut self) {
        self.notes.clear();
        (self.failure, self.service_config) = (None, None);
    }

    /// A connection is usable: what failed before is history.
    pub(super) fn on_connected(&mut self) {
        self.notes.clear();
        self.is_past = true;
    }

    /// Forgets failures of addresses that are not wanted any more.
    pub(super) fn keep_notes(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.notes.retain(|note| is_wanted(&note.address));
    }

    /// Moves to a state and a picker, by legal steps, each told with its cause. Calls see both with the next snapshot.
    pub(super) fn set(&mut self, now: Time, state: State, picker: Rc<dyn Picker>) {
        for step in steps(self.state, state) {
            self.record(now, *step);
        }
        self.picker = picker;
    }

    /// Publishes a snapshot of what is so now.
    pub(super) fn publish(
        &self,
        connections: Box<[Option<Connected>]>,
        dialing: Vec<DialNote>,
        next_attempt: Option<Time>,
        look_up: Option<LookUpNote>,
        ailing: Vec<String>,
        open_breakers: Vec<OpenBreaker>,
    ) {
        self.shown.counters.breakers_open.set(open_breakers.len() as u64);
        let is_resolving = look_up.is_some();
        let trail = (self.state != State::Ready).then(|| {
            let attempts = self.notes.iter().cloned().collect();
            // While one is being dialed, waiting for another is not what holds a call up.
            let next_attempt = next_attempt.filter(|_| dialing.is_empty());
            let note = |breaker| {
                let OpenBreaker { address, since, why, probe_at } = breaker;
                BreakerNote { address, since, why, probe_at }
            };
            let breakers = open_breakers.into_iter().take(MOST_NOTES).map(note).collect();
            let failure = self.look_up_failure();
            let look_up = look_up.map(|look_up| LookUpNote { failure, ..look_up });
            Rc::new(ConnectTrail { attempts, dialing, next_attempt, look_up, ailing, breakers })
        });
        let is_told = !self.is_past || self.state == State::TransientFailure;
        let failure = self.failure.as_deref().filter(|_| is_told).cloned();
        let picker = Rc::clone(&self.picker);
        let service_config = self.service_config.clone();
        let snapshot = Snapshot::new(self.state, picker, connections, failure, trail, is_resolving, service_config);
        let breakers = self.config.breaker.is_some().then(|| Rc::clone(&self.mailbox));
        self.publisher.publish(snapshot.with_limit(self.address_limit.clone()).with_breakers(breakers));
    }

    /// The channel is closed: nothing is picked any more.
    pub(super) fn close(&mut self, now: Time) {
        self.because("the channel was closed");
        self.record(now, State::Shutdown);
        // Calls that wait tell what for.
        let trail = self.publisher.newest().trail.clone();
        self.publisher.publish(Snapshot::closed(trail));
    }

    fn record(&mut self, now: Time, to: State) {
        let from = std::mem::replace(&mut self.state, to);
        self.shown.set_state(to);
        let Cause { words, address, connection } = self.cause.clone();
        let event = ChannelEvent { seq: 0, at: now.since_start(), from, to, cause: words, address, connection };
        log(LogLevel::Info, if from == to { Room::Channel } else { Room::ConnectivityState }, || {
            let name = &self.config.name;
            match (event.connection, &event.address) {
                (Some(connection), Some(address)) => {
                    let (from, to, cause) = (from.name(), to.name(), &event.cause);
                    format!("{name}: connection {connection} {address}: {from} → {to}: {cause}")
                }
                _ if from == to => format!("{name}: {}", event.cause),
                _ => format!("{name}: {event}"),
            }
        });
        self.shown.events.record(event);
    }
}
