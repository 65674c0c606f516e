//! What every test needs: objects that close themselves, and waiting that gives up instead of hanging.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::ffi::{CStr, c_char};
use std::ptr;

use linkspan::buffer::*;
use linkspan::call::*;
use linkspan::channel::*;
use linkspan::credentials::*;
use linkspan::engine::*;
use linkspan::error::*;
use linkspan::event::*;
use linkspan::handle::*;
use linkspan::message::*;
use linkspan::options::*;
use linkspan::queue::*;
use linkspan::request::*;
use linkspan::start::*;
use linkspan::{LINKSPAN_ABI, LINKSPAN_FOREVER, linkspan_handle_close};

pub(crate) mod server;

/// Longer than anything here takes, shorter than a person's patience.
pub(crate) const GUARD_NS: i64 = 30_000_000_000;
pub(crate) const NUL: usize = usize::MAX;
pub(crate) const EVENT: usize = size_of::<linkspan_event>();

/// An engine, a queue and a channel.
pub(crate) struct Client {
    pub(crate) engine: linkspan_engine,
    pub(crate) queue: linkspan_queue,
    pub(crate) channel: linkspan_channel,
}

impl Client {
    pub(crate) fn new(target: &str) -> Self {
        let mut engine = 0;
        // SAFETY: a live local.
        ok(unsafe { linkspan_engine_new(LINKSPAN_ABI, 0, &raw mut engine, ptr::null_mut()) });
        Self::on(engine, target)
    }

    /// On an engine that is finished with the client.
    pub(crate) fn on(engine: linkspan_engine, target: &str) -> Self {
        Self::with(engine, target, 0)
    }

    /// The same, with options for the channel.
    pub(crate) fn with(engine: linkspan_engine, target: &str, options: linkspan_options) -> Self {
        let (mut queue, mut channel, mut credentials) = (0, 0, 0);
        // SAFETY: live locals.
        ok(unsafe { linkspan_queue_new(engine, 0, &raw mut queue, ptr::null_mut()) });
        // SAFETY: a live local.
        ok(unsafe { linkspan_credentials_insecure(&raw mut credentials) });
        let (target, len) = (target.as_ptr().cast(), target.len());
        let (out, error) = (&raw mut channel, ptr::null_mut());
        // SAFETY: live locals and the caller's text.
        ok(unsafe { linkspan_channel_new(engine, target, len, credentials, options, out, error) });
        close(credentials);
        Self { engine, queue, channel }
    }

    /// Call options for a call whose events go to the queue.
    pub(crate) fn to_queue(&self, method: &'static CStr, tag: u64) -> linkspan_call_options {
        linkspan_call_options { queue: self.queue, tag, ..call(method) }
    }

    pub(crate) fn unary(&self, options: &linkspan_call_options) -> Result<linkspan_call, linkspan_result> {
        let mut out = 0;
        // SAFETY: live locals; the options come from `call`.
        match unsafe { linkspan_channel_unary(self.channel, options, &raw mut out) } {
            LINKSPAN_OK => Ok(out),
            refused => Err(refused),
        }
    }

    pub(crate) fn stream(&self, options: &linkspan_call_options) -> Result<linkspan_call, linkspan_result> {
        let mut out = 0;
        // SAFETY: live locals; the options come from `call`.
        match unsafe { linkspan_channel_stream(self.channel, options, &raw mut out) } {
            LINKSPAN_OK => Ok(out),
            refused => Err(refused),
        }
    }

    /// The next event; fails the test when there is none in time.
    pub(crate) fn next(&self) -> Event {
        self.try_next().unwrap_or_else(|result| panic!("no event but {result}"))
    }

    pub(crate) fn try_next(&self) -> Result<Event, linkspan_result> {
        let mut event = empty_event();
        let mut count = 0;
        // SAFETY: live locals.
        match unsafe { linkspan_queue_next(self.queue, &raw mut event, EVENT, 1, GUARD_NS, &raw mut count) } {
            LINKSPAN_OK => {
                assert_eq!(count, 1);
                Ok(Event(event))
            }
            result => Err(result),
        }
    }

    /// The result of looking without waiting.
    pub(crate) fn poll(&self) -> linkspan_result {
        let mut event = empty_event();
        let mut count = 0;
        // SAFETY: live locals.
        let result = unsafe { linkspan_queue_next(self.queue, &raw mut event, EVENT, 1, 0, &raw mut count) };
        if result == LINKSPAN_OK {
            drop(Event(event));
        }
        result
    }

    /// Ends everything and waits until the engine's thread is gone.
    pub(crate) fn finish(self) {
        ok(linkspan_engine_shutdown(self.engine, 0));
        ok(linkspan_engine_join(self.engine, GUARD_NS));
        for handle in [self.channel, self.queue, self.engine] {
            // A test may have closed some of them already.
            assert!(matches!(linkspan_handle_close(handle), LINKSPAN_OK | LINKSPAN_ECLOSED));
        }
    }
}

/// An event that releases itself.
pub(crate) struct Event(pub(crate) linkspan_event);

