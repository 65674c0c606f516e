//! Log lines, from the engine's threads to the JavaScript thread that asked for them. The process has one logger: of several environments, the
//! one that set its last.

use std::sync::{Arc, Mutex, PoisonError};

use linkspan_core::{LogLevel, LogQueue};
use napi_derive::napi;

use crate::errors::{self, Result};
use crate::queue::Bell;

/// One line on its way to JavaScript.
#[napi(object, object_from_js = false)]
pub struct Line {
    pub level: &'static str,
    pub room: String,
    pub text: String,
}

/// An environment's logger.
pub(crate) struct Listener {
    number: u64,
    lines: Arc<LogQueue>,
}

/// The number of the listener that was made last. Held while the process's logger changes, never inside one.
static NEWEST: Mutex<u64> = Mutex::new(0);

impl Listener {
    /// Lines up to this level are for this one from now on; the bell is rung when there are some.
    pub(crate) fn start(bell: Arc<Bell>, level: &str) -> Result<Self> {
        let level: LogLevel = level.parse().map_err(|error| errors::to_js(&error))?;
        let lines = LogQueue::new(move || bell.ring());
        let mut newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
        *newest += 1;
        linkspan_core::set_log_level(Some(level));
        linkspan_core::set_logger(Some(lines.logger()));
        Ok(Self { number: *newest, lines })
    }

    /// Takes what waits.
    pub(crate) fn take(&self) -> Vec<Line> {
        let lines = self.lines.drain().into_iter();
        lines.map(|line| Line { level: line.level.name(), room: line.room.into(), text: line.text.into() }).collect()
    }

    /// No line is for this one any more.
    pub(crate) fn end(&self) {
        let newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
        if *newest == self.number {
            linkspan_core::set_logger(None);
        }
    }
}
