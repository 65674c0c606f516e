//! Snapshots of an engine or a channel as JSON, for people and tools.

use crate::buffer::{self, linkspan_buffer};
use crate::channel::CHANNELS;
use crate::engine::ENGINES;
use crate::error::{LINKSPAN_EHANDLE, LINKSPAN_EINVAL, Refusal, linkspan_result};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, linkspan_handle};

/// What an engine or a channel looks like now as JSON text, UTF-8, without secrets; look at it with `linkspan_buffer_view` and close it.
/// `flags` must be 0. An engine's has its channels that are in use in `channels`. A channel's has its addresses in `subchannels`, each with
/// state, last error, time of the next attempt and connections, and its newest state changes with their causes in `data.trace.events`.
/// Times are in nanoseconds. A limit that is `null` is not set, and all else that is `null` is not known.
/// Waits for the engine's thread, some microseconds and a second at most. Where that cannot be asked, as in a callback or after the channel was
/// closed, `isPartial` is true and what only the thread knows is missing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handle_json(
    handle: linkspan_handle,
    flags: u32,
    out: *mut linkspan_buffer,
) -> linkspan_result {
    guard::run("linkspan_handle_json", || {
        let out = host!(out(out))?;
        if flags != 0 {
            return Err(Refusal::new(LINKSPAN_EINVAL, "linkspan_handle_json takes no flags in this version"));
        }
        let json = match Kind::of(handle) {
            Some(Kind::Channel) => CHANNELS.get(handle)?.core.snapshot().to_json(),
            Some(Kind::Engine) => ENGINES.get(handle)?.core.snapshot().to_json(),
            _ => return Err(Refusal::new(LINKSPAN_EHANDLE, "not a handle of an engine or a channel")),
        };
        out.write(buffer::keep(json.into(), None)?);
        Ok(())
    })
}
