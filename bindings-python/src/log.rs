//! Log lines, from the engine's thread to the one Python thread that hands them to the program's logger.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use linkspan_core::{LogLevel, LogQueue, PerProcess};
use pyo3::prelude::*;

use crate::errors;

/// Lines that wait. Made with the first logger; a forked child has it, and nothing in it.
static QUEUE: PerProcess<OnceLock<Arc<LogQueue>>> = PerProcess::of_first(OnceLock::new());
static ARRIVED: PerProcess<Arrived> = PerProcess::of_first(Arrived::new());

struct Arrived {
    /// Whether lines may wait.
    is_rung: Mutex<bool>,
    rung: Condvar,
}

impl Arrived {
    const fn new() -> Self {
        Self { is_rung: Mutex::new(false), rung: Condvar::new() }
    }

    fn of_this_process() -> &'static Self {
        ARRIVED.get(|_| Self::new())
    }

    fn is_rung(&self) -> MutexGuard<'_, bool> {
        self.is_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn queue() -> &'static Arc<LogQueue> {
    QUEUE.get(Clone::clone).get_or_init(|| {
        LogQueue::new(|| {
            let arrived = Arrived::of_this_process();
            *arrived.is_rung() = true;
            arrived.rung.notify_one();
        })
    })
}

/// Lines up to this level wait for `next_log_lines` from now on; with `None`, none do.
#[pyfunction]
pub(crate) fn log_to_python(py: Python<'_>, level: Option<&str>) -> PyResult<()> {
    let level = level.map(str::parse::<LogLevel>).transpose().map_err(|error| errors::exception(py, &error))?;
    // Whoever delivers a line meanwhile may need the interpreter.
    py.detach(|| {
        linkspan_core::set_log_level(level);
        linkspan_core::set_logger(level.map(|_| queue().logger()));
    });
    Ok(())
}

/// Waits until there are lines and takes all: level, room and text of each.
#[pyfunction]
pub(crate) fn next_log_lines(py: Python<'_>) -> Vec<(&'static str, String, String)> {
    let lines = py.detach(|| {
        let arrived = Arrived::of_this_process();
        let mut is_rung = arrived.is_rung();
        while !std::mem::take(&mut *is_rung) {
            is_rung = arrived.rung.wait(is_rung).unwrap_or_else(PoisonError::into_inner);
        }
        drop(is_rung);
        queue().drain()
    });
    lines.into_iter().map(|line| (line.level.name(), line.room.into(), line.text.into())).collect()
}
