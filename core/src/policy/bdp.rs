//! How large a stream's receive window must be to keep the line full: an estimate of bandwidth times delay, by grpc-go's algorithm
//! ([WIRE-230] to [WIRE-232]).
//!
//! A PING is sent while DATA flows; what arrives until its answer is what the line holds. If that is most of the window, the window
//! holds the line back and doubles.
//!
//! grpc-go pings at the first DATA after each answer. Here half a window must have arrived, so that small answers cost nothing: one
//! PING for two thousand answers of 64 bytes. Each PING that finds the window large enough doubles what must arrive before the next.

use std::time::Duration;

use crate::time::Time;

/// One connection's estimate.
#[derive(Debug)]
pub(crate) struct Bdp {
    window: u32,
    most: u32,
    /// DATA received when the last PING was answered.
    counted_from: u64,
    /// How often in a row the window was large enough.
    content: u32,
    /// Set while a PING of this estimate is in flight.
    probe: Option<Probe>,
    round_trip: f64,
    samples: u32,
    best_bandwidth: f64,
}

#[derive(Debug)]
struct Probe {
    sent: Time,
    received: u64,
}

/// The share of the window that means it is too small: grpc-go's β.
const FULL: f64 = 0.66;
/// The window is so many times what arrived: grpc-go's γ.
const GROWTH: u64 = 2;
/// The weight of a new sample of the round trip, once there are ten: grpc-go's α.
const WEIGHT: f64 = 0.9;
/// So many doublings at most between two PINGs of a window that is large enough.
const MOST_CONTENT: u32 = 6;

impl Bdp {
    /// A window that grows up to `most`; one that is as large stays as it is.
    pub(crate) fn new(window: u32, most: u32) -> Self {
        let (round_trip, best_bandwidth) = (0.0, 0.0);
        Self { window, most, counted_from: 0, content: 0, probe: None, round_trip, samples: 0, best_bandwidth }
    }

    /// DATA was received, so much by now. Says whether a PING is wanted ([WIRE-231]).
    pub(crate) fn on_data(&self, received: u64) -> bool {
        let wanted = u64::from(self.window / 2) << self.content;
        self.probe.is_none() && self.window < self.most && received - self.counted_from >= wanted
    }

    /// The PING was handed over, with so much DATA received.
    pub(crate) fn on_ping_sent(&mut self, now: Time, received: u64) {
        self.probe = Some(Probe { sent: now, received });
    }

    /// A PING was answered, with so much DATA received. The new window, if it is another.
    pub(crate) fn on_ping_answered(&mut self, now: Time, received: u64) -> Option<u32> {
        let probe = self.probe.take()?;
        self.counted_from = received;
        self.on_round_trip(now.since(probe.sent));
        let sample = received - probe.received;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let arrived = sample as f64;
        let bandwidth = arrived / (self.round_trip * 1.5);
        let is_best = bandwidth >= self.best_bandwidth;
        self.best_bandwidth = self.best_bandwidth.max(bandwidth);
        if !is_best || arrived < FULL * f64::from(self.window) {
            self.content = (self.content + 1).min(MOST_CONTENT);
            return None;
        }
        self.content = 0;
        // Growing to less would be shrinking.
        let grown = u32::try_from(GROWTH * sample).unwrap_or(u32::MAX).min(self.most);
        if grown <= self.window {
            return None;
        }
        self.window = grown;
        Some(grown)
    }

