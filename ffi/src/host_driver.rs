//! Driving an engine from the host's own loop. Declared, so that one header fits every build; no engine of this version is
//! driven by its host, so every function answers EUNSUPPORTED for a live engine.

#![expect(
    unused_variables,
    reason = "the parameters are declared for the header and for the version that will use them"
)]

use crate::engine::{ENGINES, linkspan_engine};
use crate::error::{LINKSPAN_EUNSUPPORTED, Refusal, linkspan_result};
use crate::guard;

fn has_its_own_thread(engine: linkspan_engine) -> Result<(), Refusal> {
    ENGINES.get(engine)?;
    Err(Refusal::new(
        LINKSPAN_EUNSUPPORTED,
        "the engine has a thread of its own; the driver \"host\" is not in this version",
    ))
}

/// HOST driver: a descriptor that is readable when `linkspan_engine_process` has work. Not in this version: EUNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_fd(engine: linkspan_engine, out: *mut i64) -> linkspan_result {
    guard::run("linkspan_engine_fd", || has_its_own_thread(engine))
}

/// HOST driver: the time until process is next needed. Not in this version: EUNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_timeout(engine: linkspan_engine, out_ns: *mut i64) -> linkspan_result {
    guard::run("linkspan_engine_timeout", || has_its_own_thread(engine))
}

/// HOST driver: does what can be done without blocking. Not in this version: EUNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_process(
    engine: linkspan_engine,
    flags: u32,
    out_events: *mut u32,
) -> linkspan_result {
    guard::run("linkspan_engine_process", || has_its_own_thread(engine))
}

/// HOST driver: makes the descriptor readable. Not in this version: EUNSUPPORTED.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_engine_wake(engine: linkspan_engine) -> linkspan_result {
    guard::run("linkspan_engine_wake", || has_its_own_thread(engine))
}
