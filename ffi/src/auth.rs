//! Call credentials the host supplies: each attempt of a call becomes an AUTH event with a request handle, which is answered once.
//!
//! On its way through a queue such an event is known by its tag, the request's handle; what core carries beside it only tells AUTH from GONE.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use linkspan_core::{AuthContext, CallCredentials, Code, Completion, Event, Metadata, MetadataPlugin, MetadataReply};

use crate::buffer;
use crate::credentials::{CREDENTIALS, Held, linkspan_credentials};
use crate::engine::{ENGINES, linkspan_engine};
use crate::error::{LINKSPAN_ECLOSED, LINKSPAN_EINVAL, LINKSPAN_ELIMIT, Refusal, linkspan_error, linkspan_result};
use crate::event::{LINKSPAN_EVENT_AUTH, LINKSPAN_EVENT_GONE, linkspan_code, linkspan_event, linkspan_metadata_entry};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::message::HostData;
use crate::provider::{linkspan_provider, linkspan_request};
use crate::queue::{QUEUES, Queue};
use crate::request::{Delivery, read_metadata};

/// Requests that have not been answered, and those the host has not been told the end of.
pub(crate) static REQUESTS: Table<Arc<AuthRequest>> = Table::new(Kind::Request);

/// One question of one attempt.
pub(crate) struct AuthRequest {
    provider: Arc<Provider>,
    context: AuthContext,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Taken by the answer, or when nobody waits any more.
    reply: Option<MetadataReply>,
    was_told: bool,
}

const ANSWERED: Refusal = Refusal::new(LINKSPAN_ECLOSED, "the request was answered, or nobody waits for it any more");

impl AuthRequest {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_bound_to(&self, queue: &Arc<Queue>) -> bool {
        matches!(&self.provider.delivery, Delivery::Queue(ours) if Arc::ptr_eq(ours, queue))
    }

    fn fail(&self, code: Code, text: &str) {
        let reply = self.state().reply.take();
        if let Some(reply) = reply {
            reply.fail(code, text);
        }
    }
}

/// A host's service.
struct Provider {
    delivery: Delivery,
    tag: u64,
    /// Gives the host's pointer back when the last credentials of it are gone; set once nothing can be refused any more.
    _data: Arc<OnceLock<HostData>>,
}

// SAFETY: a callback and its pointer are only ever used together, and the host was told that this happens on the engine's thread.
unsafe impl Send for Provider {}
// SAFETY: as above; nothing here is written after creation.
unsafe impl Sync for Provider {}

/// What core asks.
struct Plugin(Arc<Provider>);

impl MetadataPlugin for Plugin {
    fn metadata(&self, context: &AuthContext, reply: MetadataReply) {
        let request = AuthRequest { provider: Arc::clone(&self.0), context: context.clone(), state: Mutex::default() };
        let request = Arc::new(request);
        let handle = match REQUESTS.insert(Arc::clone(&request)) {
            Ok(handle) => handle,
            Err(refusal) => {
                reply.fail(Code::ResourceExhausted, refusal.text);
                return;
            }
        };
        reply.on_unwanted(move || on_unwanted(handle));
        request.state().reply = Some(reply);
        match &self.0.delivery {
            Delivery::Queue(queue) => {
                let event = Event::Message(Bytes::copy_from_slice(context.method().as_bytes()));
                if let Err(refusal) = queue.post(Completion { tag: handle, event }) {
                    REQUESTS.remove(handle);
                    let is_full = refusal.result == LINKSPAN_ELIMIT;
                    request.fail(if is_full { Code::ResourceExhausted } else { Code::Unavailable }, &refusal.text);
                }
            }
            Delivery::Callback(..) => {
                if let Some(event) = request.tell(handle) {
                    self.0.call_back(event);
                }
            }
        }
    }
}

impl Provider {
    fn call_back(&self, event: linkspan_event) {
        if let Delivery::Callback(callback, user_data) = self.delivery {
            // SAFETY: the host gave this function for this pointer; the event lives until after the call.
            guard::call_host(|| unsafe { callback(user_data, &raw const event) });
            buffer::give_back(event.owner);
        }
    }
}

impl AuthRequest {
    /// The question in the host's shape; none when nobody waits for an answer any more. It is told of from here on, so the end of its call is
    /// told of too. One look at the state: the call may end on another thread.
    fn tell(&self, handle: linkspan_request) -> Option<linkspan_event> {
        let mut state = self.state();
        state.was_told = state.reply.is_some();
        let is_told = state.was_told;
        drop(state);
        is_told.then(|| linkspan_event::auth(LINKSPAN_EVENT_AUTH, self.provider.tag, handle, self.context.clone()))
    }
}

/// The call has ended without an answer. The host is told if it knows of the request.
fn on_unwanted(handle: linkspan_request) {
    let Ok(request) = REQUESTS.get(handle) else { return };
    let mut state = request.state();
    let (reply, was_told) = (state.reply.take(), state.was_told);
    drop(state);
    drop(reply);
    match &request.provider.delivery {
        // One that still waits in the queue is known to be gone when it is taken out.
        Delivery::Queue(queue) if was_told => {
            if queue.post(Completion { tag: handle, event: Event::Writable }).is_err() {
                // The host finds out when it answers.
                REQUESTS.remove(handle);
            }
        }
        Delivery::Queue(_) => {}
        Delivery::Callback(..) => {
            REQUESTS.remove(handle);
            if was_told {
                request.provider.call_back(linkspan_event::new(LINKSPAN_EVENT_GONE, request.provider.tag, handle));
            }
        }
    }
}

