//! The control task: the one owner of a channel's state.
//!
//! It takes one letter at a time, asks the pure rooms what follows, carries their actions out and publishes a snapshot. It
//! holds one deadline: the earliest of its machines.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;

use super::Shown;
use super::config::ChannelConfig;
use super::link::{self, LinkId};
use super::mailbox::{Mail, Mailbox};
use super::resolving::Resolving;
use super::snapshot::Snapshot;
use crate::address::Address;
use crate::failure::Failure;
use crate::observe::events::ChannelEvent;
use crate::observe::log::{LogLevel, log};
use crate::observe::trail::{AttemptNote, ConnectTrail};
use crate::policy::balancer::pick_first::PickFirst;
use crate::policy::balancer::{FixedPicker, LbAction, LbPolicy, PickResult, Picker, SubchannelId};
use crate::policy::connectivity::steps;
use crate::policy::subchannel::Subchannel;
use crate::runtime::{Driver, Task};
use crate::state::State;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::dial::DialSettings;

/// Starts a channel's control task; `done` runs when it is over, also by a panic.
pub(super) fn spawn<D: Driver>(
    driver: &D,
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    mailbox: Rc<Mailbox>,
    publisher: watch::Sender<Rc<Snapshot>>,
    done: impl FnOnce() + 'static,
) {
    let settings = DialSettings {
        tls: config.tls.clone(),
        server_name: config.server_name.clone(),
        stream_window: config.stream_window,
        connection_window: config.connection_window,
        counters: Arc::clone(&shown.counters),
    };
    let over = Over {
        shown: Arc::clone(&shown),
        done: Some(done),
    };
    let control = Control {
        driver: driver.clone(),
        resolving: Resolving::new(&config),
        policy: Box::new(PickFirst::new(config.attempt_delay)),
        config,
        shown,
        mailbox,
        publisher,
        settings: Rc::new(settings),
        subchannels: BTreeMap::new(),
        links: BTreeMap::new(),
        state: State::Idle,
        picker: Rc::new(FixedPicker(PickResult::Queue)),
        failure: None,
        notes: VecDeque::new(),
        cause: Cause::default(),
        closing: None,
    };
    driver.spawn(async move {
        let _over = over;
        control.run().await;
    });
}

struct Control<D: Driver> {
    driver: D,
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    mailbox: Rc<Mailbox>,
    publisher: watch::Sender<Rc<Snapshot>>,
    resolving: Resolving<D>,
    policy: Box<dyn LbPolicy>,
    settings: Rc<DialSettings>,
    subchannels: BTreeMap<SubchannelId, Slot>,
    /// Every task that dials or moves a connection, draining ones too, by connection id.
    links: BTreeMap<u64, D::Task>,
    /// What was published last.
    state: State,
    picker: Rc<dyn Picker>,
    /// Why picks fail, once something failed.
    failure: Option<Failure>,
    /// The newest failure of each address, oldest first.
    notes: VecDeque<AttemptNote>,
    /// Why the change that is being carried out happens.
    cause: Cause,
    /// Set once the channel is closed.
    closing: Option<Closing>,
}

/// One address: its machine, and its connection once there is one.
struct Slot {
    machine: Subchannel,
    address: Address,
    connection: Option<Connection>,
    /// The connection id of the dial under way.
    dialing: Option<u64>,
    dial_started: Time,
}

struct Closing {
    /// When connections that are still open are cut.
    cut_at: Option<Time>,
}

#[derive(Clone, Default)]
struct Cause {
    words: String,
    address: Option<String>,
    connection: Option<u64>,
}

/// An error names at most this many addresses; the newest failures stay.
const MOST_NOTES: usize = 4;

impl<D: Driver> Control<D> {
    async fn run(mut self) {
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
        let machines = self
            .subchannels
            .values()
            .filter_map(|slot| slot.machine.next_deadline());
        machines
            .chain(self.policy.next_deadline())
            .chain(self.resolving.next_deadline())
            .min()
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
        let ready_again: Vec<_> = self
            .subchannels
            .iter_mut()
            .filter_map(|(id, slot)| slot.machine.on_time(now).then_some(*id))
            .collect();
        for id in ready_again {
            self.tell(|policy, actions| policy.on_subchannel_state(now, id, State::Idle, actions));
        }
        self.tell(|policy, actions| policy.on_time(now, actions));
        self.resolving.on_time(&self.driver, &self.mailbox);
    }

    fn on_wake(&mut self, words: &'static str) {
        if self.state != State::Idle {
            return;
        }
        self.cause = Cause {
            words: words.to_owned(),
            ..Cause::default()
        };
        if self.resolving.has_result() {
            let now = self.driver.now();
            self.tell(|policy, actions| policy.on_exit_idle(now, actions));
        } else {
            self.resolving.on_wanted(&self.driver, &self.mailbox);
            self.set(State::Connecting, Rc::new(FixedPicker(PickResult::Queue)));
            self.publish();
        }
    }

