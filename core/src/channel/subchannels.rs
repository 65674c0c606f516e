//! A channel's subchannels: their machines, dials and connections, and the tasks that move them.
//!
//! It carries out what the control task decides and says what became of it; what follows from that for the channel is not its business.

mod snapshots;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::certificates::Certificates;
use super::config::ChannelConfig;
use super::gate::Visitor;
use super::health::{Asking, Checkup, Said};
use super::link::{self, Dial, LinkId};
use super::mailbox::Mailbox;
use super::members::{Members, Wanted};
use super::snapshot::Connected;
use super::usage::Usage;
use crate::address::Address;
use crate::observe::ids::next_id;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::{AttemptNote, DialNote, DialStep, Milliseconds};
use crate::policy::balancer::tally::Tally;
use crate::policy::balancer::{Health, SubchannelId, SubchannelIds};
use crate::policy::jitter::jittered;
use crate::policy::pool::PoolSizes;
use crate::policy::subchannel::Subchannel;
use crate::runtime::{Driver, Task};
use crate::small_map::SmallMap;
use crate::state::State;
use crate::time::{Time, earliest};
use crate::transport::connection::Connection;
use crate::transport::dial::{DialSettings, first_step};

pub(super) struct Subchannels<D: Driver> {
    driver: D,
    config: Arc<ChannelConfig>,
    settings: Rc<DialSettings>,
    mailbox: Rc<Mailbox>,
    usage: Rc<Usage>,
    gate: Visitor,
    ids: SubchannelIds,
    slots: SmallMap<SubchannelId, Slot<D::Task>>,
    /// Every task that dials or moves a connection, draining ones too, by connection id.
    links: SmallMap<u64, D::Task>,
    /// The service whose health is asked for ([LB-120]).
    health_service: Option<Rc<str>>,
    /// How many connections each address has.
    sizes: Rc<Cell<PoolSizes>>,
    /// `None` without TLS.
    certificates: Option<Box<Certificates<D>>>,
}

/// One address: its machine, and the connections there are.
struct Slot<T: Task> {
    machine: Subchannel,
    /// The machine's state when it was looked at last.
    state: State,
    /// Since when it has been so.
    since: Time,
    /// Why the last dial failed or the last connection was lost; boxed twice, because most have none.
    #[expect(clippy::box_collection, reason = "a text takes more room")]
    last_error: Option<Box<String>>,
    address: Address,
    tally: Rc<Tally>,
    members: Members,
    /// Whether the policy goes by what the server says of its health.
    goes_by_health: bool,
    /// While it is connected and its server is asked.
    checkup: Option<Box<Checkup<T>>>,
    /// The dial under way; boxed, because it is soon over.
    dialing: Option<Box<Dialing>>,
    /// The policy wants a connection, and the gate has not let it be dialed yet.
    is_wanted: bool,
    /// When the gate is to be asked again; set while it holds a dial back.
    ask_gate_at: Option<Time>,
}

impl<T: Task> Slot<T> {
    /// Notes since when the state is what it is.
    fn look(&mut self, now: Time) {
        let state = self.machine.state();
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }
}

struct Dialing {
    connection: u64,
    started: Time,
    step: Rc<Cell<DialStep>>,
    /// The connection it is to take the place of, and why.
    replaces: Option<(u64, String)>,
}

/// A connection is lost, or takes no new streams.
pub(super) struct Lost {
    pub(super) state: State,
    pub(super) address: String,
}

/// Why a connection is replaced.
const WITH_OLD_CERTIFICATES: &str = "it was made with certificates that have been replaced";

/// By so much connections that were made together differ in age.
const SPREAD: f64 = 0.1;

impl<D: Driver> Subchannels<D> {
    pub(super) fn new(
        driver: &D,
        config: Arc<ChannelConfig>,
        settings: Rc<DialSettings>,
        mailbox: Rc<Mailbox>,
        usage: Rc<Usage>,
        gate: Visitor,
        ids: SubchannelIds,
    ) -> Self {
        let (slots, links) = (SmallMap::default(), SmallMap::default());
        let sizes = Rc::new(Cell::new(PoolSizes { kept: 1, most: 1 }));
        let health_service = None;
        Self {
            driver: driver.clone(),
            config,
            settings,
            mailbox,
            usage,
            gate,
            ids,
            slots,
            links,
            health_service,
            sizes,
            certificates: None,
        }
    }

