//! Who may dial an address now: one gate per loop, shared by all its channels, so that many of them do not storm a server that is down.
//!
//! Of an address that did not take the last connection, or lost one, nobody knows whether it is back: it is probed, by one channel at a
//! time and not more often than the interval. The probe that gets through opens the gate, and whoever waited may dial at once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::address::Address;
use crate::time::Time;

/// The gate. Channels that keep to the specification's backoff do not ask it.
#[derive(Debug, Default)]
pub(crate) struct DialGate {
    known: BTreeMap<Address, Known>,
}

/// What is known of an address.
#[derive(Debug)]
struct Known {
    /// Whether the last that was heard of it was good.
    is_open: bool,
    last_started: Option<Time>,
}

/// As many addresses are remembered before those nobody dialed for a while are forgotten.
const MANY: usize = 256;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

impl DialGate {
    /// A channel wants to dial. `None` lets it, now; else it may ask again at this time.
    pub(crate) fn on_dial_wanted(&mut self, now: Time, address: &Address, interval: Duration) -> Option<Time> {
        if self.known.len() >= MANY && !self.known.contains_key(address) {
            self.known.retain(|_, known| known.last_started.is_some_and(|at| now.since(at) < FORGOTTEN_AFTER));
        }
        let fresh = Known { is_open: false, last_started: None };
        let known = self.known.entry(address.clone()).or_insert(fresh);
        let free_at = known.last_started.map_or(now, |started| started + interval);
        if !known.is_open && free_at > now {
            return Some(free_at);
        }
        known.last_started = Some(now);
        None
    }

    /// Somebody's dial succeeded: whoever waits may go.
    pub(crate) fn on_dial_succeeded(&mut self, address: &Address) {
        if let Some(known) = self.known.get_mut(address) {
            known.is_open = true;
        }
    }

    /// Somebody's dial failed, or a connection was lost without a word.
    pub(crate) fn on_failure(&mut self, address: &Address) {
        if let Some(known) = self.known.get_mut(address) {
            known.is_open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(500);

    fn at(milliseconds: u64) -> Time {
        Time::from_start(Duration::from_millis(milliseconds))
    }

    fn address(port: u16) -> Address {
        Address::Inet(([10, 0, 0, 1], port).into())
    }

    fn wanted(gate: &mut DialGate, milliseconds: u64) -> Option<Time> {
        gate.on_dial_wanted(at(milliseconds), &address(1), INTERVAL)
    }

    #[test]
    fn an_address_nobody_knows_is_tried_by_one_and_the_others_go_when_it_answered() {
        let mut gate = DialGate::default();
        assert_eq!(wanted(&mut gate, 0), None);
        assert_eq!(wanted(&mut gate, 1), Some(at(500)));
        gate.on_dial_succeeded(&address(1));
        for _ in 0..50 {
            assert_eq!(wanted(&mut gate, 2), None);
        }
    }

    #[test]
    fn an_address_that_is_down_is_probed_once_per_interval_whoever_asks() {
        let mut gate = DialGate::default();
        let mut dials = Vec::new();
        for milliseconds in 0..10_000 {
            for _channel in 0..50 {
                if wanted(&mut gate, milliseconds).is_none() {
                    dials.push(milliseconds);
                    gate.on_failure(&address(1));
                }
            }
        }
        assert_eq!(dials, (0..20).map(|probe| probe * 500).collect::<Vec<_>>());
    }

    #[test]
    fn a_lost_connection_closes_the_gate() {
        let mut gate = DialGate::default();
        assert_eq!(wanted(&mut gate, 0), None);
        gate.on_dial_succeeded(&address(1));
        gate.on_failure(&address(1));
        assert_eq!(wanted(&mut gate, 800), None, "the last dial is long ago");
        assert_eq!(wanted(&mut gate, 801), Some(at(1_300)));
    }

    #[test]
    fn addresses_do_not_hold_each_other_up() {
        let mut gate = DialGate::default();
        assert_eq!(wanted(&mut gate, 0), None);
        assert_eq!(gate.on_dial_wanted(at(0), &address(2), INTERVAL), None);
    }

    #[test]
    fn a_program_that_dials_ever_new_addresses_fills_nothing() {
        let mut gate = DialGate::default();
        for second in 0..10_000 {
            let address = Address::Unix(format!("/{second}").into());
            assert_eq!(gate.on_dial_wanted(at(second * 1_000), &address, INTERVAL), None);
        }
        assert!(gate.known.len() <= MANY, "{}", gate.known.len());
    }
}