    fn on_reset_backoff(&mut self) {
        let now = self.driver.now();
        self.cause = Cause {
            words: "the backoff was reset".into(),
            ..Cause::default()
        };
        let freed: Vec<_> = self
            .subchannels
            .iter_mut()
            .filter_map(|(id, slot)| slot.machine.on_backoff_reset().then_some(*id))
            .collect();
        for id in freed {
            self.tell(|policy, actions| policy.on_subchannel_state(now, id, State::Idle, actions));
        }
    }

    fn on_resolved(&mut self, addresses: Vec<Address>) {
        self.resolving.on_success(!addresses.is_empty());
        self.notes
            .retain(|note| addresses.iter().any(|address| address.to_string() == note.address));
        let now = self.driver.now();
        self.cause = Cause {
            words: format!(
                "{} resolved to {} addresses",
                self.config.target.canonical,
                addresses.len()
            ),
            ..Cause::default()
        };
        self.tell(|policy, actions| policy.on_addresses(now, addresses, actions));
    }

    /// [NAME-44], [NAME-46]
    fn on_resolve_failed(&mut self, failure: Failure) {
        self.resolving.on_failure(self.driver.now(), self.driver.random_unit());
        let words = failure.words(crate::failure::Dialect::Native);
        self.shown.counters.note_error(words.clone());
        if !self.resolving.has_result() {
            self.failure = Some(failure);
            self.cause = Cause {
                words,
                ..Cause::default()
            };
            self.set(State::TransientFailure, Rc::new(FixedPicker(PickResult::Fail)));
            self.publish();
        }
    }

