//! Calls under way: their handles, and how their events find the way out.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use linkspan_core::{CallHandle, Code, Error, ErrorKind, Event, Reply, SendError};

use crate::buffer;
use crate::channel::Channel;
use crate::error::{LINKSPAN_EAGAIN, LINKSPAN_ECLOSED, LINKSPAN_EINVAL, LINKSPAN_ESTATE, Refusal, linkspan_result};
use crate::event::{linkspan_code, linkspan_event};
use crate::foreign::{check_pointer, host};
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::message::{self, HostData, linkspan_message};
use crate::queue::Queue;
use crate::request::{Delivery, LINKSPAN_CALL_CORK, LINKSPAN_CALL_LAST, LINKSPAN_CALL_UNCOMPRESSED, Request};

/// A call under way. Closes itself when its final event is queued or delivered.
pub type linkspan_call = linkspan_handle;

/// Calls whose final event has not been delivered.
pub(crate) static CALLS: Table<Arc<Call>> = Table::new(Kind::Call);

/// What is known about a call here; the rest is core's.
pub(crate) struct Call {
    tag: u64,
    channel: Arc<Channel>,
    /// The queue its events go to; none with a callback.
    queue: Option<Arc<Queue>>,
    is_stream: bool,
    /// The host closed the handle; the final event is still to come.
    is_closed: AtomicBool,
    /// Set once, right after core started the call, or to none if core refused. An event may be ahead of it, on the engine's
    /// thread.
    core: OnceLock<Option<CallHandle>>,
}

const CLOSED: Refusal = Refusal::new(LINKSPAN_ECLOSED, "the call has ended or was closed");
const QUEUE_CLOSED: &str = "the queue of the call was closed";

impl Call {
    /// A call about to start. Its queue expects a final event from here on, until [`forget`] or [`complete`].
    fn begin(channel: &Arc<Channel>, delivery: &Delivery, tag: u64, is_stream: bool) -> Result<Arc<Self>, Refusal> {
        let queue = match delivery {
            Delivery::Queue(queue) => Some(Arc::clone(queue)),
            Delivery::Callback(..) => None,
        };
        if let Some(queue) = &queue {
            queue.begin()?;
        }
        let (channel, is_closed) = (Arc::clone(channel), AtomicBool::new(false));
        Ok(Arc::new(Self { tag, channel, queue, is_stream, is_closed, core: OnceLock::new() }))
    }

    pub(crate) fn is_bound_to(&self, queue: &Arc<Queue>) -> bool {
        self.queue.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, queue))
    }

    /// Cancels a call whose end nobody will see. One that is being started right now is cancelled by its starter.
    pub(crate) fn cancel_unseen(&self) {
        if let Some(Some(core)) = self.core.get() {
            core.cancel(Code::Cancelled, QUEUE_CLOSED);
        }
    }

    fn lost_its_queue(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_closed())
    }

    fn ended(&self) {
        if let Some(queue) = &self.queue {
            queue.end();
        }
    }

    /// Core's side of a call that still runs.
    fn running(&self) -> Result<&CallHandle, Refusal> {
        if self.is_closed.load(SeqCst) || self.channel.is_closed() {
            return Err(CLOSED);
        }
        self.core.wait().as_ref().filter(|core| !core.is_ended()).ok_or(CLOSED)
    }

    fn running_stream(&self) -> Result<&CallHandle, Refusal> {
        if !self.is_stream {
            return Err(Refusal::new(LINKSPAN_ESTATE, "a unary call has nothing to send or read after its start"));
        }
        self.running()
    }
}

/// Starts a call. OK means that exactly one final event follows, a refusal that none does.
pub(crate) fn start(channel: &Arc<Channel>, request: Request, is_stream: bool) -> Result<linkspan_call, Refusal> {
    let Request { call: asked, delivery, tag, buffer } = request;
    let delivery = delivery.ok_or(Refusal::new(LINKSPAN_EINVAL, "a call needs a queue or a callback"))?;
    channel.refuse_when_closed()?;
    let call = Call::begin(channel, &delivery, tag, is_stream)?;
    let handle = CALLS.insert(Arc::clone(&call)).inspect_err(|_| call.ended())?;
    let reply = match delivery {
        Delivery::Queue(queue) => Reply::queue(&queue.core, handle),
        Delivery::Callback(callback, user_data) => reply_to_callback(callback, user_data, handle),
    };
    let started =
        if is_stream { channel.core.start_stream(asked, reply) } else { channel.core.start_unary(asked, reply) };
    drop(call.core.set(started.as_ref().ok().cloned()));
    if started.is_err() || call.lost_its_queue() {
        call.cancel_unseen();
        forget(handle);
    }
    started.map_err(refusal_of_start)?;
    buffer::give_back(buffer);
    Ok(handle)
}

/// At a start core calls a malformed method a question of state; here it is a bad argument.
pub(crate) fn refusal_of_start(error: Error) -> Refusal {
    let is_malformed = error.kind() == ErrorKind::State;
    let refusal = Refusal::from(error);
    if is_malformed { Refusal { result: LINKSPAN_EINVAL, ..refusal } } else { refusal }
}

