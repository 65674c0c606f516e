//! A call whose completions go to an asyncio loop's queue. Used on that loop's thread only, so it keeps no state: the
//! Python object around it does.

use linkspan_core::{CallHandle, Code, SendError};
use pyo3::prelude::*;

use super::message;
use super::receiving::credit_to_give;

/// The handle of a running call.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct LoopCall {
    handle: CallHandle,
}

impl LoopCall {
    pub(crate) fn new(handle: CallHandle) -> Self {
        Self { handle }
    }
}

#[pymethods]
impl LoopCall {
    /// Sends a message: true when taken; false when there is no room, a WRITABLE completion follows; None when the
    /// request stream or the call is over.
    fn send(&self, message: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        let message = message::from_python(message)?;
        Ok(match self.handle.send(message, false) {
            Ok(()) => Some(true),
            Err(SendError::Full(_)) => Some(false),
            Err(SendError::HalfClosed | SendError::Ended) => None,
        })
    }

    /// Ends the request stream; harmless after the end.
    fn half_close(&self) {
        // Both refusals mean that it is over already.
        let _ = self.handle.half_close();
    }

    /// Asks for more messages, if it is time; how many. What it is told is what `receiving.rs` wants to know.
    fn read(&self, held: u32, bytes: usize, largest: usize) -> u32 {
        let credit = credit_to_give(held, bytes, largest);
        self.handle.read(credit);
        credit
    }

    fn cancel(&self, code: i64, details: &str) -> bool {
        self.handle.cancel(Code::from_number(code), details)
    }
}
