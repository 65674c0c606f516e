//! When a channel's name is asked for: at first need, again when the policy wants it, not too often ([NAME-40] to [NAME-46]); and, where
//! that is asked for, now and then while all is well, so that servers that were added are found.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::config::ChannelConfig;
use super::mailbox::{Mail, Mailbox};
use crate::address::Address;
use crate::failure::{Dialect, Failure};
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::snapshot::ResolverSnapshot;
use crate::observe::trail::{LookUpNote, Milliseconds};
use crate::policy::backoff::{Backoff, BackoffOptions};
use crate::policy::idle::Activity;
use crate::policy::jitter::jittered;
use crate::resolver::hosted::Asking;
use crate::resolver::target::Endpoint;
use crate::resolver::{self, Resolution};
use crate::runtime::{Driver, Task};
use crate::time::{Time, earliest};

pub(super) struct Resolving<D: Driver> {
    /// Whose target it is.
    config: Arc<ChannelConfig>,
    backoff: Backoff,
    /// The look-up under way; of a host's resolver there is one for as long as the channel is in use.
    task: Option<D::Task>,
    /// How a host's resolver is asked again; there with the task.
    asking: Option<Rc<Asking>>,
    /// Of the look-up started last; it wraps.
    number: u32,
    last_started: Option<Time>,
    /// When the next look-up is due, if one is wanted.
    due: Option<Time>,
    /// When what serves was found; `None` while nothing is known.
    found_at: Option<Time>,
    /// When the name is asked for although all is well, and how long after what was found.
    refresh: Option<(Time, Duration)>,
    /// Set while look-ups fail and what was found before serves on.
    stale: Option<Box<Stale>>,
}

/// For how long what was found before serves.
struct Stale {
    /// Why the last look-up failed.
    failure: Failure,
    /// `None` is for ever.
    until: Option<Time>,
    is_over: bool,
}

/// By so much channels that look a name up together differ in when they do so again.
const SPREAD: f64 = 0.1;

/// So many addresses of an answer are told.
const MOST_TOLD: usize = 8;

/// An answer that is good for less is asked for no more often than this.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

impl<D: Driver> Resolving<D> {
    pub(super) fn new(config: Arc<ChannelConfig>) -> Self {
        Self {
            config,
            backoff: Backoff::default(),
            task: None,
            asking: None,
            number: 0,
            last_started: None,
            due: None,
            found_at: None,
            refresh: None,
            stale: None,
        }
    }

    fn room(&self) -> Room {
        match self.config.target.endpoint {
            Endpoint::Name { .. } | Endpoint::Proxied(_) => Room::DnsResolver,
            _ => Room::Resolver,
        }
    }

    pub(super) fn log_answer(&self, addresses: &[Address], valid_for: Option<Duration>) {
        log(LogLevel::Debug, self.room(), || {
            let (name, target, count) = (&self.config.name, &self.config.target.canonical, addresses.len());
            let some: Vec<_> = addresses.iter().take(MOST_TOLD).map(ToString::to_string).collect();
            let more = if count > MOST_TOLD { ", …" } else { "" };
            let valid = valid_for.map(|length| format!(", good for {} s", length.as_secs())).unwrap_or_default();
            format!("{name}: {target} resolved to {count} addresses{valid}: {}{more}", some.join(", "))
        });
    }

    /// What follows from it has been decided.
    pub(super) fn log_failure(&self, now: Time, failure: &Failure) {
        log(LogLevel::Debug, self.room(), || {
            let next = self.due.map(|due| format!("; asked again in {}", Milliseconds(due.since(now))));
            format!("{}: {}{}", self.config.name, failure.words(Dialect::Native), next.unwrap_or_default())
        });
    }

    /// Whether addresses were ever found.
    pub(super) fn has_result(&self) -> bool {
        self.found_at.is_some()
    }

    /// What calls wait for that wait for a name, not for a connection.
    pub(super) fn waited_for(&self) -> Option<LookUpNote> {
        if self.has_result() {
            return None;
        }
        let since = self.last_started.filter(|_| self.task.is_some());
        let next = self.due.filter(|_| since.is_none());
        Some(LookUpNote { target: self.config.target.canonical.clone(), since, failure: None, next })
    }

