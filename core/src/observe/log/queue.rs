//! Lines that wait for a host which takes them on a thread of its own.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LogLevel, Logger, Room};
use crate::foreign::contain;
use crate::generation::PerProcess;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How loud it is.
    pub level: LogLevel,
    /// The room it comes from.
    pub room: Box<str>,
    /// What it says.
    pub text: Box<str>,
}

/// A queue of lines between a logger and a host that takes them when it has time. At most [`LogQueue::MOST`] wait; further ones are dropped and
/// counted. A forked child begins with none.
pub struct LogQueue {
    /// Guards the lines alone.
    waiting: PerProcess<Mutex<Waiting>>,
    bell: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<LogLine>,
    dropped: u64,
}

impl LogQueue {
    /// So many lines wait for the host.
    pub const MOST: usize = 4_096;

    /// An empty queue. `bell` is rung on any thread when the first line waits again; it must not block.
    pub fn new(bell: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { waiting: PerProcess::default(), bell: Box::new(bell) })
    }

    /// What puts lines in here; for [`set_logger`](super::set_logger).
    #[must_use]
    pub fn logger(self: &Arc<Self>) -> Logger {
        let queue = Arc::clone(self);
        Box::new(move |level, room, text| queue.push(level, room, text))
    }

    /// Takes every line, oldest first. If some were dropped, the last one tells how many.
    #[must_use]
    pub fn drain(&self) -> Vec<LogLine> {
        let Waiting { lines, dropped } = std::mem::take(&mut *self.waiting());
        let mut lines = Vec::from(lines);
        if dropped > 0 {
            let text = format!("{dropped} log lines were dropped here, because the logger takes its time").into();
            lines.push(LogLine { level: LogLevel::Warn, room: Room::Engine.name().into(), text });
        }
        lines
    }

    fn push(&self, level: LogLevel, room: &str, text: &str) {
        let mut waiting = self.waiting();
        if waiting.lines.len() >= Self::MOST {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.push_back(LogLine { level, room: room.into(), text: text.into() });
        let is_first = waiting.lines.len() == 1;
        drop(waiting);
        if is_first {
            contain(&self.bell);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LogQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogQueue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_full_queue_drops_what_comes_and_tells_how_much() {
        let rung = Arc::new(AtomicUsize::new(0));
        let ringer = Arc::clone(&rung);
        let queue = LogQueue::new(move || {
            ringer.fetch_add(1, Relaxed);
        });
        let logger = queue.logger();
        for number in 0..LogQueue::MOST + 3 {
            logger(LogLevel::Info, "call", &number.to_string());
        }
        let lines = queue.drain();
        assert_eq!(lines.len(), LogQueue::MOST + 1);
        assert_eq!(&*lines[LogQueue::MOST - 1].text, (LogQueue::MOST - 1).to_string());
        assert!(lines[LogQueue::MOST].text.starts_with("3 log lines were dropped"));
        assert_eq!(rung.load(Relaxed), 1);

        logger(LogLevel::Warn, "tls", "again");
        assert_eq!(queue.drain(), [LogLine { level: LogLevel::Warn, room: "tls".into(), text: "again".into() }]);
        assert_eq!(rung.load(Relaxed), 2);
        assert_eq!(queue.drain(), []);
    }
}