/// What came out of a queue for a request, in the host's shape; none when it concerns nobody any more.
pub(crate) fn complete(handle: linkspan_handle, event: &Event) -> Option<linkspan_event> {
    let request = REQUESTS.get(handle).ok()?;
    if let Event::Message(_) = event {
        let question = request.tell(handle);
        if question.is_none() {
            REQUESTS.remove(handle);
        }
        return question;
    }
    REQUESTS.remove(handle);
    Some(linkspan_event::new(LINKSPAN_EVENT_GONE, request.provider.tag, handle))
}

/// The queue is closed: nobody will answer what was asked through it.
pub(crate) fn let_go(queue: &Arc<Queue>) {
    for (handle, request) in REQUESTS.collect(|request| request.is_bound_to(queue)) {
        REQUESTS.remove(handle);
        request.fail(Code::Unavailable, "the queue of the call credentials was closed");
    }
}

/// What `linkspan_handle_close` does to a request: its call fails.
pub(crate) fn close(handle: linkspan_request) -> Result<(), Refusal> {
    if let Some(request) = REQUESTS.release(handle)? {
        request.fail(Code::Unauthenticated, "the request of the call credentials was closed without an answer");
    }
    Ok(())
}

/// Credentials of calls that the host supplies: every attempt of a call is an AUTH event on the provider's queue or to its callback, answered once
/// with `linkspan_auth_reply`. GONE follows if its call ends first. Use them for all calls of a channel, see
/// `linkspan_credentials_combine`, or for one call. The provider's `release` runs after the last use, and only if this returns OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_credentials_call(
    engine: linkspan_engine,
    provider: *const linkspan_provider,
    out: *mut linkspan_credentials,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        let engine = ENGINES.get(engine)?;
        let out = host!(out(out))?;
        let read = host!(versioned(provider))?;
        read.extra?;
        let provider = read.value;
        if provider.flags != 0 {
            return Err(Refusal::new(LINKSPAN_EINVAL, "flags of a provider must be 0"));
        }
        let delivery = match provider.callback {
            Some(callback) => Delivery::Callback(callback, provider.user_data),
            None if provider.queue == 0 => {
                return Err(Refusal::new(LINKSPAN_EINVAL, "a provider needs a queue or a callback"));
            }
            None => Delivery::Queue(QUEUES.get(provider.queue)?),
        };
        if matches!(&delivery, Delivery::Queue(queue) if !Arc::ptr_eq(&queue.engine, &engine)) {
            return Err(Refusal::new(LINKSPAN_EINVAL, "the provider's queue belongs to another engine"));
        }
        engine.refuse_after_shutdown()?;
        if let Delivery::Queue(queue) = &delivery {
            queue.add_provider();
        }
        let data = Arc::new(OnceLock::new());
        let kept = Provider { delivery, tag: provider.tag, _data: Arc::clone(&data) };
        let credentials = CallCredentials::plugin(Plugin(Arc::new(kept)));
        let handle = CREDENTIALS.insert(Held::OfCalls(credentials))?;
        drop(data.set(HostData::new(provider.user_data, provider.release)));
        out.write(handle);
        Ok(())
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_credentials_call", error, body) }
}

/// These channel credentials, and those of calls for every call. Both may be closed afterwards. ECONFIG for insecure ones, which would show them
/// to everybody. Two credentials of calls combine to credentials of calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_credentials_combine(
    channel: linkspan_credentials,
    call: linkspan_credentials,
    out: *mut linkspan_credentials,
) -> linkspan_result {
    guard::run("linkspan_credentials_combine", || {
        let channel = CREDENTIALS.get(channel)?;
        let of_calls = CREDENTIALS.get(call)?.of_calls()?;
        let out = host!(out(out))?;
        let combined = match channel {
            Held::OfChannel(channel) => Held::OfChannel(channel.with_call_credentials(of_calls)?),
            Held::OfCalls(first) => Held::OfCalls(CallCredentials::combined([first, of_calls])),
        };
        out.write(CREDENTIALS.insert(combined)?);
        Ok(())
    })
}

/// Answers an AUTH request, from any thread. Code 0: the call is sent with this metadata too. Else the attempt fails with code and text; codes that only
/// servers may use become INTERNAL. EINVAL: the metadata or the code cannot be used, and the request stays open. ECLOSED: it was answered, or its
/// call has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_auth_reply(
    request: linkspan_request,
    code: linkspan_code,
    text: *const c_char,
    len: usize,
    metadata: *const linkspan_metadata_entry,
    count: usize,
) -> linkspan_result {
    guard::run("linkspan_auth_reply", || {
        let found = REQUESTS.get(request)?;
        if !(0..=16).contains(&code) {
            return Err(Refusal::told(LINKSPAN_EINVAL, format!("{code} is no status code; use 0 to 16")));
        }
        let text = host!(text(text, len))?;
        let entries = host!(array(metadata, count))?;
        let given = if code == 0 {
            // SAFETY: the host vouches for the entries' slices.
            unsafe { read_metadata(entries) }?
        } else {
            Metadata::new()
        };
        let reply = found.state().reply.take().ok_or(ANSWERED)?;
        REQUESTS.remove(request);
        let is_in_time = match code {
            0 => reply.give(given),
            _ => reply.fail(Code::from_number(i64::from(code)), text),
        };
        if is_in_time { Ok(()) } else { Err(ANSWERED) }
    })
}

#[cfg(test)]
mod tests;
