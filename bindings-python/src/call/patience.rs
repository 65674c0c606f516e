//! Waits that let signal handlers run.

use std::cell::Cell;
use std::time::Duration;

use linkspan_core::process_generation;
use pyo3::prelude::*;

/// Python runs signal handlers on its main thread only, and only when asked; a native wait there ends this often to ask.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

thread_local! {
    /// With the generation of the process it was found in: in a forked child whichever thread forked is the main thread.
    static IS_MAIN: Cell<Option<(u64, bool)>> = const { Cell::new(None) };
}

/// The longest this thread may wait without looking at signals; `None` for as long as it likes.
pub(crate) fn longest_wait(py: Python<'_>) -> PyResult<Option<Duration>> {
    let is_main = match IS_MAIN.get() {
        Some((generation, known)) if generation == process_generation() => known,
        _ => {
            let threading = py.import("threading")?;
            let is_main = threading.call_method0("current_thread")?.is(threading.call_method0("main_thread")?);
            IS_MAIN.set(Some((process_generation(), is_main)));
            is_main
        }
    };
    Ok(is_main.then_some(SIGNAL_INTERVAL))
}

/// Waits until `wait` says true, `timeout` is over (then false) or a signal handler raises.
///
/// `wait` gets the longest it may take this time and says whether what it waited for has come.
pub(crate) fn wait_until(
    py: Python<'_>,
    timeout: Option<Duration>,
    wait: impl Fn(Option<Duration>) -> bool + Send + Sync,
) -> PyResult<bool> {
    let slice = longest_wait(py)?;
    let mut left = timeout;
    loop {
        let this_time = match (left, slice) {
            (Some(left), Some(slice)) => Some(left.min(slice)),
            (left, slice) => left.or(slice),
        };
        if py.detach(|| wait(this_time)) {
            return Ok(true);
        }
        py.check_signals()?;
        if let (Some(remaining), Some(waited)) = (left, this_time) {
            // A wait that came back without its event has used up its whole share.
            let remaining = remaining.saturating_sub(waited);
            if remaining.is_zero() {
                return Ok(false);
            }
            left = Some(remaining);
        }
    }
}
