//! The control task: the one owner of a channel's state.
//!
//! It takes one letter at a time, asks the pure rooms what follows, carries their actions out and publishes a snapshot. It
//! holds one deadline: the earliest of its machines.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Shown;
use super::config::ChannelConfig;
use super::link::{self, LinkId};
use super::mailbox::{Mail, Mailbox};
use super::resolving::Resolving;
use super::showing::{Cause, MOST_NOTES, Showing};
use super::slot::Publisher;
use crate::address::Address;
use crate::failure::{Dialect, Failure};
use crate::observe::log::{LogLevel, log};
use crate::observe::trail::AttemptNote;
use crate::policy::balancer::pick_first::PickFirst;
use crate::policy::balancer::{FixedPicker, LbAction, LbPolicy, PickResult, SubchannelId};
use crate::policy::subchannel::Subchannel;
use crate::runtime::{Driver, Task, sleep_until};
use crate::state::State;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::dial::DialSettings;

/// Starts a channel's control task; `done` runs when it is over, however that comes.
pub(super) fn spawn<D: Driver>(
    driver: &D,
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    mailbox: Rc<Mailbox>,
    publisher: Publisher,
    done: impl FnOnce(Ended) + 'static,
) {
    let settings = DialSettings {
        tls: config.tls.clone(),
        server_name: config.server_name.clone(),
        stream_window: config.stream_window,
        connection_window: config.connection_window,
        counters: Arc::clone(&shown.counters),
    };
    let mut over = Over { shown: Arc::clone(&shown), ended: Ended::Panicked, done: Some(done) };
    let mut control = Control {
        driver: driver.clone(),
        mailbox,
        resolving: Resolving::new(Arc::clone(&config)),
        policy: Box::new(PickFirst::new(config.attempt_delay)),
        showing: Showing::new(config.given_target.clone(), shown, publisher),
        settings: Rc::new(settings),
        config,
        subchannels: BTreeMap::new(),
        links: BTreeMap::new(),
        closing: None,
    };
    driver.spawn(async move {
        control.run().await;
        over.well();
    });
}

struct Control<D: Driver> {
    driver: D,
    config: Arc<ChannelConfig>,
    mailbox: Rc<Mailbox>,
    resolving: Resolving<D>,
    policy: Box<dyn LbPolicy>,
    showing: Showing,
    settings: Rc<DialSettings>,
    /// Boxed, because a map keeps room for eleven and most channels have one.
    subchannels: BTreeMap<SubchannelId, Box<Slot>>,
    /// Every task that dials or moves a connection, draining ones too, by connection id.
    links: BTreeMap<u64, D::Task>,
    /// Set once the channel is closed.
    closing: Option<Closing>,
}

/// One address: its machine, and its connection once there is one.
struct Slot {
    machine: Subchannel,
    address: Address,
    connection: Option<Connection>,
    /// The dial under way.
    dialing: Option<Dialing>,
}

struct Dialing {
    connection: u64,
    started: Time,
}

struct Closing {
    /// When connections that are still open are cut.
    cut_at: Option<Time>,
}

