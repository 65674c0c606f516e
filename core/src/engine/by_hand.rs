//! An engine whose loop a test moves itself, on a driver of its own.

use std::future::Future;
use std::sync::Arc;

use super::handle::Engine;
use super::run;
use crate::runtime::Driver;

/// The engine's loop. No thread is started for it; whoever asks for this runs it, from before the first call on.
pub(crate) fn serve<D: Driver>(driver: D, engine: &Engine) -> impl Future<Output = ()> + use<D> {
    engine.queue().serve_by_hand();
    run::run(driver, Arc::clone(engine.queue()))
}
