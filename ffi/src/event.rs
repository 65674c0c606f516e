//! Events: what happened, in the shape a host reads.
//!
//! One buffer owns everything an event points to. The pointers lead into what core handed over, which is kept as it came; only
//! the two arrays of metadata entries are made here.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use bytes::Bytes;
use linkspan_core::{AuthContext, CallEnd, Event, Metadata, Sent, UnaryEnd};

use crate::buffer::{self, linkspan_buffer};
use crate::error::linkspan_result;
use crate::foreign::{check_pointer, check_stride};
use crate::guard;
use crate::handle::linkspan_handle;
use crate::message::{ABSENT, linkspan_slice, place_of};

/// The status of an RPC: gRPC's numbers, 0 to 16.
pub type linkspan_code = i32;

/// What happened. Hosts ignore, and release, kinds they do not know.
pub type linkspan_event_kind = u32;

/// Final, of a unary call: code, text = status message, message = response, initial, trailing.
pub const LINKSPAN_EVENT_UNARY: linkspan_event_kind = 1;
/// Stream: initial metadata.
pub const LINKSPAN_EVENT_HEADERS: linkspan_event_kind = 2;
/// Stream: one message; uses one unit of read credit.
pub const LINKSPAN_EVENT_MESSAGE: linkspan_event_kind = 3;
/// Stream: once after an EAGAIN from `linkspan_call_send`.
pub const LINKSPAN_EVENT_WRITABLE: linkspan_event_kind = 4;
/// Final, of a stream: like UNARY without a message.
pub const LINKSPAN_EVENT_STATUS: linkspan_event_kind = 5;
/// handle = channel, code = the state now.
pub const LINKSPAN_EVENT_CONNECTIVITY: linkspan_event_kind = 6;
/// handle = request, text = target; answer with `linkspan_resolver_update`. Not in this version.
pub const LINKSPAN_EVENT_RESOLVE: linkspan_event_kind = 7;
/// handle = request, text = audience, message = method path; answer once with `linkspan_auth_reply`.
pub const LINKSPAN_EVENT_AUTH: linkspan_event_kind = 8;
/// handle = a request no longer wanted; replies are ECLOSED now.
pub const LINKSPAN_EVENT_GONE: linkspan_event_kind = 9;
/// code = level, text = line. Not in this version.
pub const LINKSPAN_EVENT_LOG: linkspan_event_kind = 10;
/// The engine has shut down; the last event of the queue.
pub const LINKSPAN_EVENT_SHUTDOWN: linkspan_event_kind = 11;

/// The status was made by this library, not by the peer.
pub const LINKSPAN_EVENT_F_LOCAL: u32 = 1;
/// The peer never processed the call: it is safe to send it again.
pub const LINKSPAN_EVENT_F_UNPROCESSED: u32 = 2;
/// A watch ended by its timeout.
pub const LINKSPAN_EVENT_F_TIMEOUT: u32 = 4;

/// One key and one value. This layout never changes. Keys are lower-case; values of keys that end in `-bin` are raw bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_metadata_entry {
    /// Lower-case ASCII.
    pub key: linkspan_slice,
    /// Printable ASCII, or any bytes for a `-bin` key.
    pub value: linkspan_slice,
    /// Zero.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// One thing that happened. Pointers are valid until `linkspan_events_release`, in a callback until it returns, and as long as
/// `owner` is retained. A NULL message means there is none; an empty one is not NULL. Texts are not NUL-terminated.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_event {
    /// One of LINKSPAN_EVENT_*.
    pub kind: linkspan_event_kind,
    /// The status of the RPC, or what the kind says.
    pub code: linkspan_code,
    /// As given when the operation was started.
    pub tag: u64,
    /// The call, or what the kind says. A final event's call handle is closed already.
    pub handle: linkspan_handle,
    /// Keeps every pointer below alive; 0: nothing to release.
    pub owner: linkspan_buffer,
    /// The message, or NULL.
    pub message: *const u8,
    /// Its length.
    pub message_len: usize,
    /// Status message or other text, or NULL.
    pub text: *const c_char,
    /// Its length.
    pub text_len: usize,
    /// Initial metadata.
    pub initial: *const linkspan_metadata_entry,
    /// How many entries.
    pub initial_count: usize,
    /// Trailing metadata.
    pub trailing: *const linkspan_metadata_entry,
    /// How many entries.
    pub trailing_count: usize,
    /// The address of the peer, or NULL while there is none.
    pub peer: *const c_char,
    /// Its length.
    pub peer_len: usize,
    /// Of a final event: how long the call took.
    pub elapsed_ns: i64,
    /// LINKSPAN_EVENT_F_*; ignore the ones you do not know.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(cfg!(not(target_pointer_width = "64")) || size_of::<linkspan_event>() == 128);
