//! Channels: made, watched, nudged, shut down.

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use linkspan_core::{Channel as CoreChannel, OptionScope};

use crate::credentials::{CREDENTIALS, linkspan_credentials};
use crate::engine::{ENGINES, Engine, duration, linkspan_engine};
use crate::error::{
    LINKSPAN_ECLOSED, LINKSPAN_EINVAL, LINKSPAN_EUNSUPPORTED, Refusal, linkspan_error, linkspan_result,
};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::options::{Settings, linkspan_options};

/// A connection to a target, kept up by the engine.
pub type linkspan_channel = linkspan_handle;

/// A connectivity state.
pub type linkspan_state = i32;

/// No connection and no work on one; a call or TRY_CONNECT leaves it.
pub const LINKSPAN_STATE_IDLE: linkspan_state = 0;
/// Resolving or connecting.
pub const LINKSPAN_STATE_CONNECTING: linkspan_state = 1;
/// There is a usable connection.
pub const LINKSPAN_STATE_READY: linkspan_state = 2;
/// The last efforts failed; the next follow after a backoff.
pub const LINKSPAN_STATE_TRANSIENT_FAILURE: linkspan_state = 3;
/// Shut down for good.
pub const LINKSPAN_STATE_SHUTDOWN: linkspan_state = 4;

/// For `linkspan_channel_state`: start connecting if the channel is idle.
pub const LINKSPAN_CHANNEL_TRY_CONNECT: u32 = 1;

/// For `linkspan_channel_nudge`: try to connect now, backoff or not.
pub const LINKSPAN_NUDGE_RESET_BACKOFF: u32 = 1;
/// The network changed. Not in this version.
pub const LINKSPAN_NUDGE_NETWORK_CHANGED: u32 = 2;
/// Give up connections that carry no call. Not in this version.
pub const LINKSPAN_NUDGE_GO_IDLE: u32 = 4;

pub(crate) static CHANNELS: Table<Arc<Channel>> = Table::new(Kind::Channel);

/// One channel. Its calls keep it alive, its handle does not have to.
pub(crate) struct Channel {
    pub(crate) core: CoreChannel,
    pub(crate) engine: Arc<Engine>,
    /// The handle was closed, or the engine's was: every call handle of the channel is closed with it.
    is_closed: AtomicBool,
}

impl Channel {
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// What every function that starts something on the channel asks first.
    pub(crate) fn refuse_when_closed(&self) -> Result<(), Refusal> {
        self.engine.refuse_after_shutdown()?;
        if self.is_closed() {
            return Err(Refusal::new(LINKSPAN_ECLOSED, "the channel was closed"));
        }
        Ok(())
    }

    /// What `linkspan_handle_close` does to a channel.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, SeqCst);
        self.core.close(Some(Duration::ZERO));
    }
}

/// A new channel. Nothing is connected before the first call or TRY_CONNECT. `options` may be 0; options and credentials may be
/// closed afterwards. ECONFIG: the target, an option or the credentials cannot be used; the text says what to do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_channel_new(
    engine: linkspan_engine,
    target: *const c_char,
    len: usize,
    credentials: linkspan_credentials,
    options: linkspan_options,
    out: *mut linkspan_channel,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        let out = host!(out(out))?;
        let target = host!(required_text(target, len))?;
        let engine = ENGINES.get(engine)?;
        engine.refuse_after_shutdown()?;
        let credentials = CREDENTIALS.get(credentials)?.of_channel()?;
        let options = Settings::read(options, OptionScope::Channel)?.channel_options();
        let core = CoreChannel::on(&engine.core, target, &credentials, &options)?;
        out.write(CHANNELS.insert(Arc::new(Channel { core, engine, is_closed: AtomicBool::new(false) }))?);
        Ok(())
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_channel_new", error, body) }
}

/// The state now. With TRY_CONNECT an idle channel starts to connect; the state written is the one before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_channel_state(
    channel: linkspan_channel,
    flags: u32,
    out: *mut linkspan_state,
) -> linkspan_result {
    guard::run("linkspan_channel_state", || {
        let out = host!(out(out))?;
        if flags & !LINKSPAN_CHANNEL_TRY_CONNECT != 0 {
            return Err(Refusal::new(LINKSPAN_EINVAL, "linkspan_channel_state takes the flag TRY_CONNECT only"));
        }
        let state = CHANNELS.get(channel)?.core.state(flags & LINKSPAN_CHANNEL_TRY_CONNECT != 0);
        out.write(i32::from(state.number()));
        Ok(())
    })
}

/// Flag 1 ends a running backoff, so that the next attempt to connect starts now.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_channel_nudge(channel: linkspan_channel, flags: u32) -> linkspan_result {
    guard::run("linkspan_channel_nudge", || {
        let later = LINKSPAN_NUDGE_NETWORK_CHANGED | LINKSPAN_NUDGE_GO_IDLE;
        if flags == 0 || flags & !(LINKSPAN_NUDGE_RESET_BACKOFF | later) != 0 {
            return Err(Refusal::new(
                LINKSPAN_EINVAL,
                "linkspan_channel_nudge takes at least one LINKSPAN_NUDGE flag, and no other",
            ));
        }
        let channel = CHANNELS.get(channel)?;
        if flags & later != 0 {
            return Err(Refusal::new(LINKSPAN_EUNSUPPORTED, "only LINKSPAN_NUDGE_RESET_BACKOFF is in this version"));
        }
        channel.core.reset_connect_backoff();
        Ok(())
    })
}

/// Ends a channel: no new calls, running ones get the grace, then end CANCELLED. Returns at once; the handle stays open until
/// `linkspan_handle_close`.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_channel_shutdown(channel: linkspan_channel, grace_ns: i64) -> linkspan_result {
    guard::run("linkspan_channel_shutdown", || {
        CHANNELS.get(channel)?.core.close(duration(grace_ns));
        Ok(())
    })
}