    /// These are looked after from now on.
    pub(super) fn with_certificates(self, certificates: Option<Certificates<D>>) -> Self {
        Self { certificates: certificates.map(Box::new), ..self }
    }

    pub(super) fn create(&mut self, id: SubchannelId, address: Address, tally: Rc<Tally>, goes_by_health: bool) {
        let slot = Slot {
            machine: Subchannel::new(),
            state: State::Idle,
            since: self.driver.now(),
            last_error: None,
            address,
            tally,
            members: Members::new(Rc::clone(&self.sizes), self.config.shrink_after),
            goes_by_health,
            checkup: None,
            dialing: None,
            is_wanted: false,
            ask_gate_at: None,
        };
        self.slots.insert(id, slot);
        self.settings.counters.subchannels.enter();
    }

    pub(super) fn remove(&mut self, id: SubchannelId) {
        if let Some(slot) = self.slots.remove(id) {
            self.ids.free(id);
            log(LogLevel::Debug, Room::Subchannel, || {
                format!("{}: subchannel {} {}: let go", self.config.name, id.number(), slot.address)
            });
            self.let_go(slot);
        }
    }

    pub(super) fn remove_all(&mut self) {
        for (id, slot) in self.slots.take_all() {
            self.ids.free(id);
            self.let_go(slot);
        }
        if let Some(certificates) = &mut self.certificates {
            certificates.on_rest();
        }
    }

    /// Connections are made with other certificates from now on: those there are get successors.
    pub(super) fn on_certificates_replaced(&mut self, now: Time, old_ends: Option<Duration>) {
        let Some(certificates) = &mut self.certificates else { return };
        certificates.on_replaced(now);
        for (_, slot) in self.slots.iter_mut() {
            let is_old = |link: &Connection| certificates.is_old(link.material_version());
            slot.members.retire_where(is_old, || certificates.replace_at(now, old_ends), WITH_OLD_CERTIFICATES);
        }
    }

    /// What is to be said of certificates that expire.
    pub(super) fn take_certificate_warnings(&mut self, now: Time) -> Vec<String> {
        self.certificates.as_mut().map(|certificates| certificates.on_time(now)).unwrap_or_default()
    }

    /// [CONN-35]: a dial nobody wants is given up; a connection lets its streams finish. The link's task reports its end.
    fn let_go(&self, mut slot: Slot<D::Task>) {
        self.settings.counters.subchannels.leave();
        // A policy that takes over may have the same address wait there.
        let waits = |other: &Slot<D::Task>| other.ask_gate_at.is_some() && other.address == slot.address;
        if !self.slots.iter().any(|(_, other)| waits(other)) {
            self.gate.leave(&slot.address);
        }
        slot.members.drain_all();
        if let Some(task) = slot.dialing.and_then(|dialing| self.links.get(dialing.connection)) {
            task.abort();
        }
    }

    /// Ends every connection at once, whatever runs on it.
    pub(super) fn cut_all(&self) {
        self.links.iter().for_each(|(_, task)| task.abort());
    }

    /// Whether calls could use a connection, if the policy let them.
    pub(super) fn have_connections(&self) -> bool {
        self.slots.iter().any(|(_, slot)| !slot.members.is_empty())
    }

    /// Whether nothing is dialed and no connection is open, draining ones included.
    pub(super) fn are_gone(&self) -> bool {
        self.links.is_empty()
    }

    /// The task of this connection is over.
    pub(super) fn on_link_over(&mut self, connection: u64) {
        self.links.remove(connection);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let times =
            |slot: &Slot<D::Task>| [slot.machine.next_deadline(), slot.ask_gate_at, slot.members.next_deadline()];
        let certificates = self.certificates.as_ref().and_then(|certificates| certificates.next_deadline());
        earliest(self.slots.iter().flat_map(|(_, slot)| times(slot)).chain([certificates]))
    }