const _: () = assert!(cfg!(not(target_pointer_width = "64")) || size_of::<linkspan_metadata_entry>() == 40);

impl linkspan_event {
    /// An event without content.
    pub(crate) const fn new(kind: linkspan_event_kind, tag: u64, handle: linkspan_handle) -> Self {
        Self {
            kind,
            code: 0,
            tag,
            handle,
            owner: 0,
            message: ptr::null(),
            message_len: 0,
            text: ptr::null(),
            text_len: 0,
            initial: ptr::null(),
            initial_count: 0,
            trailing: ptr::null(),
            trailing_count: 0,
            peer: ptr::null(),
            peer_len: 0,
            elapsed_ns: 0,
            flags: 0,
            reserved: 0,
        }
    }

    /// A question about the call of this context.
    pub(crate) fn auth(kind: linkspan_event_kind, tag: u64, handle: linkspan_handle, context: AuthContext) -> Self {
        let method = Bytes::copy_from_slice(context.method().as_bytes());
        Self::new(kind, tag, handle).filled(Some(method), Content::Auth(Box::new(context)))
    }

    /// Core's event in the host's shape. Its content gets an owner.
    pub(crate) fn from_core(event: Event, tag: u64, handle: linkspan_handle) -> Self {
        match event {
            Event::Unary(mut end) => {
                let message = end.message.take();
                Self::new(LINKSPAN_EVENT_UNARY, tag, handle).filled(message, Content::Unary(end))
            }
            Event::Headers { initial, peer } => {
                Self::new(LINKSPAN_EVENT_HEADERS, tag, handle).filled(None, Content::Headers(Box::new((initial, peer))))
            }
            Event::Message(message) => {
                Self::new(LINKSPAN_EVENT_MESSAGE, tag, handle).filled(Some(message), Content::None)
            }
            Event::Writable => Self::new(LINKSPAN_EVENT_WRITABLE, tag, handle),
            Event::Status(end) => Self::new(LINKSPAN_EVENT_STATUS, tag, handle).filled(None, Content::Stream(end)),
            Event::Connectivity { state, timed_out } => Self {
                code: i32::from(state.number()),
                flags: if timed_out { LINKSPAN_EVENT_F_TIMEOUT } else { 0 },
                ..Self::new(LINKSPAN_EVENT_CONNECTIVITY, tag, handle)
            },
        }
    }

    /// Points the event at its content and makes the content its owner's.
    fn filled(mut self, message: Option<Bytes>, content: Content) -> Self {
        let received = Received::new(content);
        (self.message, self.message_len) = message.as_ref().map_or(ABSENT, |bytes| (place_of(bytes), bytes.len()));
        received.describe(&mut self);
        match buffer::keep(message.unwrap_or_default(), Some(received)) {
            Ok(owner) => Self { owner, ..self },
            // The event itself must arrive, so it arrives without what nobody could release.
            Err(_) => Self { code: 8, ..Self::new(self.kind, self.tag, self.handle) }.with_text(TOO_MANY_BUFFERS),
        }
    }

    fn with_text(mut self, text: &str) -> Self {
        (self.text, self.text_len) = (place_of(text.as_bytes()).cast(), text.len());
        self
    }
}

const TOO_MANY_BUFFERS: &str = "the content of this event was dropped: too many events are waiting to be released";

/// What core handed over, as it came.
enum Content {
    None,
    Unary(Box<UnaryEnd>),
    Stream(Box<CallEnd>),
    Headers(Box<(Metadata, Arc<str>)>),
    Auth(Box<AuthContext>),
}

/// The content of one event and the arrays that lead into it. The content sits in boxes, so moving this moves nothing that is
/// pointed to.
pub(crate) struct Received {
    content: Content,
    entries: Vec<linkspan_metadata_entry>,
    initial_count: usize,
}

