//! What happened in a world, line by line, in order: shown when something is wrong, compared when a seed is run twice.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Now;
use crate::time::Time;

/// The record of one world. Clones are the same record.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    now: Now,
    /// Locked for a push or a copy alone. Callbacks that could run on another thread write here, though none does.
    lines: Arc<Mutex<Vec<(Time, String)>>>,
}

impl Journal {
    pub(super) fn new(now: Now) -> Self {
        Self { now, lines: Arc::default() }
    }

    pub(crate) fn note(&self, what: impl fmt::Display) {
        let line = (self.now.time(), what.to_string());
        self.lines().push(line);
    }

    /// Whether there is such a line.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.lines().iter().any(|(_, what)| what == line)
    }

    /// The whole record, a line each, times in seconds.
    pub(crate) fn text(&self) -> String {
        let line = |(at, what): &(Time, String)| format!("{:>14.6}  {what}\n", at.since_start().as_secs_f64());
        self.lines().iter().map(line).collect()
    }

    /// Differs when anything of the record does (FNV-1a).
    pub(crate) fn fingerprint(&self) -> u64 {
        let bytes = |hash: u64, bytes: &[u8]| {
            bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        };
        self.lines().iter().fold(0xcbf2_9ce4_8422_2325, |hash, (at, what)| {
            bytes(bytes(hash, &at.since_start().as_nanos().to_le_bytes()), what.as_bytes())
        })
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(Time, String)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
