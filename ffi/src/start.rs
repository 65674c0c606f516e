//! The functions that start calls: one, many, one that blocks, and streams.

use std::sync::mpsc;

use linkspan_core::{CallEnd, Code, Event, Reply, Sent, Status, UnaryEnd};

use crate::buffer;
use crate::call::{linkspan_call, refusal_of_start, start};
use crate::channel::{CHANNELS, linkspan_channel};
use crate::error::{LINKSPAN_EABI, LINKSPAN_EINVAL, Refusal, linkspan_result};
use crate::event::{linkspan_event, write_event};
use crate::foreign::{check_pointer, check_stride, host};
use crate::guard;
use crate::request::{self, linkspan_call_options};

/// Starts a unary call; its one event, UNARY, goes to the queue or the callback. `out` may be NULL; its only use is cancelling.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_channel_unary(
    channel: linkspan_channel,
    options: *const linkspan_call_options,
    out: *mut linkspan_call,
) -> linkspan_result {
    guard::run("linkspan_channel_unary", || {
        // SAFETY: the host vouches for its options.
        let request = unsafe { request::read(options) }?;
        let out = host!(optional_out(out))?;
        let call = start(&CHANNELS.get(channel)?, request, false)?;
        if let Some(out) = out {
            out.write(call);
        }
        Ok(())
    })
}

/// Starts `count` unary calls; `options[0].struct_size` is the stride and every element names the same size. Stops at the first
/// one that is refused and returns its result. `*out_started` is written in any case: so many calls have started, and so many
/// handles were written to `out`, which may be NULL. Messages behind the refused one were not touched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_channel_unary_many(
    channel: linkspan_channel,
    options: *const linkspan_call_options,
    count: usize,
    out: *mut linkspan_call,
    out_started: *mut usize,
) -> linkspan_result {
    guard::run("linkspan_channel_unary_many", || {
        let out_started = host!(out(out_started))?;
        out_started.write(0);
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the host vouches for its options.
        let stride = unsafe { request::stride(options) }?;
        let channel = CHANNELS.get(channel);
        // The engine is woken once for all of them.
        let _batch = channel.as_ref().ok().map(|channel| channel.core.batch());
        for index in 0..count {
            // SAFETY: the host's array has `count` elements of `stride` bytes.
            let options = unsafe { options.byte_add(index * stride) };
            // SAFETY: the host vouches for its options.
            if unsafe { request::stride(options) }? != stride {
                return Err(Refusal::new(
                    LINKSPAN_EABI,
                    "the call options of one array must name the same struct_size",
                ));
            }
            // SAFETY: as above.
            let request = unsafe { request::read(options) }?;
            let call = match &channel {
                Ok(channel) => start(channel, request, false)?,
                Err(_) => return channel.map(|_| ()),
            };
            if !out.is_null() {
                // SAFETY: the host's array has room for `count` handles.
                let place = unsafe { out.add(index) };
                host!(out(place))?.write(call);
            }
            out_started.write(index + 1);
        }
        Ok(())
    })
}

/// Makes a unary call and blocks until it has ended; its event is written to `out`, which has `out_size` bytes. Release it
/// afterwards. Set neither a queue nor a callback. Not from inside a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_channel_unary_wait(
    channel: linkspan_channel,
    options: *const linkspan_call_options,
    out: *mut linkspan_event,
    out_size: usize,
) -> linkspan_result {
    guard::run("linkspan_channel_unary_wait", || {
        // SAFETY: the host vouches for its options.
        let request = unsafe { request::read(options) }?;
        guard::refuse_inside_callback()?;
        check_pointer(out)?;
        check_stride::<linkspan_event>(out_size)?;
        if request.delivery.is_some() {
            return Err(Refusal::new(
                LINKSPAN_EINVAL,
                "a blocking call returns its event; set neither a queue nor a callback",
            ));
        }
        let channel = CHANNELS.get(channel)?;
        channel.refuse_when_closed()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        // There is one event and room for one, so nothing is ever turned away.
        let reply = Reply::callback(move |event| drop(sender.try_send(event)));
        let _call = channel.core.start_unary(request.call, reply).map_err(refusal_of_start)?;
        buffer::give_back(request.buffer);
        let event = receiver.recv().unwrap_or_else(|_| lost());
        // SAFETY: checked above; the host vouches that `out` has `out_size` bytes.
        unsafe { write_event(out, out_size, linkspan_event::from_core(event, request.tag, 0)) };
        Ok(())
    })
}

/// How a call ends when its completion was dropped, so that its caller does not wait for ever.
fn lost() -> Event {
    let status = Status::new(Code::Internal, "bug in linkspan: the end of the call was lost");
    let end = CallEnd::local(status, Sent::Processed);
    Event::Unary(Box::new(UnaryEnd { end, initial: None, message: None }))
}

/// Starts a stream: HEADERS, MESSAGE and WRITABLE events, then one STATUS. The first message is optional. A server's messages
/// come as `read_credit` and `linkspan_call_read` allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_channel_stream(
    channel: linkspan_channel,
    options: *const linkspan_call_options,
    out: *mut linkspan_call,
) -> linkspan_result {
    guard::run("linkspan_channel_stream", || {
        // SAFETY: the host vouches for its options.
        let request = unsafe { request::read(options) }?;
        let out = host!(out(out))?;
        out.write(start(&CHANNELS.get(channel)?, request, true)?);
        Ok(())
    })
}