impl Event {
    pub(crate) fn text(&self) -> &str {
        // SAFETY: the event is not released yet.
        str::from_utf8(unsafe { bytes(self.0.text.cast(), self.0.text_len) }).expect("UTF-8")
    }

    pub(crate) fn message(&self) -> Option<&[u8]> {
        // SAFETY: the event is not released yet.
        (!self.0.message.is_null()).then(|| unsafe { bytes(self.0.message, self.0.message_len) })
    }

    pub(crate) fn initial(&self, key: &str) -> Option<Vec<u8>> {
        // SAFETY: the event is not released yet.
        find(unsafe { entries(self.0.initial, self.0.initial_count) }, key)
    }

    pub(crate) fn trailing(&self, key: &str) -> Option<Vec<u8>> {
        // SAFETY: the event is not released yet.
        find(unsafe { entries(self.0.trailing, self.0.trailing_count) }, key)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: one event, as the library wrote it.
        ok(unsafe { linkspan_events_release(&raw mut self.0, EVENT, 1) });
        assert_eq!(self.0.owner, 0);
    }
}

fn find(entries: &[linkspan_metadata_entry], key: &str) -> Option<Vec<u8>> {
    // SAFETY: the entries belong to an event that is not released yet.
    let slice = |slice: linkspan_slice| unsafe { bytes(slice.bytes, slice.len) };
    entries.iter().find(|entry| slice(entry.key) == key.as_bytes()).map(|entry| slice(entry.value).to_vec())
}

/// # Safety
/// `len` readable bytes for `'a`.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: the same promise; the library gives no NULL with a length.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(pointer, len) } }
}

/// # Safety
/// `count` readable entries for `'a`.
unsafe fn entries<'a>(pointer: *const linkspan_metadata_entry, count: usize) -> &'a [linkspan_metadata_entry] {
    // SAFETY: the same promise.
    if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(pointer, count) } }
}

pub(crate) fn ok(result: linkspan_result) {
    // SAFETY: static and NUL-terminated.
    let text = unsafe { CStr::from_ptr(linkspan_result_text(result)) };
    assert_eq!(result, LINKSPAN_OK, "{text:?}");
}

pub(crate) fn error() -> linkspan_error {
    linkspan_error {
        struct_size: u32::try_from(size_of::<linkspan_error>()).expect("small"),
        code: 0,
        os_error: 0,
        reserved: 0,
        message: [0; 240],
    }
}

pub(crate) fn message_of(error: &linkspan_error) -> String {
    // SAFETY: NUL-terminated.
    unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_string_lossy().into_owned()
}

/// Call options with everything zero but size and method.
pub(crate) fn call(method: &'static CStr) -> linkspan_call_options {
    linkspan_call_options {
        struct_size: u32::try_from(size_of::<linkspan_call_options>()).expect("small"),
        flags: 0,
        queue: 0,
        tag: 0,
        method: method.as_ptr().cast::<c_char>(),
        method_len: NUL,
        timeout_ns: LINKSPAN_FOREVER,
        metadata: ptr::null(),
        metadata_count: 0,
        message: message(b""),
        callback: None,
        user_data: ptr::null_mut(),
        read_credit: 0,
        compression: 0,
        max_receive_bytes: 0,
        authority: ptr::null(),
        authority_len: 0,
        credentials: 0,
    }
}

/// A message to be copied.
pub(crate) fn message(bytes: &[u8]) -> linkspan_message {
    linkspan_message { bytes: bytes.as_ptr(), len: bytes.len(), buffer: 0, release: None, user_data: ptr::null_mut() }
}

/// No message at all.
pub(crate) fn no_message() -> linkspan_message {
    linkspan_message { bytes: ptr::null(), ..message(b"") }
}

pub(crate) fn empty_event() -> linkspan_event {
    // SAFETY: integers and pointers, all of which may be zero.
    unsafe { std::mem::zeroed() }
}

pub(crate) fn handles_live(engine: linkspan_engine) -> (u64, u64) {
    // SAFETY: integers only.
    let mut metrics: linkspan_metrics = unsafe { std::mem::zeroed() };
    metrics.struct_size = u32::try_from(size_of::<linkspan_metrics>()).expect("small");
    // SAFETY: a live local.
    ok(unsafe { linkspan_engine_metrics(engine, &raw mut metrics) });
    (metrics.handles_live, metrics.buffers_held)
}

pub(crate) fn retain(buffer: linkspan_buffer) {
    ok(linkspan_buffer_retain(buffer));
}

pub(crate) fn close(handle: linkspan_handle) {
    ok(linkspan_handle_close(handle));
}

/// The content of a buffer.
pub(crate) fn view(buffer: linkspan_buffer) -> Vec<u8> {
    let (mut start, mut len) = (ptr::null(), 0);
    // SAFETY: live locals.
    ok(unsafe { linkspan_buffer_view(buffer, &raw mut start, &raw mut len) });
    // SAFETY: the buffer is held by the caller.
    unsafe { bytes(start, len) }.to_vec()
}
