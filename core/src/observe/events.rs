//! The ring of state changes: what a channel went through, and why.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::state::State;

/// One change of a channel's connectivity state, or something else to know of it; the state after is the one before then.
#[derive(Clone, Debug)]
pub struct ChannelEvent {
    /// Counts from 1 within a channel, without gaps; a reader that remembers the last one it saw notices what the ring let go.
    pub seq: u64,
    /// When, since the engine started.
    pub at: Duration,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why, in words.
    pub cause: Cow<'static, str>,
    /// The address this is about, if it is about one.
    pub address: Option<Arc<str>>,
    /// The connection this is about, if it is about one.
    pub connection: Option<u64>,
}

impl fmt::Display for ChannelEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}: {}", self.from.name(), self.to.name(), self.cause)?;
        if let Some(address) = &self.address {
            write!(f, " [{address}]")?;
        }
        Ok(())
    }
}

/// The newest events of one channel. When full, the oldest goes.
#[derive(Debug)]
pub(crate) struct EventRing {
    capacity: usize,
    /// Changed under the lock; a forked child reads it without.
    last_seq: AtomicU64,
    /// Guards the ring and the number; held for a push or a copy, never across foreign code.
    ring: Mutex<VecDeque<ChannelEvent>>,
}

impl EventRing {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, last_seq: AtomicU64::new(0), ring: Mutex::default() }
    }

    /// An empty ring that counts on where this one is; takes no lock of this one.
    pub(crate) fn continued(&self) -> Self {
        Self { last_seq: AtomicU64::new(self.last_seq.load(Relaxed)), ..Self::new(self.capacity) }
    }

    /// Records an event and numbers it.
    pub(crate) fn record(&self, mut event: ChannelEvent) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        event.seq = self.last_seq.fetch_add(1, Relaxed) + 1;
        if ring.len() == self.capacity {
            ring.pop_front();
        }
        if ring.capacity() == 0 {
            // Most of many channels have connected, and nothing else has become of them.
            ring.reserve_exact(2);
        }
        ring.push_back(event);
    }

    /// The events with a number above `after`, oldest first.
    pub(crate) fn after(&self, after: u64) -> Vec<ChannelEvent> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter(|event| event.seq > after).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cause: &str) -> ChannelEvent {
        ChannelEvent {
            seq: 0,
            at: Duration::ZERO,
            from: State::Idle,
            to: State::Connecting,
            cause: cause.to_owned().into(),
            address: None,
            connection: None,
        }
    }

    /// [CT-01]
    #[test]
    fn a_full_ring_lets_the_oldest_go_and_the_gap_shows_in_the_numbers() {
        let ring = EventRing::new(2);
        for cause in ["a", "b", "c"] {
            ring.record(event(cause));
        }
        let seen: Vec<_> = ring.after(0).into_iter().map(|event| (event.seq, event.cause)).collect();
        assert_eq!(seen, [(2, "b".into()), (3, "c".into())]);
        assert_eq!(ring.after(2).len(), 1);
        assert!(ring.after(3).is_empty());
    }

    #[test]
    fn a_continued_ring_is_empty_and_counts_on() {
        let ring = EventRing::new(2);
        ring.record(event("a"));
        let continued = ring.continued();
        assert!(continued.after(0).is_empty());
        continued.record(event("b"));
        assert_eq!(continued.after(1)[0].seq, 2);
    }

    #[test]
    fn an_event_reads_as_one_line() {
        let mut event = event("a call was started");
        event.address = Some("127.0.0.1:1".into());
        assert_eq!(event.to_string(), "IDLE → CONNECTING: a call was started [127.0.0.1:1]");
    }
}
