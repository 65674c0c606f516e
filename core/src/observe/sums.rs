//! What an engine's channels counted together. Sums only grow: what a channel counted stays after it is gone.

use std::sync::{Arc, Mutex, PoisonError};

use super::counters::ChannelCounters;

/// The counters of an engine's channels.
#[derive(Debug, Default)]
pub(crate) struct EngineSums(
    /// Guards the list and the sums of those that left it.
    Mutex<Sums>,
);

#[derive(Debug, Default)]
struct Sums {
    channels: Vec<Arc<ChannelCounters>>,
    gone: EngineMetrics,
}

impl EngineSums {
    pub(crate) fn enlist(&self, counters: &Arc<ChannelCounters>) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Swept as it grows, so a program that makes channels without end keeps a short list.
        if sums.channels.len() == sums.channels.capacity() {
            sums.sweep();
        }
        sums.channels.push(Arc::clone(counters));
    }

    pub(crate) fn read(&self) -> EngineMetrics {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.sweep();
        let mut metrics = sums.gone.clone();
        sums.channels.iter().for_each(|counters| metrics.add(counters));
        metrics.channels = sums.channels.len() as u64;
        metrics
    }
}

impl Sums {
    /// Adds up and lets go of the counters nobody else holds: nothing can be counted there any more.
    fn sweep(&mut self) {
        let gone = &mut self.gone;
        self.channels.retain(|counters| {
            let is_held = Arc::strong_count(counters) > 1;
            if !is_held {
                gone.add(counters);
            }
            is_held
        });
    }
}

/// What an engine's channels counted together.
#[derive(Clone, Debug, Default)]
pub struct EngineMetrics {
    /// Channels that exist now.
    pub channels: u64,
    /// Calls started.
    pub calls_started: u64,
    /// Calls that ended OK.
    pub calls_ok: u64,
    /// Calls that ended otherwise.
    pub calls_failed: u64,
    /// Calls running now.
    pub calls_active: u64,
    /// Attempts after the first of a call.
    pub retries: u64,
    /// Bytes written to connections, above TLS.
    pub bytes_sent: u64,
    /// Bytes read from connections, above TLS.
    pub bytes_received: u64,
    /// Connect attempts.
    pub connects: u64,
    /// Connect attempts that failed.
    pub connects_failed: u64,
    /// GOAWAYs received.
    pub goaways: u64,
    /// Connections given up because nothing was read after a PING.
    pub keepalives_failed: u64,
}

impl EngineMetrics {
    fn add(&mut self, counters: &ChannelCounters) {
        self.calls_started += counters.calls_started.read();
        self.calls_ok += counters.calls_succeeded();
        self.calls_failed += counters.calls_failed();
        self.calls_active += counters.calls_in_flight.read();
        self.retries += counters.retries.read();
        self.bytes_sent += counters.bytes_sent.read();
        self.bytes_received += counters.bytes_received.read();
        self.connects += counters.connect_attempts.read();
        self.connects_failed += counters.connect_failures.read();
        self.goaways += counters.goaways.read();
        self.keepalives_failed += counters.keepalives_failed.read();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_channel_counted_stays_after_it_is_gone() {
        let sums = EngineSums::default();
        let counters = Arc::new(ChannelCounters::default());
        sums.enlist(&counters);
        counters.calls_started.one();
        let before = sums.read();
        assert_eq!((before.channels, before.calls_started), (1, 1));
        drop(counters);
        let after = sums.read();
        assert_eq!((after.channels, after.calls_started), (0, 1));
    }

    #[test]
    fn a_program_that_makes_channels_without_end_keeps_a_short_list() {
        let sums = EngineSums::default();
        for _ in 0..10_000 {
            sums.enlist(&Arc::default());
        }
        assert!(sums.0.lock().expect("no panic").channels.capacity() < 16);
    }
}