// SAFETY: the entries point into `content`, which is `Send` and `Sync` and never changes.
unsafe impl Send for Received {}
// SAFETY: as above.
unsafe impl Sync for Received {}

impl Received {
    fn new(content: Content) -> Self {
        let (initial, trailing) = match &content {
            Content::None | Content::Auth(_) => (None, None),
            Content::Unary(end) => (end.initial.as_ref(), Some(&end.end.trailing)),
            Content::Stream(end) => (None, Some(&end.trailing)),
            Content::Headers(headers) => (Some(&headers.0), None),
        };
        let initial_count = initial.map_or(0, Metadata::len);
        let mut entries = Vec::with_capacity(initial_count + trailing.map_or(0, Metadata::len));
        entries.extend(initial.into_iter().chain(trailing).flat_map(Metadata::iter).map(entry));
        Self { content, entries, initial_count }
    }

    fn describe(&self, event: &mut linkspan_event) {
        let (initial, trailing) = self.entries.split_at(self.initial_count);
        (event.initial, event.initial_count) = (initial.as_ptr(), initial.len());
        (event.trailing, event.trailing_count) = (trailing.as_ptr(), trailing.len());
        match &self.content {
            Content::None => {}
            Content::Auth(context) => {
                let text = context.service_url();
                (event.text, event.text_len) = (place_of(text.as_bytes()).cast(), text.len());
            }
            Content::Unary(end) => describe_end(&end.end, event),
            Content::Stream(end) => describe_end(end, event),
            Content::Headers(headers) => {
                (event.peer, event.peer_len) = (place_of(headers.1.as_bytes()).cast(), headers.1.len());
            }
        }
    }
}

fn describe_end(end: &CallEnd, event: &mut linkspan_event) {
    event.code = end.status.code().number();
    let text = end.status.message();
    (event.text, event.text_len) = (place_of(text.as_bytes()).cast(), text.len());
    if let Some(peer) = &end.peer {
        (event.peer, event.peer_len) = (place_of(peer.as_bytes()).cast(), peer.len());
    }
    event.elapsed_ns = i64::try_from(end.elapsed.as_nanos()).unwrap_or(i64::MAX);
    event.flags = if end.local { LINKSPAN_EVENT_F_LOCAL } else { 0 }
        | match end.sent {
            Sent::NotSent | Sent::Refused => LINKSPAN_EVENT_F_UNPROCESSED,
            Sent::Processed => 0,
        };
}

fn entry((key, value): (&str, &Bytes)) -> linkspan_metadata_entry {
    linkspan_metadata_entry {
        key: linkspan_slice { bytes: place_of(key.as_bytes()), len: key.len() },
        value: linkspan_slice { bytes: place_of(value), len: value.len() },
        flags: 0,
        reserved: 0,
    }
}

/// Writes an event and zeroes what a caller with a newer header has behind it.
///
/// # Safety
/// `place` can be written for `size` bytes, at least those of an event, and is aligned.
pub(crate) unsafe fn write_event(place: *mut linkspan_event, size: usize, event: linkspan_event) {
    // SAFETY: the same promise.
    unsafe { place.write(event) };
    // SAFETY: one past the event is at most one past the caller's element.
    let rest = unsafe { place.add(1) };
    // SAFETY: the caller's element has `size` bytes.
    unsafe { ptr::write_bytes(rest.cast::<u8>(), 0, size - size_of::<linkspan_event>()) };
}

/// Releases what events own and sets their owners to 0, so that releasing twice is harmless. `stride` is sizeof(linkspan_event).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_events_release(
    events: *mut linkspan_event,
    stride: usize,
    count: usize,
) -> linkspan_result {
    guard::run("linkspan_events_release", || {
        check_stride::<linkspan_event>(stride)?;
        if count == 0 {
            return Ok(());
        }
        check_pointer(events)?;
        for index in 0..count {
            // SAFETY: the host's array has `count` elements of `stride` bytes.
            let event = unsafe { events.byte_add(index * stride) };
            // SAFETY: inside the array; every element was written by this library.
            let owner = unsafe { &raw mut (*event).owner };
            // SAFETY: as above.
            let held = unsafe { owner.read() };
            // SAFETY: as above.
            unsafe { owner.write(0) };
            buffer::give_back(held);
        }
        Ok(())
    })
}
