//! CPU time, wall time and memory of this process.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::Answer;

/// CPU time used so far by the whole process.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    user_s: f64,
    system_s: f64,
}

impl CpuTime {
    /// Up to now.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn now() -> Result<Self, String> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|cause| format!("getrusage: {cause}"))?;
        Ok(Self { user_s: seconds(usage.user_time()), system_s: seconds(usage.system_time()) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a process that ran for 285 years is none of ours")]
fn seconds(time: TimeVal) -> f64 {
    time.num_microseconds() as f64 / 1e6
}

/// A stretch of time that is looked at.
#[derive(Debug)]
pub struct Window {
    started: Instant,
    cpu: CpuTime,
    operations: u64,
}

impl Window {
    /// Starts with so many operations done already.
    ///
    /// # Errors
    /// The system does not tell the CPU time.
    pub fn open(operations: u64) -> Result<Self, String> {
        Ok(Self { started: now(), cpu: CpuTime::now()?, operations })
    }

    /// What was used since, with so many operations done by now.
    ///
    /// # Errors
    /// The system does not tell the CPU time.
    pub fn close(self, operations: u64) -> Result<Answer, String> {
        let (cpu, wall) = (CpuTime::now()?, self.started.elapsed());
        Ok(Answer {
            operations: operations - self.operations,
            wall_s: wall.as_secs_f64(),
            user_s: cpu.user_s - self.cpu.user_s,
            system_s: cpu.system_s - self.cpu.system_s,
            ..Answer::default()
        })
    }

    /// Whether it has been open for so long.
    #[must_use]
    pub fn is_older_than(&self, length: Duration) -> bool {
        self.started.elapsed() >= length
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, not a room of the engine")]
    Instant::now()
}

/// The resident set.
///
/// # Errors
/// There is no `/proc`.
pub fn resident_bytes() -> Result<i64, String> {
    let text = std::fs::read_to_string("/proc/self/statm").map_err(|cause| format!("/proc/self/statm: {cause}"))?;
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok());
    pages.map(|pages| pages * 4_096).ok_or_else(|| "/proc/self/statm is not as expected".to_owned())
}