    fn on_round_trip(&mut self, sample: Duration) {
        // A clock that did not move between the two would make the bandwidth infinite.
        let sample = sample.as_secs_f64().max(1e-6);
        self.samples = self.samples.saturating_add(1);
        let weight = if self.samples <= 10 { 1.0 / f64::from(self.samples) } else { WEIGHT };
        self.round_trip += (sample - self.round_trip) * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u32 = 1 << 10;
    const MIB: u32 = 1 << 20;

    fn at(milliseconds: u64) -> Time {
        Time::from_start(Duration::from_millis(milliseconds))
    }

    fn bdp() -> Bdp {
        Bdp::new(256 * KIB, 16 * MIB)
    }

    /// A PING after `before` more bytes and its answer after `during` more, `round_trip` later.
    fn probe(bdp: &mut Bdp, received: &mut u64, before: u32, during: u32, round_trip: u64) -> Option<u32> {
        *received += u64::from(before);
        assert!(bdp.on_data(*received), "a PING is wanted");
        bdp.on_ping_sent(at(0), *received);
        *received += u64::from(during);
        bdp.on_ping_answered(at(round_trip), *received)
    }

    /// [WIRE-230]
    #[test]
    fn a_window_that_may_not_grow_is_pinned() {
        assert!(!Bdp::new(256 * KIB, 256 * KIB).on_data(u64::MAX));
        assert!(!Bdp::new(256 * KIB, 64 * KIB).on_data(u64::MAX));
    }

    /// [WIRE-231]
    #[test]
    fn a_ping_is_wanted_only_when_half_a_window_of_data_arrived() {
        let bdp = bdp();
        assert!(!bdp.on_data(0));
        assert!(!bdp.on_data(u64::from(128 * KIB) - 1));
        assert!(bdp.on_data(u64::from(128 * KIB)));
    }

    /// [WIRE-231]
    #[test]
    fn one_ping_is_in_flight_and_the_next_waits_for_data_after_its_answer() {
        let mut bdp = bdp();
        bdp.on_ping_sent(at(0), u64::from(128 * KIB));
        assert!(!bdp.on_data(u64::from(MIB)));
        assert_eq!(bdp.on_ping_answered(at(10), u64::from(MIB)), Some(2 * (MIB - 128 * KIB)));
        assert!(!bdp.on_data(u64::from(MIB)));
    }

    /// [WIRE-230]
    #[test]
    fn a_full_window_doubles_until_the_largest() {
        let (mut bdp, mut received, mut windows) = (bdp(), 0, Vec::new());
        let mut window = 256 * KIB;
        // A window a round trip, as a window that is too small makes it.
        while window < 16 * MIB {
            window = probe(&mut bdp, &mut received, window, window, 100).expect("larger");
            windows.push(window / KIB);
        }
        assert_eq!(windows, [512, 1_024, 2_048, 4_096, 8_192, 16_384]);
        assert!(!bdp.on_data(u64::MAX), "and no PING after that");
    }

    /// [WIRE-230]
    #[test]
    fn two_thirds_of_the_window_are_full_and_less_is_not() {
        let (mut enough, mut received) = (bdp(), 0);
        assert_eq!(probe(&mut enough, &mut received, 256 * KIB, 173_016, 100), Some(346_032));
        let (mut little, mut received) = (bdp(), 0);
        assert_eq!(probe(&mut little, &mut received, 256 * KIB, 173_015, 100), None);
    }

    #[test]
    fn more_data_in_a_longer_round_trip_is_no_more_bandwidth() {
        let (mut bdp, mut received) = (bdp(), 0);
        assert_eq!(probe(&mut bdp, &mut received, 256 * KIB, 256 * KIB, 10), Some(512 * KIB));
        assert_eq!(probe(&mut bdp, &mut received, 512 * KIB, 512 * KIB, 1_000), None);
    }

    #[test]
    fn a_window_that_is_large_enough_is_asked_about_less_and_less_and_growth_asks_anew() {
        let (mut bdp, mut received) = (bdp(), 0);
        for content in [0, 1, 2, 3, 4, 5, 6, 6] {
            let wanted = (128 * KIB) << content;
            assert!(!bdp.on_data(received + u64::from(wanted) - 1), "{content}");
            assert_eq!(probe(&mut bdp, &mut received, wanted, 0, 100), None);
        }
        assert_eq!(probe(&mut bdp, &mut received, 8 * MIB, 256 * KIB, 100), Some(512 * KIB));
        assert!(bdp.on_data(received + u64::from(256 * KIB)));
    }

    #[test]
    fn the_answer_of_somebody_elses_ping_says_nothing() {
        assert_eq!(bdp().on_ping_answered(at(1), u64::from(MIB)), None);
    }

    #[test]
    fn a_clock_that_did_not_move_grows_the_window_all_the_same() {
        let (mut bdp, mut received) = (bdp(), 0);
        assert_eq!(probe(&mut bdp, &mut received, 256 * KIB, 256 * KIB, 0), Some(512 * KIB));
    }
}