    /// What people are told of it. What is listed now and what holds of a config is for others to know.
    pub(super) fn snapshot(
        &self,
        now: Time,
        addresses: usize,
        failure: Option<String>,
        service_config: &'static str,
    ) -> ResolverSnapshot {
        let failure = self.stale.as_ref().map(|stale| stale.failure.words(Dialect::Native)).or(failure);
        ResolverSnapshot {
            addresses: addresses as u64,
            age: self.found_at.map(|found| now.since(found)),
            looking_up_since: self.last_started.filter(|_| self.is_looking_up()).map(|started| now.since(started)),
            next_look_up: self.next_look_up().map(|at| at.since(now)),
            last_error: failure,
            service_config,
        }
    }

    fn next_look_up(&self) -> Option<Time> {
        let refresh_at = self.refresh.map(|(at, _)| at);
        if self.is_looking_up() { None } else { earliest([self.due, refresh_at]) }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let over_at = self.stale.as_ref().filter(|stale| !stale.is_over).and_then(|stale| stale.until);
        earliest([self.next_look_up(), over_at])
    }

    /// Whether an answer must come before anything else is asked.
    fn is_looking_up(&self) -> bool {
        self.task.is_some() && !self.is_of_host()
    }

    fn is_of_host(&self) -> bool {
        matches!(self.config.target.endpoint, Endpoint::OfHost(_))
    }

    /// Whether asking is for the host's resolver to limit: it is there.
    fn is_hosts_to_limit(&self) -> bool {
        self.is_of_host() && self.asking.as_ref().is_some_and(|asking| !asking.has_ended())
    }

    /// Addresses are wanted: now, or when the rate limit or the backoff allows ([NAME-43]).
    pub(super) fn on_wanted(&mut self, driver: &D, mailbox: &Rc<Mailbox>) {
        let is_literal = matches!(self.config.target.endpoint, Endpoint::Fixed(_));
        // [NAME-21]: literal addresses stay as they are.
        if self.is_looking_up() || (is_literal && self.has_result()) {
            return;
        }
        let limited = self.last_started.filter(|_| !self.is_hosts_to_limit());
        let earliest = limited.map_or(Time::ZERO, |started| started + self.config.dns_min_interval);
        self.due = Some(self.due.map_or(earliest, |due| due.max(earliest)));
        self.look_up_if_due(driver, mailbox);
    }

    /// Asks what is due. A name of which nobody makes use, or whose channel is not READY, is not refreshed.
    pub(super) fn on_time(&mut self, driver: &D, mailbox: &Rc<Mailbox>, is_healthy: bool, activity: Activity) {
        let now = driver.now();
        if let Some(stale) = &mut self.stale {
            stale.is_over = stale.until.is_some_and(|until| until <= now);
        }
        if let Some((_, interval)) = self.refresh.take_if(|(at, _)| *at <= now) {
            let was_used = activity.last_ended.is_some_and(|at| now.since(at) <= interval);
            if is_healthy && (activity.has_calls || was_used) {
                self.due = Some(now);
            } else {
                // Nobody waits for it: no more often than it might be asked for.
                self.refresh = Some((now + interval.max(self.config.dns_min_interval), interval));
            }
        }
        self.look_up_if_due(driver, mailbox);
    }

    fn look_up_if_due(&mut self, driver: &D, mailbox: &Rc<Mailbox>) {
        let now = driver.now();
        if self.is_looking_up() || self.due.is_none_or(|due| due > now) {
            return;
        }
        (self.due, self.refresh) = (None, None);
        self.last_started = Some(now);
        log(LogLevel::Debug, self.room(), || {
            format!("{}: {} is looked up", self.config.name, self.config.target.canonical)
        });
        if let Some(asking) = &self.asking {
            return asking.again();
        }
        let (task_driver, config, mailbox) = (driver.clone(), Arc::clone(&self.config), Rc::clone(mailbox));
        self.number = self.number.wrapping_add(1);
        let (mut answer, asking) = (Answer::new(mailbox, self.number), Rc::<Asking>::default());
        self.asking = Some(Rc::clone(&asking));
        self.task = Some(driver.spawn(async move {
            let lead = |found: Resolution| match &config.address_proxy {
                Some(proxy) => found.changed(|address| proxy.lead(address)),
                None => found,
            };
            let give = |found: Result<Resolution, Failure>| answer.give(found.map(lead));
            resolver::resolve(&task_driver, &config.target, config.names, &asking, give).await;
        }));
    }

