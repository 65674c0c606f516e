//! Engines: the thread that does the I/O, its end, and its numbers.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use linkspan_core::{Engine as CoreEngine, EngineOptions, OptionScope};

use crate::auth::REQUESTS;
use crate::buffer::BUFFERS;
use crate::call::CALLS;
use crate::channel::CHANNELS;
use crate::credentials::CREDENTIALS;
use crate::error::{
    LINKSPAN_EABI, LINKSPAN_ECLOSED, LINKSPAN_ETIMEDOUT, LINKSPAN_EUNSUPPORTED, Refusal, linkspan_error,
    linkspan_result,
};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::log::{Hooks, Listening};
use crate::options::{Driver, OPTIONS, Settings, linkspan_options};
use crate::queue::{QUEUES, Queue};
use crate::{LINKSPAN_FOREVER, abi_fits};

/// What does the I/O of its channels.
pub type linkspan_engine = linkspan_handle;

/// Counters of an engine. Set `struct_size`; the library writes the smaller of the two sizes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_metrics {
    /// sizeof(linkspan_metrics).
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// Calls started.
    pub calls_started: u64,
    /// Calls that ended with OK.
    pub calls_ok: u64,
    /// Calls that ended otherwise.
    pub calls_failed: u64,
    /// Calls under way.
    pub calls_active: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Bytes written to connections.
    pub bytes_sent: u64,
    /// Bytes read from connections.
    pub bytes_received: u64,
    /// Connections opened.
    pub connects: u64,
    /// Connections that could not be opened.
    pub connects_failed: u64,
    /// GOAWAY frames received.
    pub goaways: u64,
    /// Connections given up because nothing was read after a PING.
    pub keepalives_failed: u64,
    /// Live handles of the whole process.
    pub handles_live: u64,
    /// Completions waiting in queues.
    pub events_queued: u64,
    /// Live buffer handles of the whole process.
    pub buffers_held: u64,
    /// Calls of `linkspan_engine_process`; 0 with a thread.
    pub process_calls: u64,
    /// Time spent in them; 0 with a thread.
    pub process_ns: u64,
}

pub(crate) static ENGINES: Table<Arc<Engine>> = Table::new(Kind::Engine);

/// One engine. Its channels and queues keep it alive, its handle does not have to.
pub(crate) struct Engine {
    pub(crate) core: CoreEngine,
    /// Set once; no operation starts afterwards.
    is_shutting_down: AtomicBool,
    /// Its place in the log; left when the engine is gone.
    _listening: Option<Listening>,
}

impl Engine {
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.is_shutting_down.load(SeqCst)
    }

    /// What every function that starts something asks first.
    pub(crate) fn refuse_after_shutdown(&self) -> Result<(), Refusal> {
        if self.is_shutting_down() {
            return Err(Refusal::new(LINKSPAN_ECLOSED, "the engine was shut down"));
        }
        Ok(())
    }

    fn shutdown(self: &Arc<Self>, grace: Option<Duration>) {
        self.is_shutting_down.store(true, SeqCst);
        self.core.shutdown(grace);
        queues_of(self).for_each(|queue| queue.tell_last_event());
    }
}

/// The same, with a word to the queues when the thread stops, ahead of the host's own hook.
fn telling_queues(mut options: EngineOptions, engine: &Arc<OnceLock<Weak<Engine>>>) -> EngineOptions {
    let (engine, of_host) = (Arc::clone(engine), options.thread_stop.take());
    options.thread_stop = Some(Arc::new(move || {
        // Queues keep their engine alive, so one that is gone has none.
        if let Some(engine) = engine.get().and_then(Weak::upgrade) {
            queues_of(&engine).for_each(|queue| queue.engine_stopped());
        }
        if let Some(hook) = &of_host {
            hook();
        }
    }));
    options
}

fn queues_of(engine: &Arc<Engine>) -> impl Iterator<Item = Arc<Queue>> {
    QUEUES.collect(|queue| Arc::ptr_eq(&queue.engine, engine)).into_iter().map(|(_, queue)| queue)
}