    /// Dials what may be dialed by now, lets go of connections that are not needed, and tells which subchannels are free for a dial again.
    pub(super) fn on_time(&mut self, now: Time) -> Vec<SubchannelId> {
        let mut freed = Vec::new();
        for id in self.ids() {
            let Some(slot) = self.slots.get_mut(id) else { continue };
            if slot.machine.on_time(now) && slot.machine.state() == State::Idle {
                freed.push(id);
            }
            slot.look(now);
            for unused in slot.members.on_time(now) {
                if let Some((connection, _)) = slot.members.remove(now, unused) {
                    slot.machine.on_connection_let_go();
                    connection.drain();
                    log(LogLevel::Info, Room::Subchannel, || format!("{}: not needed any more", connection.name()));
                }
            }
            slot.ask_gate_at.take_if(|at| *at <= now);
            if slot.ask_gate_at.is_none() {
                self.dial(now, id);
            }
        }
        freed
    }

    /// Which subchannels are free for a dial again.
    pub(super) fn on_backoff_reset(&mut self, now: Time) -> Vec<SubchannelId> {
        let mut freed = Vec::new();
        for (id, slot) in self.slots.iter_mut() {
            if slot.machine.on_backoff_reset() && slot.machine.state() == State::Idle {
                freed.push(id);
            }
            slot.look(now);
        }
        self.on_gate_opened(now);
        freed
    }

    /// A call needs a connection, the first for a while.
    pub(super) fn on_call_waits(&mut self, now: Time) {
        self.slots.iter_mut().for_each(|(_, slot)| slot.machine.on_call_waits(now, &self.config.dial));
    }

    /// Whoever waits at the gate asks again.
    pub(super) fn on_gate_opened(&mut self, now: Time) {
        for id in self.ids() {
            self.dial(now, id);
        }
    }

