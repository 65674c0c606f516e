//! When a channel's name is asked for: at first need, again when the policy wants it, not too often ([NAME-40] to [NAME-46]); and, where
//! that is asked for, now and then while all is well, so that servers that were added are found.

use std::rc::Rc;
use std::sync::Arc;

use super::config::ChannelConfig;
use super::mailbox::{Mail, Mailbox};
use crate::failure::Failure;
use crate::policy::backoff::{Backoff, BackoffOptions};
use crate::policy::idle::Activity;
use crate::policy::jitter::jittered;
use crate::resolver::target::Endpoint;
use crate::resolver::{self, Resolution};
use crate::runtime::{Driver, Task};
use crate::time::{Time, earliest};

pub(super) struct Resolving<D: Driver> {
    /// Whose target it is.
    config: Arc<ChannelConfig>,
    backoff: Backoff,
    /// The look-up under way.
    task: Option<D::Task>,
    /// Of the look-up started last.
    number: u64,
    last_started: Option<Time>,
    /// When the next look-up is due, if one is wanted.
    due: Option<Time>,
    has_result: bool,
    /// When the name is asked for although all is well.
    refresh_at: Option<Time>,
}

/// By so much channels that look a name up together differ in when they do so again.
const SPREAD: f64 = 0.1;

impl<D: Driver> Resolving<D> {
    pub(super) fn new(config: Arc<ChannelConfig>) -> Self {
        Self {
            config,
            // [NAME-44]: the same shape as connecting, with the specification's numbers.
            backoff: Backoff::new(BackoffOptions::default()),
            task: None,
            number: 0,
            last_started: None,
            due: None,
            has_result: false,
            refresh_at: None,
        }
    }

    /// Whether addresses were ever found.
    pub(super) fn has_result(&self) -> bool {
        self.has_result
    }

    /// Whether calls wait for a name, not for a connection.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.has_result
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.task.is_some() { None } else { earliest([self.due, self.refresh_at]) }
    }

    /// Addresses are wanted: now, or when the rate limit or the backoff allows ([NAME-43]).
    pub(super) fn on_wanted(&mut self, driver: &D, mailbox: &Rc<Mailbox>) {
        let is_literal = matches!(self.config.target.endpoint, Endpoint::Fixed(_));
        // [NAME-21]: literal addresses stay as they are.
        if self.task.is_some() || (is_literal && self.has_result) {
            return;
        }
        let earliest = self.last_started.map_or(Time::ZERO, |started| started + self.config.dns_min_interval);
        self.due = Some(self.due.map_or(earliest, |due| due.max(earliest)));
        self.look_up_if_due(driver, mailbox);
    }

    /// Asks what is due. A name of which nobody makes use, or whose channel is not READY, is not refreshed.
    pub(super) fn on_time(&mut self, driver: &D, mailbox: &Rc<Mailbox>, is_healthy: bool, activity: Activity) {
        let now = driver.now();
        if let (Some(interval), Some(_)) = (self.config.dns_refresh, self.refresh_at.take_if(|at| *at <= now)) {
            let was_used = activity.last_ended.is_some_and(|at| now.since(at) <= interval);
            if is_healthy && (activity.has_calls || was_used) {
                self.due = Some(now);
            } else {
                self.refresh_at = Some(now + interval);
            }
        }
        self.look_up_if_due(driver, mailbox);
    }

    fn look_up_if_due(&mut self, driver: &D, mailbox: &Rc<Mailbox>) {
        let now = driver.now();
        if self.task.is_some() || self.due.is_none_or(|due| due > now) {
            return;
        }
        (self.due, self.refresh_at) = (None, None);
        self.last_started = Some(now);
        let (task_driver, config, mailbox) = (driver.clone(), Arc::clone(&self.config), Rc::clone(mailbox));
        self.number += 1;
        let mut answer = Answer { mailbox, number: self.number, found: None };
        self.task = Some(driver.spawn(async move {
            let found = resolver::resolve(&task_driver, &config.target).await;
            answer.give(found);
        }));
    }

    /// A look-up is over. Whether its answer is waited for.
    pub(super) fn on_answer(&mut self, number: u64) -> bool {
        number == self.number && self.task.take().is_some()
    }

    /// `unit` is a random fraction.
    pub(super) fn on_success(&mut self, now: Time, is_accepted: bool, unit: f64) {
        self.has_result = true;
        let is_name = !matches!(self.config.target.endpoint, Endpoint::Fixed(_));
        let interval = self.config.dns_refresh.filter(|_| is_name);
        self.refresh_at = interval.map(|interval| now + jittered(interval, SPREAD, unit));
        // [NAME-45]
        if is_accepted {
            self.backoff.on_reset();
        }
    }

    /// `unit` is a random fraction.
    pub(super) fn on_failure(&mut self, now: Time, unit: f64) {
        self.due = Some(now + self.backoff.on_failure(unit));
    }

    /// Nothing is known any more, and the next need asks at once.
    pub(super) fn forget(&mut self) {
        self.stop();
        (self.has_result, self.last_started) = (false, None);
        self.backoff.on_reset();
    }

    pub(super) fn stop(&mut self) {
        (self.due, self.refresh_at) = (None, None);
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Posts what was found when the task ends; a task that ends without finding anything says that.
struct Answer {
    mailbox: Rc<Mailbox>,
    number: u64,
    found: Option<Result<Resolution, Failure>>,
}

impl Answer {
    fn give(&mut self, found: Result<Resolution, Failure>) {
        self.found = Some(found);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let given_up = || Err(Failure::Internal { text: "the look-up was given up".into() });
        self.mailbox.post(Mail::Resolved(self.number, self.found.take().unwrap_or_else(given_up)));
    }
}
