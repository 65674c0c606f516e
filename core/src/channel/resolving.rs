//! When a channel's name is asked for: at first need, again when the policy wants it, not too often ([NAME-40] to [NAME-46]).

use std::rc::Rc;
use std::sync::Arc;

use super::config::ChannelConfig;
use super::mailbox::{Mail, Mailbox};
use crate::address::Address;
use crate::failure::Failure;
use crate::policy::backoff::{Backoff, BackoffOptions};
use crate::resolver;
use crate::resolver::target::Endpoint;
use crate::runtime::{Driver, Task};
use crate::time::Time;

pub(super) struct Resolving<D: Driver> {
    /// Whose target it is.
    config: Arc<ChannelConfig>,
    backoff: Backoff,
    /// The look-up under way.
    task: Option<D::Task>,
    last_started: Option<Time>,
    /// When the next look-up is due, if one is wanted.
    due: Option<Time>,
    has_result: bool,
}

impl<D: Driver> Resolving<D> {
    pub(super) fn new(config: Arc<ChannelConfig>) -> Self {
        Self {
            config,
            // [NAME-44]: the same shape as connecting, with the specification's numbers.
            backoff: Backoff::new(BackoffOptions::default()),
            task: None,
            last_started: None,
            due: None,
            has_result: false,
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
        if self.task.is_some() { None } else { self.due }
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
        self.on_time(driver, mailbox);
    }

    pub(super) fn on_time(&mut self, driver: &D, mailbox: &Rc<Mailbox>) {
        let now = driver.now();
        if self.task.is_some() || self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        self.last_started = Some(now);
        let (task_driver, config, mailbox) = (driver.clone(), Arc::clone(&self.config), Rc::clone(mailbox));
        let mut answer = Answer { mailbox, found: None };
        self.task = Some(driver.spawn(async move {
            let found = resolver::resolve(&task_driver, &config.target).await;
            answer.give(found);
        }));
    }

    pub(super) fn on_success(&mut self, is_accepted: bool) {
        self.task = None;
        self.has_result = true;
        // [NAME-45]
        if is_accepted {
            self.backoff.on_reset();
        }
    }

    /// `unit` is a random fraction.
    pub(super) fn on_failure(&mut self, now: Time, unit: f64) {
        self.task = None;
        self.due = Some(now + self.backoff.on_failure(unit));
    }

    pub(super) fn stop(&mut self) {
        self.due = None;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Posts what was found when the task ends; a task that ends without finding anything says that.
struct Answer {
    mailbox: Rc<Mailbox>,
    found: Option<Result<Vec<Address>, Failure>>,
}

impl Answer {
    fn give(&mut self, found: Result<Vec<Address>, Failure>) {
        self.found = Some(found);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let given_up = || Err(Failure::Internal { text: "the look-up was given up".into() });
        self.mailbox.post(Mail::Resolved(self.found.take().unwrap_or_else(given_up)));
    }
}
