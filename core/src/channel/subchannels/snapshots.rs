//! What subchannels look like to people.

use std::collections::BTreeMap;

use super::{Dialing, Slot, Subchannels};
use crate::observe::snapshot::{BreakerSnapshot, ConnectionSnapshot, DialSnapshot, SubchannelSnapshot};
use crate::observe::trail::DialStep;
use crate::policy::balancer::{Health, SubchannelId};
use crate::runtime::{Driver, Task};
use crate::time::{Time, earliest};

impl<D: Driver> Subchannels<D> {
    /// How each of them stands, with its connections.
    pub(in crate::channel) fn snapshots(&self, now: Time) -> Vec<SubchannelSnapshot> {
        let open = self.settings.counters.connection_snapshots();
        let mut open: BTreeMap<u64, ConnectionSnapshot> = open.into_iter().map(|one| (one.metrics.id, one)).collect();
        let mut found = Vec::new();
        for (id, slot) in self.slots.iter() {
            let members = slot.members.ages(now);
            let of = |(id, age)| Some(ConnectionSnapshot { age: Some(age), ..open.remove(&id)? });
            found.push(slot.snapshot(now, id, members.filter_map(of).collect()));
        }
        if open.is_empty() {
            return found;
        }
        // Those that say goodbye. What leads to an address that is not listed any more has no place here.
        let addresses = found.iter().enumerate().map(|(place, one)| (one.address.clone(), place));
        let places: BTreeMap<String, usize> = addresses.collect();
        for connection in open.into_values() {
            if let Some(place) = places.get(&connection.metrics.remote_address) {
                found[*place].connections.push(connection);
            }
        }
        found
    }
}

impl<T: Task> Slot<T> {
    fn snapshot(&self, now: Time, id: SubchannelId, connections: Vec<ConnectionSnapshot>) -> SubchannelSnapshot {
        let next_attempt = earliest([self.machine.next_deadline(), self.ask_gate_at]);
        let health = self.checkup.as_ref().map(|checkup| match checkup.said().health {
            Health::Healthy => "healthy",
            Health::Unknown => "unknown",
            Health::Unhealthy => "unhealthy",
        });
        let breaker = self.tally.breaker().map(|standing| BreakerSnapshot {
            state: standing.name,
            why: standing.why,
            next_probe: standing.probe_at.map(|at| at.since(now)),
        });
        SubchannelSnapshot {
            id: id.number(),
            address: self.address.to_string(),
            state: self.state,
            since: now.since(self.since),
            last_error: self.last_error.as_deref().cloned(),
            failures: self.machine.failures(),
            next_attempt: next_attempt.map(|at| at.since(now)),
            dialing: self.dialing.as_deref().map(|dialing| dialing.snapshot(now)),
            breaker,
            is_ejected: self.tally.is_ejected(),
            health,
            calls_waiting: self.members.pool().line().len() as u64,
            connections,
        }
    }
}

impl Dialing {
    fn snapshot(&self, now: Time) -> DialSnapshot {
        let step = match self.step.get() {
            DialStep::LookUp => "dns",
            DialStep::Open => "tcp",
            DialStep::Proxy => "proxy",
            DialStep::Tls => "tls",
            DialStep::Settings => "settings",
        };
        DialSnapshot { connection: self.connection, step, since: now.since(self.started) }
    }
}
