//! One direction of a byte stream: what was written and has not been read.

use std::collections::VecDeque;
use std::task::{Context, Waker};
use std::time::Duration;

use super::network::{Path, Reach};
use super::random::Random;
use crate::time::Time;

/// One direction, as a network and two kernels have it between them.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    segments: VecDeque<Segment>,
    /// Bytes that take room: written and not read, lost ones too.
    queued: usize,
    /// When the link has sent what it was given; bandwidth is the distance.
    wire_free_at: Time,
    last_arrival: Time,
    /// Nothing that is written from now on arrives, and nobody says so.
    is_lost: bool,
    /// What arrives is not acknowledged: that is lost.
    is_unacknowledged: bool,
    /// Since when the writer waits for an acknowledgement that does not come.
    pub(super) unacknowledged_since: Option<Time>,
    /// Nobody reads any more: what arrives is answered with a reset.
    is_reader_gone: bool,
    /// Something for a reader that is gone is held back.
    is_owed_reset: bool,
    pub(super) is_fin_written: bool,
    /// The reader's end is reset from then on.
    pub(super) reset_at: Option<Time>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Segment {
    /// `None` while the network holds it back.
    arrives: Option<Time>,
    /// Empty at the end of the stream.
    bytes: Vec<u8>,
    read: usize,
}

/// What a reader finds.
pub(super) enum Found<'a> {
    Bytes(&'a [u8]),
    End,
    /// Nothing before then; `None` is nothing for now.
    Nothing(Option<Time>),
    Reset,
}

impl Pipe {
    pub(super) fn room(&self, path: &Path) -> usize {
        path.buffer.saturating_sub(self.queued)
    }

    /// Takes bytes in; an empty slice ends the stream. Answers when a reset comes back, if one does.
    pub(super) fn write(
        &mut self,
        now: Time,
        bytes: &[u8],
        path: &Path,
        reach: Reach,
        random: &Random,
    ) -> Option<Time> {
        self.queued += bytes.len();
        self.is_fin_written |= bytes.is_empty();
        if self.is_lost {
            self.unacknowledged_since.get_or_insert(now);
            return None;
        }
        if self.is_unacknowledged {
            self.unacknowledged_since.get_or_insert(now);
        }
        let arrives = match reach {
            Reach::Open => Some(self.arrival(now, bytes.len(), path, random)),
            Reach::Dropped | Reach::Unreachable => {
                self.unacknowledged_since.get_or_insert(now);
                None
            }
        };
        if self.is_reader_gone {
            self.queued = 0;
            self.is_owed_reset |= !bytes.is_empty() && arrives.is_none();
            return arrives.filter(|_| !bytes.is_empty()).map(|at| at + path.latency);
        }
        self.segments.push_back(Segment { arrives, bytes: bytes.to_vec(), read: 0 });
        self.wake_reader();
        None
    }

    fn arrival(&mut self, now: Time, bytes: usize, path: &Path, random: &Random) -> Time {
        let sending = path.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(u64::try_from(bytes as u128 * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX))
        });
        self.wire_free_at = self.wire_free_at.max(now) + sending;
        let jitter = path.jitter.mul_f64(random.unit());
        // Bytes keep their order.
        self.last_arrival = self.last_arrival.max(self.wire_free_at + path.latency + jitter);
        self.last_arrival
    }

    pub(super) fn find(&mut self, now: Time) -> Found<'_> {
        if self.reset_at.is_some_and(|at| at <= now) {
            return Found::Reset;
        }
        let reset_at = self.reset_at;
        match self.segments.front() {
            Some(Segment { arrives: Some(at), bytes, read }) if *at <= now => {
                if bytes.is_empty() {
                    Found::End
                } else {
                    Found::Bytes(&bytes[*read..])
                }
            }
            front => Found::Nothing(front.and_then(|segment| segment.arrives).into_iter().chain(reset_at).min()),
        }
    }

    /// The reader took so many of the bytes it found.
    pub(super) fn took(&mut self, count: usize) {
        self.queued -= count;
        if let Some(front) = self.segments.front_mut() {
            front.read += count;
            if front.read == front.bytes.len() {
                self.segments.pop_front();
            }
        }
        self.wake_writer();
    }

    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        // What is on its way is lost too; its room stays taken.
        self.segments.clear();
    }

    /// The other direction is lost, and acknowledgements with it.
    pub(super) fn lose_acknowledgements(&mut self) {
        self.is_unacknowledged = true;
    }

    /// The network lets through what it held back. Answers when a reset comes back, if one does.
    pub(super) fn release(&mut self, now: Time, path: &Path, random: &Random) -> Option<Time> {
        if self.is_lost {
            return None;
        }
        if !self.is_unacknowledged {
            self.unacknowledged_since = None;
        }
        let held: Vec<usize> = (0..self.segments.len()).filter(|at| self.segments[*at].arrives.is_none()).collect();
        for at in held {
            let length = self.segments[at].bytes.len();
            let arrives = self.arrival(now, length, path, random);
            self.segments[at].arrives = Some(arrives);
        }
        self.wake_reader();
        std::mem::take(&mut self.is_owed_reset).then(|| now + path.latency * 2)
    }

    /// The reader's end is closed. Whether something was still to be read, which makes it a reset.
    pub(super) fn close_reader(&mut self) -> bool {
        self.is_reader_gone = true;
        let was_unread = self.segments.iter().any(|segment| !segment.bytes.is_empty());
        self.segments.clear();
        self.reader = None;
        was_unread
    }

    pub(super) fn close_writer(&mut self) {
        self.writer = None;
    }

    pub(super) fn reset(&mut self, at: Time) {
        if self.is_lost {
            return;
        }
        self.reset_at = Some(self.reset_at.map_or(at, |earlier| earlier.min(at)));
        self.wake_reader();
    }

    pub(super) fn wait_to_read(&mut self, cx: &Context<'_>) {
        self.reader = Some(cx.waker().clone());
    }

    pub(super) fn wait_to_write(&mut self, cx: &Context<'_>) {
        self.writer = Some(cx.waker().clone());
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}