    /// A look-up has an answer, the last it has unless it is a host's. Whether it is waited for.
    pub(super) fn on_answer(&mut self, number: u32) -> bool {
        let is_waited_for = number == self.number && self.task.is_some();
        if is_waited_for && !self.is_of_host() {
            (self.task, self.asking) = (None, None);
        }
        is_waited_for
    }

    /// What was found may tell how long it is good; then it is not asked for before, and not much later. `unit` is a random fraction.
    pub(super) fn on_success(&mut self, now: Time, is_accepted: bool, valid_for: Option<Duration>, unit: f64) {
        (self.found_at, self.stale) = (Some(now), None);
        let is_name = matches!(self.config.target.endpoint, Endpoint::Name { .. } | Endpoint::Proxied(_));
        let refresh = match (valid_for, self.config.dns_refresh) {
            (Some(length), _) => {
                let length = length.max(SHORTEST_LIFE);
                // [NAME-43]: whatever the answer says.
                let earliest = self.last_started.map_or(now, |started| started + self.config.dns_min_interval);
                Some((earliest.max(now + length.mul_f64(1.0 + SPREAD * unit)), length))
            }
            (None, Some(interval)) => Some((now + jittered(interval, SPREAD, unit), interval)),
            (None, None) => None,
        };
        self.refresh = refresh.filter(|_| is_name);
        // [NAME-45]
        if is_accepted {
            self.due = None;
            self.backoff.on_reset();
        } else {
            self.back_off(now, unit);
        }
    }

    /// `unit` is a random fraction.
    pub(super) fn on_failure(&mut self, now: Time, failure: &Failure, unit: f64) {
        self.back_off(now, unit);
        // What a host's resolver says, or what is wrong with a config, is no failure of DNS.
        if !self.has_result() || !matches!(failure, Failure::ResolveFailed { .. }) {
            self.stale = None;
            return;
        }
        let failure = failure.clone();
        match &mut self.stale {
            Some(stale) => stale.failure = failure,
            None => {
                let until = self.config.dns_stale.map(|length| now + length);
                log(LogLevel::Warn, self.room(), || {
                    let name = &self.config.name;
                    format!("{name}: {}; the addresses found before stay in use", failure.words(Dialect::Native))
                });
                self.stale = Some(Box::new(Stale { failure, until, is_over: false }));
            }
        }
    }

    fn back_off(&mut self, now: Time, unit: f64) {
        // [NAME-44]: the same shape as connecting, with the specification's numbers.
        self.due = Some(now + self.backoff.on_failure(&BackoffOptions::default(), unit));
    }

    /// Forgets what was found before, if it has served for as long as it may; why there is nothing newer. The look-ups go on.
    pub(super) fn forget_what_is_over(&mut self) -> Option<Failure> {
        let stale = self.stale.take_if(|stale| stale.is_over)?;
        self.found_at = None;
        let length = self.config.dns_stale.unwrap_or_default();
        Some(match stale.failure {
            Failure::ResolveFailed { target, cause } if !length.is_zero() => {
                let served = format!("what was found before served for {:.1} s more", length.as_secs_f64());
                Failure::ResolveFailed { target, cause: format!("{cause}; {served} (linkspan.dns_stale_ms)") }
            }
            other => other,
        })
    }

    /// Nothing is known any more, and the next need asks at once.
    pub(super) fn forget(&mut self) {
        self.stop();
        (self.found_at, self.last_started, self.stale) = (None, None, None);
        self.backoff.on_reset();
    }

    pub(super) fn stop(&mut self) {
        (self.due, self.refresh, self.asking) = (None, None, None);
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Posts what was found; a task that ends without finding anything says that.
struct Answer {
    mailbox: Rc<Mailbox>,
    number: u32,
    is_given: bool,
}

impl Answer {
    fn new(mailbox: Rc<Mailbox>, number: u32) -> Self {
        Self { mailbox, number, is_given: false }
    }

    fn give(&mut self, found: Result<Resolution, Failure>) {
        self.is_given = true;
        self.mailbox.post(Mail::Resolved(self.number, found));
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.is_given {
            self.give(Err(Failure::Internal { text: "the look-up was given up".into() }));
        }
    }
}