fn reply_to_callback(
    callback: unsafe extern "C" fn(*mut c_void, *const linkspan_event),
    user_data: *mut c_void,
    handle: linkspan_call,
) -> Reply {
    let data = HostData::kept_by_host(user_data);
    Reply::callback(move |event| {
        let Some(event) = complete(handle, event) else { return };
        // SAFETY: the host gave this function for this pointer; the event lives until after the call.
        guard::call_host(|| unsafe { callback(data.pointer(), &raw const event) });
        buffer::give_back(event.owner);
    })
}

/// An event of core's in the host's shape; none if the queue it was for was closed. A final one closes the handle.
pub(crate) fn complete(handle: linkspan_call, event: Event) -> Option<linkspan_event> {
    let call = if matches!(event, Event::Unary(_) | Event::Status(_)) {
        let call = CALLS.remove(handle)?;
        call.ended();
        call
    } else {
        CALLS.get(handle).ok()?
    };
    Some(linkspan_event::from_core(event, call.tag, handle))
}

/// Closes the handle of a call that will deliver no final event.
pub(crate) fn forget(handle: linkspan_call) {
    if let Some(call) = CALLS.remove(handle) {
        call.ended();
    }
}

/// What `linkspan_handle_close` does to a call: it is cancelled, and its final event still comes.
pub(crate) fn close(handle: linkspan_call) -> Result<(), Refusal> {
    let call = CALLS.get(handle)?;
    let core = call.running()?;
    if call.is_closed.swap(true, SeqCst) {
        return Err(CLOSED);
    }
    core.cancel(Code::Cancelled, "the handle of the call was closed");
    Ok(())
}

/// Sends a message of a stream. Flags: LINKSPAN_CALL_LAST half-closes with it, LINKSPAN_CALL_UNCOMPRESSED has it go as it is,
/// LINKSPAN_CALL_CORK is a hint. NULL with LAST half-closes alone. EAGAIN: too much is waiting, nothing was taken (a lent message has
/// been released), and one WRITABLE event follows when it is worth trying again. ESTATE after the last message or on a unary call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_call_send(
    call: linkspan_call,
    message: *const linkspan_message,
    flags: u32,
) -> linkspan_result {
    guard::run("linkspan_call_send", || {
        let taken = if message.is_null() {
            None
        } else {
            check_pointer(message)?;
            // SAFETY: not NULL and aligned; the host vouches for the rest.
            let message = unsafe { message.read() };
            // SAFETY: the host vouches for its message.
            Some(unsafe { message::take(&message) }?)
        };
        if flags & !(LINKSPAN_CALL_LAST | LINKSPAN_CALL_CORK | LINKSPAN_CALL_UNCOMPRESSED) != 0 {
            let words = "linkspan_call_send takes the flags LAST, UNCOMPRESSED and CORK only";
            return Err(Refusal::new(LINKSPAN_EINVAL, words));
        }
        let is_last = flags & LINKSPAN_CALL_LAST != 0;
        let call = CALLS.get(call)?;
        let core = call.running_stream()?;
        let (sent, buffer) = match taken {
            Some(taken) => {
                let message = taken.message.unwrap_or_default();
                let is_uncompressed = flags & LINKSPAN_CALL_UNCOMPRESSED != 0;
                let sent = if is_uncompressed {
                    core.send_uncompressed(message, is_last)
                } else {
                    core.send(message, is_last)
                };
                (sent, taken.buffer)
            }
            None if is_last => (core.half_close(), 0),
            None => {
                return Err(Refusal::new(LINKSPAN_EINVAL, "nothing to send: no message, and not LAST"));
            }
        };
        sent.map_err(refusal_of_send)?;
        buffer::give_back(buffer);
        Ok(())
    })
}

fn refusal_of_send(error: SendError) -> Refusal {
    match error {
        SendError::Full(_) => Refusal::quiet(LINKSPAN_EAGAIN),
        SendError::HalfClosed => Refusal::new(LINKSPAN_ESTATE, "the last message of the stream was sent already"),
        SendError::Ended => CLOSED,
    }
}

/// Allows a stream that many more MESSAGE events.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_call_read(call: linkspan_call, credit: u32) -> linkspan_result {
    guard::run("linkspan_call_read", || {
        CALLS.get(call)?.running_stream()?.read(credit);
        Ok(())
    })
}

/// Cancels a call: it ends with this code (1 to 16) and text unless it has ended already. The final event still comes. From any
/// thread, at any time; ECLOSED after the end is harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_call_cancel(
    call: linkspan_call,
    code: linkspan_code,
    text: *const c_char,
    len: usize,
) -> linkspan_result {
    guard::run("linkspan_call_cancel", || {
        if !(1..=16).contains(&code) {
            return Err(Refusal::new(LINKSPAN_EINVAL, "a call is cancelled with a status code from 1 to 16"));
        }
        let text = host!(text(text, len))?;
        let call = CALLS.get(call)?;
        call.running()?.cancel(Code::from_number(i64::from(code)), text);
        Ok(())
    })
}