/// Closing: shutdown at once, and the channels go with it. Queues stay until the host closes them, since final events are due.
pub(crate) fn close(engine: &Arc<Engine>) {
    engine.shutdown(Some(Duration::ZERO));
    for (handle, _) in CHANNELS.collect(|channel| Arc::ptr_eq(&channel.engine, engine)) {
        if let Some(channel) = CHANNELS.remove(handle) {
            channel.close();
        }
    }
}

/// A time from the host: FOREVER is none, and what is already past is zero.
pub(crate) fn duration(nanoseconds: i64) -> Option<Duration> {
    (nanoseconds != LINKSPAN_FOREVER).then(|| Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
}

fn handles_live() -> u64 {
    OPTIONS.live()
        + ENGINES.live()
        + QUEUES.live()
        + CREDENTIALS.live()
        + CHANNELS.live()
        + CALLS.live()
        + BUFFERS.live()
        + REQUESTS.live()
}

/// A new engine. `abi` is LINKSPAN_ABI as the caller compiled it; `options` may be 0. The engine's thread starts with the first
/// connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_new(
    abi: u32,
    options: linkspan_options,
    out: *mut linkspan_engine,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        if !abi_fits(abi) {
            return Err(Refusal::new(
                LINKSPAN_EABI,
                "the program was compiled with the header of another version; pass LINKSPAN_ABI",
            ));
        }
        let out = host!(out(out))?;
        let settings = Settings::read(options, OptionScope::Engine)?;
        if settings.driver == Some(Driver::Host) {
            let text = "option \"linkspan.driver\" is \"host\", which this version does not have; use \"thread\"";
            return Err(Refusal::new(LINKSPAN_EUNSUPPORTED, text));
        }
        let options = settings.hooks.as_ref().map_or_else(EngineOptions::default, Hooks::engine_options);
        let itself = Arc::new(OnceLock::new());
        let core = CoreEngine::new(telling_queues(options, &itself))?;
        let engine =
            Engine { core, is_shutting_down: AtomicBool::new(false), _listening: settings.hooks.map(Listening::start) };
        let engine = Arc::new(engine);
        drop(itself.set(Arc::downgrade(&engine)));
        out.write(ENGINES.insert(engine)?);
        Ok(())
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_engine_new", error, body) }
}

/// Ends an engine: no new calls; running ones get the grace, then end CANCELLED. Returns at once. FOREVER waits for all calls.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_engine_shutdown(engine: linkspan_engine, grace_ns: i64) -> linkspan_result {
    guard::run("linkspan_engine_shutdown", || {
        ENGINES.get(engine)?.shutdown(duration(grace_ns));
        Ok(())
    })
}

/// Blocks until shutdown is complete and the thread is gone; ETIMEDOUT if that takes longer.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_engine_join(engine: linkspan_engine, timeout_ns: i64) -> linkspan_result {
    guard::run("linkspan_engine_join", || {
        guard::refuse_inside_callback()?;
        let engine = ENGINES.get(engine)?;
        if engine.core.join(duration(timeout_ns)) { Ok(()) } else { Err(Refusal::quiet(LINKSPAN_ETIMEDOUT)) }
    })
}

/// A snapshot of an engine's counters. Those of calls and connections are sums over the channels that exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_metrics(
    engine: linkspan_engine,
    out: *mut linkspan_metrics,
) -> linkspan_result {
    guard::run("linkspan_engine_metrics", || {
        let out = host!(versioned_out(out))?;
        let engine = ENGINES.get(engine)?;
        let metrics = engine.core.metrics();
        out.write_versioned(linkspan_metrics {
            struct_size: 0,
            reserved: 0,
            calls_started: metrics.calls_started,
            calls_ok: metrics.calls_ok,
            calls_failed: metrics.calls_failed,
            calls_active: metrics.calls_active,
            retries: metrics.retries,
            bytes_sent: metrics.bytes_sent,
            bytes_received: metrics.bytes_received,
            connects: metrics.connects,
            connects_failed: metrics.connects_failed,
            goaways: metrics.goaways,
            keepalives_failed: metrics.keepalives_failed,
            handles_live: handles_live(),
            events_queued: queues_of(&engine).map(|queue| queue.core.len() as u64).sum(),
            buffers_held: BUFFERS.live(),
            process_calls: 0,
            process_ns: 0,
        });
        Ok(())
    })
}