    fn on_connected(&mut self, subchannel: SubchannelId, connection: u64, link: Connection) {
        let Some(slot) = self.subchannels.get_mut(&subchannel) else {
            // [CONN-45]
            return link.drain();
        };
        slot.machine.on_dial_succeeded();
        let address = slot.address.to_string();
        slot.connection = Some(link);
        slot.dialing = None;
        self.notes.clear();
        self.failure = None;
        self.cause = Cause {
            words: "connected".into(),
            address: Some(address),
            connection: Some(connection),
        };
        let now = self.driver.now();
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, State::Ready, actions));
    }

    fn on_dial_failed(&mut self, subchannel: SubchannelId, connection: u64, cause: String) {
        self.links.remove(&connection);
        let Some(slot) = self.subchannels.get_mut(&subchannel) else {
            return;
        };
        let now = self.driver.now();
        slot.machine.on_dial_failed(now, self.driver.random_unit());
        slot.dialing = None;
        let address = slot.address.to_string();
        let took = now.since(slot.dial_started);
        let last_error = format!("{address}: {cause}");
        self.shown.counters.connect_failures.one();
        self.shown.counters.note_error(last_error.clone());
        self.notes.retain(|note| note.address != address);
        if self.notes.len() == MOST_NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(AttemptNote {
            address: address.clone(),
            cause: cause.clone(),
            took,
        });
        self.failure = Some(Failure::ConnectFailed { last_error });
        self.cause = Cause {
            words: cause,
            address: Some(address),
            connection: None,
        };
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, State::TransientFailure, actions));
        // Also without a change of state: a call whose deadline passes now tells what was tried.
        self.publish();
    }

    /// [CONN-32], [CONN-33]: draining or ended, the subchannel is free for a new connection.
    fn on_lost(&mut self, subchannel: SubchannelId, connection: u64, words: String) {
        let Some(slot) = self.subchannels.get_mut(&subchannel) else {
            return;
        };
        if slot
            .connection
            .as_ref()
            .is_none_or(|current| current.id() != connection)
        {
            return;
        }
        slot.connection = None;
        slot.machine.on_connection_lost();
        self.cause = Cause {
            words,
            address: Some(slot.address.to_string()),
            connection: Some(connection),
        };
        let now = self.driver.now();
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, State::Idle, actions));
    }

    fn on_close(&mut self, linger: Option<Duration>) {
        let cut_at = linger.map(|linger| self.driver.now() + linger);
        if let Some(closing) = &mut self.closing {
            closing.cut_at = [closing.cut_at, cut_at].into_iter().flatten().min();
            return;
        }
        self.closing = Some(Closing { cut_at });
        self.resolving.stop();
        for slot in std::mem::take(&mut self.subchannels).into_values() {
            self.let_go(slot);
        }
        self.picker = Rc::new(FixedPicker(PickResult::Fail));
        self.cause = Cause {
            words: "the channel was closed".into(),
            ..Cause::default()
        };
        self.record(State::Shutdown);
        self.publisher.send_replace(Rc::new(Snapshot::closed()));
    }

    /// Tells the policy something and carries out what it asks for.
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
                    self.subchannels.insert(
                        id,
                        Slot {
                            machine,
                            address,
                            connection: None,
                            dialing: None,
                            dial_started: Time::ZERO,
                        },
                    );
                }
                LbAction::Remove(id) => self.remove(id),
                LbAction::Connect(id) => self.connect(id),
                LbAction::Reresolve => self.resolving.on_wanted(&self.driver, &self.mailbox),
                LbAction::Publish(state, picker) => self.set(state, picker),
            }
        }
        self.publish();
    }

    fn connect(&mut self, id: SubchannelId) {
        let now = self.driver.now();
        let Some(slot) = self.subchannels.get_mut(&id) else {
            return;
        };
        let Some(order) = slot.machine.on_connect_requested(now) else {
            return;
        };
        let connection = next_connection_id();
        slot.dial_started = now;
        slot.dialing = Some(connection);
        self.shown.counters.connect_attempts.one();
        log(LogLevel::Debug, "channel", || {
            format!(
                "{}: connection {connection} dials {}",
                self.config.given_target, slot.address
            )
        });
        let link_id = LinkId {
            subchannel: id,
            connection,
        };
        let (address, settings, mailbox) = (
            slot.address.clone(),
            Rc::clone(&self.settings),
            Rc::clone(&self.mailbox),
        );
        let task = link::spawn(&self.driver, link_id, address, settings, order.deadline, mailbox);
        self.links.insert(connection, task);
    }

    fn remove(&mut self, id: SubchannelId) {
        if let Some(slot) = self.subchannels.remove(&id) {
            self.let_go(slot);
        }
    }

    /// [CONN-35]: a dial nobody wants is given up; a connection lets its streams finish. The link's task reports its end.
    fn let_go(&self, slot: Slot) {
        if let Some(connection) = slot.connection {
            connection.drain();
        }
        if let Some(task) = slot.dialing.and_then(|connection| self.links.get(&connection)) {
            task.abort();
        }
    }

    /// Moves to a state and a picker. Calls see both with the next snapshot.
    fn set(&mut self, state: State, picker: Rc<dyn Picker>) {
        for step in steps(self.state, state) {
            self.record(*step);
        }
        self.picker = picker;
    }

    fn publish(&self) {
        let connections = self
            .subchannels
            .iter()
            .filter_map(|(id, slot)| Some((*id, slot.connection.clone()?)))
            .collect();
        let snapshot = Snapshot::new(
            self.state,
            Rc::clone(&self.picker),
            connections,
            self.failure.clone(),
            self.trail(),
            self.resolving.is_waited_for(),
        );
        self.publisher.send_replace(Rc::new(snapshot));
    }

    /// What a call that is not on a connection tells when it fails.
    fn trail(&self) -> Option<Rc<ConnectTrail>> {
        if self.state == State::Ready {
            return None;
        }
        let dialing = self.subchannels.values().filter(|slot| slot.dialing.is_some());
        let dialing: Vec<_> = dialing
            .take(MOST_NOTES)
            .map(|slot| (slot.address.to_string(), slot.dial_started))
            .collect();
        let is_all_waiting = dialing.is_empty();
        let next_attempt = self
            .subchannels
            .values()
            .filter_map(|slot| slot.machine.next_deadline())
            .min()
            .filter(|_| is_all_waiting);
        Some(Rc::new(ConnectTrail {
            attempts: self.notes.iter().cloned().collect(),
            dialing,
            next_attempt,
        }))
    }

    /// Moves the shown state one legal step and tells why.
    fn record(&mut self, to: State) {
        let from = std::mem::replace(&mut self.state, to);
        self.shown.set_state(to);
        let Cause {
            words,
            address,
            connection,
        } = self.cause.clone();
        let event = ChannelEvent {
            seq: 0,
            at: self.driver.now().since_start(),
            from,
            to,
            cause: words,
            address,
            connection,
        };
        log(LogLevel::Info, "channel", || {
            format!("{}: {event}", self.config.given_target)
        });
        self.shown.events.record(event);
    }
}

async fn sleep_until<D: Driver>(driver: &D, deadline: Option<Time>) {
    match deadline {
        Some(deadline) => driver.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Positive, unique in the process, never reused ([CONN-160]).
fn next_connection_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

/// Runs when the control task is over, however that comes.
struct Over<F: FnOnce()> {
    shown: Arc<Shown>,
    done: Option<F>,
}

impl<F: FnOnce()> Drop for Over<F> {
    fn drop(&mut self) {
        self.shown.set_state(State::Shutdown);
        if let Some(done) = self.done.take() {
            done();
        }
    }
}
