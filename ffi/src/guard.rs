//! The barrier between the host and Rust, in both directions.
//!
//! Inwards: every exported function runs inside [`run`], so a panic becomes a result code and never unwinds into C.
//! Outwards: host code is called only through [`call_host`], which marks the thread, so that a function that would block can
//! refuse to be called from inside a callback.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use linkspan_core::LogLevel;

use crate::error::{
    ErrorSlot, LINKSPAN_EPANIC, LINKSPAN_EREENTRANT, LINKSPAN_OK, Refusal, linkspan_error, linkspan_result,
};
use crate::log;

/// Runs the body of an exported function. The text of a refusal goes to the log, since the caller sees only the code.
pub(crate) fn run(function: &'static str, body: impl FnOnce() -> Result<(), Refusal>) -> linkspan_result {
    match contained(function, body) {
        Ok(()) => LINKSPAN_OK,
        Err(refusal) => {
            report(function, &refusal);
            refusal.result
        }
    }
}

/// Like [`run`], for a function that also tells its caller why.
///
/// # Safety
/// As [`ErrorSlot::new`].
pub(crate) unsafe fn run_telling(
    function: &'static str,
    error: *mut linkspan_error,
    body: impl FnOnce() -> Result<(), Refusal>,
) -> linkspan_result {
    run(function, || {
        // SAFETY: the same promise.
        let slot = unsafe { ErrorSlot::new(error) }?;
        contained(function, body).inspect_err(|refusal| slot.tell(refusal))
    })
}

fn contained(function: &'static str, body: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    // A body that panicked leaves nothing half-done that is looked at again: tables change in one step under their lock.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Refusal::told(LINKSPAN_EPANIC, format!("bug in linkspan, {function}: {}", panic_text(&*panic))))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a text")
}

fn report(function: &str, refusal: &Refusal) {
    if refusal.text.is_empty() {
        return;
    }
    let level = if refusal.result == LINKSPAN_EPANIC { LogLevel::Error } else { LogLevel::Debug };
    // The logger is host code behind Rust code; what goes wrong there must not come back here.
    drop(catch_unwind(AssertUnwindSafe(|| log::line(level, function, &refusal.text))));
}

thread_local! {
    /// How many calls into host code are on this thread's stack.
    static HOST_CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Calls host code: a callback, a hook, a notify or a release function. No lock of ours may be held here.
pub(crate) fn call_host<R>(call: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            HOST_CALLS.set(HOST_CALLS.get() - 1);
        }
    }
    HOST_CALLS.set(HOST_CALLS.get() + 1);
    let _leave = Leave;
    call()
}

/// Refuses to block a thread that is inside host code called by us: it may be the engine's own.
pub(crate) fn refuse_inside_callback() -> Result<(), Refusal> {
    if is_inside_callback() {
        return Err(Refusal::new(
            LINKSPAN_EREENTRANT,
            "this function may block, so it must not be called from inside a callback",
        ));
    }
    Ok(())
}

pub(crate) fn is_inside_callback() -> bool {
    HOST_CALLS.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_result_and_its_text_an_error() {
        let mut error = linkspan_error { struct_size: 256, code: 0, os_error: 0, reserved: 0, message: [0; 240] };
        // SAFETY: a live struct of this test.
        let result = unsafe { run_telling("linkspan_test", &raw mut error, || panic!("torn {}", "sail")) };
        assert_eq!((result, error.code), (LINKSPAN_EPANIC, LINKSPAN_EPANIC));
        let message: Vec<u8> = error.message.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
        assert_eq!(message, b"bug in linkspan, linkspan_test: torn sail");
    }

    #[test]
    fn the_thread_knows_when_it_is_inside_host_code() {
        call_host(|| {
            call_host(|| ());
            assert_eq!(refuse_inside_callback().expect_err("inside").result, LINKSPAN_EREENTRANT);
        });
        assert!(refuse_inside_callback().is_ok());
    }
}