    /// The policy wants a connection.
    pub(super) fn connect(&mut self, now: Time, id: SubchannelId) {
        if let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.machine.state() == State::Idle) {
            slot.is_wanted = true;
            self.dial(now, id);
        }
    }

    /// This connection is to be replaced, because of this.
    pub(super) fn on_successor_wanted(&mut self, now: Time, id: SubchannelId, connection: u64, words: String) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        if slot.members.on_successor_wanted(connection, words) {
            self.dial(now, id);
        }
    }

    /// Calls wait for streams, and a further connection may be opened for them ([CONN-124]).
    pub(super) fn on_streams_wanted(&mut self, now: Time, id: SubchannelId) {
        self.dial(now, id);
    }

    /// Each address has other numbers of connections from now on ([CONN-122]).
    pub(super) fn set_sizes(&mut self, now: Time, sizes: PoolSizes) {
        if self.sizes.replace(sizes) == sizes {
            return;
        }
        for id in self.ids() {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.members.on_sizes_changed(now);
                // [CONN-126]: who waits may ask for a further connection now.
                slot.members.pool().line().call_next();
            }
            self.dial(now, id);
        }
    }

    /// Dials the subchannel if that is wanted, its backoff is over, and the gate allows it.
    fn dial(&mut self, now: Time, id: SubchannelId) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let wanted =
            if slot.members.is_empty() { slot.is_wanted.then_some(Wanted::First) } else { slot.members.wanted() };
        let Some(wanted) = wanted.filter(|_| slot.machine.may_dial()) else { return };
        if let Some(interval) = self.config.dial.probe_interval {
            slot.ask_gate_at = self.gate.ask(now, &slot.address, interval);
            if slot.ask_gate_at.is_some() {
                return;
            }
        }
        let order = slot.machine.on_dial_started(now, &self.config.dial);
        slot.look(now);
        let connection = next_id();
        slot.is_wanted = false;
        self.settings.counters.connect_attempts.one();
        log(LogLevel::Debug, Room::Subchannel, || {
            let (name, number, address) = (&self.config.name, id.number(), &slot.address);
            format!("{name}: subchannel {number} {address}: dialed as connection {connection}{wanted}")
        });
        let replaces = if let Wanted::Successor { of, why } = wanted { Some((of, why)) } else { None };
        let step = Rc::new(Cell::new(first_step(&slot.address)));
        slot.dialing = Some(Box::new(Dialing { connection, started: now, step: Rc::clone(&step), replaces }));
        let link_id = LinkId { subchannel: id, connection };
        let (settings, mailbox) = (Rc::clone(&self.settings), Rc::clone(&self.mailbox));
        let line = Rc::clone(slot.members.pool().line());
        let watch = self.certificates.as_mut().and_then(|certificates| certificates.on_dial(now));
        let dial = Dial { address: slot.address.clone(), line, deadline: order.deadline, step, watch };
        let task = link::spawn(&self.driver, link_id, dial, settings, mailbox);
        self.links.insert(connection, task);
    }

    /// A dial succeeded. The address, unless nobody wants the connection any more; it is let go then ([CONN-45]). A connection it replaces
    /// finishes its streams.
    pub(super) fn on_connected(&mut self, now: Time, id: SubchannelId, link: Connection) -> Option<Arc<str>> {
        let is_awaited =
            |slot: &&mut Slot<D::Task>| slot.dialing.as_ref().is_some_and(|dialing| dialing.connection == link.id());
        let Some(slot) = self.slots.get_mut(id).filter(is_awaited) else {
            link.drain();
            return None;
        };
        slot.machine.on_dial_succeeded();
        slot.look(now);
        slot.last_error = None;
        let replaces = slot.dialing.take().and_then(|dialing| dialing.replaces);
        self.gate.on_dial_succeeded(&slot.address);
        let retire_at = self.config.connection_age.map(|age| now + jittered(age, SPREAD, self.driver.random_unit()));
        let (number, address) = (link.id(), Arc::clone(link.address()));
        let is_old =
            self.certificates.as_ref().is_some_and(|certificates| certificates.is_old(link.material_version()));
        slot.members.add(now, link, retire_at);
        if is_old {
            // They were replaced during the handshake.
            slot.members.retire_where(|link| link.id() == number, || now, WITH_OLD_CERTIFICATES);
        }
        if let Some((replaced, why)) = replaces
            && let Some((replaced, _)) = slot.members.remove(now, replaced)
        {
            log(LogLevel::Info, Room::Subchannel, || {
                let (channel, old) = (&self.config.name, replaced.id());
                format!("{channel}: connection {number} {address}: takes the place of connection {old}: {why}")
            });
            slot.machine.on_connection_let_go();
            replaced.drain();
        }
        self.look_after_health(id, Health::Unknown);
        // There may be more to do.
        self.dial(now, id);
        Some(address)
    }

    /// A dial failed: the note for the error trail, and the subchannel's state now.
    pub(super) fn on_dial_failed(
        &mut self,
        now: Time,
        id: SubchannelId,
        connection: u64,
        cause: String,
    ) -> Option<(AttemptNote, State)> {
        let slot = self.slots.get_mut(id)?;
        let dialing = slot.dialing.take_if(|dialing| dialing.connection == connection)?;
        let calls_arrive = self.usage.calls_arrive(now);
        slot.machine.on_dial_failed(now, &self.config.dial, calls_arrive, self.driver.random_unit());
        slot.look(now);
        slot.last_error = Some(Box::new(cause.clone()));
        self.gate.on_failure(&slot.address);
        log(LogLevel::Debug, Room::Subchannel, || {
            let (name, number, address) = (&self.config.name, id.number(), &slot.address);
            let next = slot
                .machine
                .next_deadline()
                .map(|at| format!(", dialed again in {} at the earliest", Milliseconds(at.since(now))));
            format!(
                "{name}: subchannel {number} {address}: {}{}",
                slot.machine.state().name(),
                next.unwrap_or_default()
            )
        });
        let (address, step) = (slot.address.to_string(), dialing.step.get());
        let note = AttemptNote { address, cause, step, took: now.since(dialing.started) };
        Some((note, slot.machine.state()))
    }

    /// [CONN-32], [CONN-33]: draining or ended, the subchannel is free for a new connection. `None` when it was another one's.
    pub(super) fn on_lost(&mut self, now: Time, id: SubchannelId, connection: u64, words: &str) -> Option<Lost> {
        let slot = self.slots.get_mut(id)?;
        let (lost, lived) = slot.members.remove(now, connection)?;
        slot.machine.on_connection_lost(now, lived, lost.loss(), &self.config.dial, self.driver.random_unit());
        slot.look(now);
        slot.last_error = Some(Box::new(words.to_owned()));
        self.gate.on_failure(&slot.address);
        if slot.members.is_empty() {
            slot.ask_gate_at = None;
        }
        let lost = Lost { state: slot.machine.state(), address: slot.address.to_string() };
        self.look_after_health(id, Health::Unknown);
        self.dial(now, id);
        Some(lost)
    }

    /// The service whose health is asked for from now on. Whose health counts no more: it is taken for healthy.
    pub(super) fn set_health_service(&mut self, service: Option<&str>) -> Vec<SubchannelId> {
        if self.health_service.as_deref() == service {
            return Vec::new();
        }
        self.health_service = service.map(Rc::from);
        let checked = |slot: &Slot<D::Task>| slot.checkup.is_some();
        let were_checked: Vec<_> = self.slots.iter().filter(|(_, slot)| checked(slot)).map(|(id, _)| id).collect();
        for id in self.ids() {
            // What is in use stays so until its server says otherwise.
            self.look_after_health(id, Health::Healthy);
        }
        were_checked.into_iter().filter(|id| self.slots.get(*id).is_some_and(|slot| !checked(slot))).collect()
    }

    /// Asks for the subchannel's health on its oldest connection, where anybody wants to know ([LB-21], [LB-126]). `until_now` is what holds
    /// where nobody asked before.
    fn look_after_health(&mut self, id: SubchannelId, until_now: Health) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (Some(service), Some(oldest)) =
            (&self.health_service, slot.members.oldest().filter(|_| slot.goes_by_health))
        else {
            slot.checkup = None;
            return;
        };
        let asking = Asking { driver: &self.driver, config: &self.config, mailbox: &self.mailbox, subchannel: id };
        let checkup = slot.checkup.get_or_insert_with(|| Box::new(Checkup::new(until_now, service)));
        checkup.follow(asking, service, oldest.clone());
    }

    /// The health of a subchannel, as far as it counts.
    pub(super) fn health(&self, id: SubchannelId) -> Health {
        let checkup = self.slots.get(id).and_then(|slot| slot.checkup.as_ref());
        checkup.map_or(Health::Healthy, |checkup| checkup.said().health)
    }

    /// What the server of a subchannel has said of its health, if it is news, and its address.
    pub(super) fn take_health(&mut self, id: SubchannelId) -> Option<(Said, String)> {
        let slot = self.slots.get_mut(id)?;
        let said = slot.checkup.as_mut()?.take_news()?.clone();
        Some((said, slot.address.to_string()))
    }

    /// What the servers say that are connected and not known to be healthy.
    pub(super) fn ailing(&self) -> impl Iterator<Item = String> {
        self.slots.iter().filter_map(|(_, slot)| {
            let said = slot.checkup.as_ref()?.said();
            (said.health != Health::Healthy).then(|| format!("{} {}", slot.address, said.words))
        })
    }

    /// The connections calls may use, each in its subchannel's seat.
    pub(super) fn connections(&self) -> Box<[Option<Connected>]> {
        let seats = self.slots.iter().map(|(id, _)| id.seat() + 1).max().unwrap_or(0);
        let mut connections: Box<[Option<Connected>]> = std::iter::repeat_with(|| None).take(seats).collect();
        for (id, slot) in self.slots.iter() {
            let connected = || Connected { id, pool: Rc::clone(slot.members.pool()), tally: Rc::clone(&slot.tally) };
            connections[id.seat()] = (!slot.members.is_empty()).then(connected);
        }
        connections
    }

    /// The addresses being dialed.
    pub(super) fn dialing(&self) -> impl Iterator<Item = DialNote> {
        self.slots.iter().filter_map(|(_, slot)| {
            let Dialing { started, step, .. } = slot.dialing.as_deref()?;
            Some(DialNote { address: slot.address.to_string(), since: *started, step: Rc::clone(step) })
        })
    }

    /// When the next dial is due, while all wait for one.
    pub(super) fn next_attempt(&self) -> Option<Time> {
        earliest(self.slots.iter().flat_map(|(_, slot)| [slot.machine.next_deadline(), slot.ask_gate_at]))
    }

    fn ids(&self) -> Vec<SubchannelId> {
        self.slots.iter().map(|(id, _)| id).collect()
    }
}