impl<D: Driver> Control<D> {
    async fn run(&mut self) {
        loop {
            while let Some(mail) = self.mailbox.take() {
                self.on_mail(mail);
            }
            self.on_time(self.driver.now());
            if self.closing.is_some() && self.links.is_empty() {
                return;
            }
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                () = self.mailbox.arrived() => {}
                () = sleep_until(&self.driver, deadline) => {}
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        if let Some(closing) = &self.closing {
            return closing.cut_at;
        }
        let machines = self.subchannels.values().filter_map(|slot| slot.machine.next_deadline());
        machines.chain(self.policy.next_deadline()).chain(self.resolving.next_deadline()).min()
    }

    fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Ended(_, connection, _) | Mail::Dialed(_, connection, Err(_)) if self.closing.is_some() => {
                self.links.remove(&connection);
            }
            Mail::Dialed(_, _, Ok(connection)) if self.closing.is_some() => connection.drain(),
            Mail::Close { linger } => self.on_close(linger),
            _ if self.closing.is_some() => {}
            Mail::Wake(words) => self.on_wake(words),
            Mail::ResetBackoff => self.on_reset_backoff(),
            Mail::Resolved(Ok(addresses)) => self.on_resolved(addresses),
            Mail::Resolved(Err(failure)) => self.on_resolve_failed(failure),
            Mail::Dialed(subchannel, connection, Ok(link)) => self.on_connected(subchannel, connection, link),
            Mail::Dialed(subchannel, connection, Err(cause)) => self.on_dial_failed(subchannel, connection, cause),
            Mail::Draining(subchannel, connection, cause) => self.on_lost(subchannel, connection, cause),
            Mail::Ended(subchannel, connection, cause) => {
                self.links.remove(&connection);
                self.on_lost(subchannel, connection, format!("the connection was lost: {cause}"));
            }
        }
    }

    fn on_time(&mut self, now: Time) {
        if let Some(closing) = &self.closing {
            if closing.cut_at.is_some_and(|at| at <= now) {
                self.links.values().for_each(Task::abort);
                self.closing = Some(Closing { cut_at: None });
            }
            return;
        }
        let slots = self.subchannels.iter_mut();
        let ready_again: Vec<_> = slots.filter_map(|(id, slot)| slot.machine.on_time(now).then_some(*id)).collect();
        for id in ready_again {
            self.tell(|policy, actions| policy.on_subchannel_state(now, id, State::Idle, actions));
        }
        self.tell(|policy, actions| policy.on_time(now, actions));
        self.resolving.on_time(&self.driver, &self.mailbox);
    }

    fn on_wake(&mut self, words: &'static str) {
        if self.showing.state() != State::Idle {
            return;
        }
        let now = self.driver.now();
        self.showing.because(words.to_owned());
        if self.resolving.has_result() {
            self.tell(|policy, actions| policy.on_exit_idle(now, actions));
        } else {
            self.resolving.on_wanted(&self.driver, &self.mailbox);
            self.showing.set(now, State::Connecting, Rc::new(FixedPicker(PickResult::Queue)));
            self.publish();
        }
    }

    fn on_reset_backoff(&mut self) {
        let now = self.driver.now();
        self.showing.because("the backoff was reset".to_owned());
        let slots = self.subchannels.iter_mut();
        let freed: Vec<_> = slots.filter_map(|(id, slot)| slot.machine.on_backoff_reset().then_some(*id)).collect();
        for id in freed {
            self.tell(|policy, actions| policy.on_subchannel_state(now, id, State::Idle, actions));
        }
    }

    fn on_resolved(&mut self, addresses: Vec<Address>) {
        self.resolving.on_success(!addresses.is_empty());
        self.showing.keep_notes(|wanted| addresses.iter().any(|address| address.to_string() == wanted));
        let found = format!("{} resolved to {} addresses", self.config.target.canonical, addresses.len());
        self.showing.because(found);
        let now = self.driver.now();
        self.tell(|policy, actions| policy.on_addresses(now, addresses, actions));
    }

    /// [NAME-44], [NAME-46]
    fn on_resolve_failed(&mut self, failure: Failure) {
        let now = self.driver.now();
        self.resolving.on_failure(now, self.driver.random_unit());
        let words = failure.words(Dialect::Native);
        self.settings.counters.note_error(words.clone());
        if !self.resolving.has_result() {
            self.showing.on_resolve_failed(failure);
            self.showing.because(words);
            self.showing.set(now, State::TransientFailure, Rc::new(FixedPicker(PickResult::Fail)));
            self.publish();
        }
    }

    fn on_connected(&mut self, subchannel: SubchannelId, connection: u64, link: Connection) {
        let Some(slot) = self.subchannels.get_mut(&subchannel) else {
            // [CONN-45]
            return link.drain();
        };
        slot.machine.on_dial_succeeded(self.driver.now());
        slot.dialing = None;
        slot.connection = Some(link);
        let address = Some(slot.address.to_string());
        self.showing.on_connected();
        self.showing.because(Cause { words: "connected".to_owned(), address, connection: Some(connection) });
        let now = self.driver.now();
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, State::Ready, actions));
    }

    fn on_dial_failed(&mut self, subchannel: SubchannelId, connection: u64, cause: String) {
        self.links.remove(&connection);
        let Some(slot) = self.subchannels.get_mut(&subchannel) else { return };
        let now = self.driver.now();
        slot.machine.on_dial_failed(now, self.driver.random_unit());
        let took = slot.dialing.take().map_or(Duration::ZERO, |dialing| now.since(dialing.started));
        let address = slot.address.to_string();
        self.showing.on_dial_failed(AttemptNote { address: address.clone(), cause: cause.clone(), took });
        self.showing.because(Cause { words: cause, address: Some(address), connection: None });
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, State::TransientFailure, actions));
        // Also when the policy does nothing: a call whose deadline passes now tells what was tried.
        self.publish();
    }

    /// [CONN-32], [CONN-33]: draining or ended, the subchannel is free for a new connection.
    fn on_lost(&mut self, subchannel: SubchannelId, connection: u64, words: String) {
        let Some(slot) = self.subchannels.get_mut(&subchannel) else { return };
        let Some(lost) = slot.connection.take_if(|current| current.id() == connection) else { return };
        let now = self.driver.now();
        slot.machine.on_connection_lost(now, lost.has_answered(), self.driver.random_unit());
        let (state, address) = (slot.machine.state(), slot.address.to_string());
        if state == State::TransientFailure {
            let took = Duration::ZERO;
            self.showing.on_dial_failed(AttemptNote { address: address.clone(), cause: words.clone(), took });
        }
        self.showing.because(Cause { words, address: Some(address), connection: Some(connection) });
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, state, actions));
    }

    fn on_close(&mut self, linger: Option<Duration>) {
        let now = self.driver.now();
        let cut_at = linger.map(|linger| now + linger);
        if let Some(closing) = &mut self.closing {
            closing.cut_at = [closing.cut_at, cut_at].into_iter().flatten().min();
            return;
        }
        self.closing = Some(Closing { cut_at });
        self.resolving.stop();
        for slot in std::mem::take(&mut self.subchannels).into_values() {
            self.let_go(*slot);
        }
        self.showing.close(now);
    }

    /// Tells the policy something, carries out what it asks for and publishes what that changed.
    fn tell(&mut self, event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>)) {
        let mut actions = Vec::new();
        event(&mut *self.policy, &mut actions);
        if actions.is_empty() {
            return;
        }
        for action in actions {
            match action {
                LbAction::Create(id, address) => {
                    let machine = Subchannel::new(self.config.backoff.clone(), self.config.connect_timeout);
                    let slot = Slot { machine, address, connection: None, dialing: None };
                    self.subchannels.insert(id, Box::new(slot));
                }
                LbAction::Remove(id) => {
                    if let Some(slot) = self.subchannels.remove(&id) {
                        self.let_go(*slot);
                    }
                }
                LbAction::Connect(id) => self.connect(id),
                LbAction::Reresolve => self.resolving.on_wanted(&self.driver, &self.mailbox),
                LbAction::Publish(state, picker) => self.showing.set(self.driver.now(), state, picker),
            }
        }
        self.publish();
    }

    fn connect(&mut self, id: SubchannelId) {
        let now = self.driver.now();
        let Some(slot) = self.subchannels.get_mut(&id) else { return };
        let Some(order) = slot.machine.on_connect_requested(now) else { return };
        let connection = next_connection_id();
        slot.dialing = Some(Dialing { connection, started: now });
        self.settings.counters.connect_attempts.one();
        log(LogLevel::Debug, "channel", || {
            format!("{}: connection {connection} dials {}", self.config.given_target, slot.address)
        });
        let link_id = LinkId { subchannel: id, connection };
        let (address, settings, mailbox) = (slot.address.clone(), Rc::clone(&self.settings), Rc::clone(&self.mailbox));
        let task = link::spawn(&self.driver, link_id, address, settings, order.deadline, mailbox);
        self.links.insert(connection, task);
    }

    /// [CONN-35]: a dial nobody wants is given up; a connection lets its streams finish. The link's task reports its end.
    fn let_go(&self, slot: Slot) {
        if let Some(connection) = slot.connection {
            connection.drain();
        }
        if let Some(task) = slot.dialing.and_then(|dialing| self.links.get(&dialing.connection)) {
            task.abort();
        }
    }

    fn publish(&self) {
        let slots = || self.subchannels.values();
        let connections =
            self.subchannels.iter().filter_map(|(id, slot)| Some((*id, slot.connection.clone()?))).collect();
        let dialing = slots().filter_map(|slot| Some((slot.address.to_string(), slot.dialing.as_ref()?.started)));
        let next_attempt = slots().filter_map(|slot| slot.machine.next_deadline()).min();
        let is_resolving = self.resolving.is_waited_for();
        self.showing.publish(connections, dialing.take(MOST_NOTES).collect(), next_attempt, is_resolving);
    }
}

/// Positive, unique in the process, never reused ([CONN-160]).
fn next_connection_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

/// How a control task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The channel was closed and everything let go.
    Well,
    /// By a bug.
    Panicked,
}

/// Tells that the control task is over when it is dropped.
struct Over<F: FnOnce(Ended)> {
    shown: Arc<Shown>,
    ended: Ended,
    done: Option<F>,
}

impl<F: FnOnce(Ended)> Over<F> {
    fn well(&mut self) {
        self.ended = Ended::Well;
    }
}

impl<F: FnOnce(Ended)> Drop for Over<F> {
    fn drop(&mut self) {
        self.shown.set_state(State::Shutdown);
        if let Some(done) = self.done.take() {
            done(self.ended);
        }
    }
}
