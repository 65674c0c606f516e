//! Buffers: memory of the library's that a host may look at, fill, keep and send.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use bytes::Bytes;

use crate::error::{LINKSPAN_ELIMIT, LINKSPAN_ENOMEM, Refusal, linkspan_result};
use crate::event::Received;
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::message::place_of;

/// Memory of the library: what an event's pointers point into, or what `linkspan_buffer_new` made.
pub type linkspan_buffer = linkspan_handle;

/// What a buffer handle keeps alive.
pub(crate) struct Buffer {
    /// What `linkspan_buffer_view` shows and what sending the buffer sends.
    bytes: Bytes,
    /// The rest of the event this buffer owns, if it owns one.
    _event: Option<Received>,
}

pub(crate) static BUFFERS: Table<Buffer> = Table::new(Kind::Buffer);

/// A new handle for the bytes and what else an event points into.
pub(crate) fn keep(bytes: Bytes, event: Option<Received>) -> Result<linkspan_buffer, Refusal> {
    BUFFERS.insert(Buffer { bytes, _event: event })
}

/// The content of a buffer, shared.
pub(crate) fn bytes_of(buffer: linkspan_buffer) -> Result<Bytes, Refusal> {
    BUFFERS.with(buffer, |buffer| buffer.bytes.clone())
}

/// Gives back one hold; 0 and a buffer that is gone are fine.
pub(crate) fn give_back(buffer: linkspan_buffer) {
    if buffer != 0 {
        drop(BUFFERS.release(buffer));
    }
}

/// Zeroed memory the host may write until it sends or closes the buffer.
struct Writable {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: plain memory; the host was told not to write once it is sent.
unsafe impl Send for Writable {}

impl Writable {
    fn new(len: usize) -> Result<Self, Refusal> {
        if u32::try_from(len).is_err() {
            return Err(Refusal::told(
                LINKSPAN_ELIMIT,
                format!("a buffer of {len} bytes is longer than gRPC can carry"),
            ));
        }
        let too_large = Refusal::new(LINKSPAN_ENOMEM, "there is not enough memory for the buffer");
        let Ok(layout) = Layout::array::<u8>(len.max(1)) else {
            return Err(too_large);
        };
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        NonNull::new(start).map(|start| Self { start, layout }).ok_or(too_large)
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`, and only freed here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl AsRef<[u8]> for Writable {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `layout.size()` initialised bytes that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }
}

/// Memory to serialise a message into and send without a copy. `*bytes` may be written for `len` bytes until the buffer is sent
/// or closed. Close what is not sent with `linkspan_handle_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_buffer_new(
    len: usize,
    out: *mut linkspan_buffer,
    bytes: *mut *mut u8,
) -> linkspan_result {
    guard::run("linkspan_buffer_new", || {
        let out = host!(out(out))?;
        let start = host!(out(bytes))?;
        let memory = Writable::new(len)?;
        let place = memory.start.as_ptr();
        // The memory is never empty, the message may be.
        out.write(keep(Bytes::from_owner(memory).slice(..len), None)?);
        start.write(place);
        Ok(())
    })
}

/// Keeps a buffer, and with it every pointer of its event, past `linkspan_events_release` or the end of the callback. Each
/// retain takes one more `linkspan_handle_close`.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_buffer_retain(buffer: linkspan_buffer) -> linkspan_result {
    guard::run("linkspan_buffer_retain", || BUFFERS.retain(buffer))
}

/// Where a buffer's bytes are: the message of an event, the text of a dump, or what `linkspan_buffer_new` made. They stay valid
/// while the buffer is held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_buffer_view(
    buffer: linkspan_buffer,
    bytes: *mut *const u8,
    len: *mut usize,
) -> linkspan_result {
    guard::run("linkspan_buffer_view", || {
        let bytes = host!(out(bytes))?;
        let len = host!(out(len))?;
        let (place, count) = BUFFERS.with(buffer, |buffer| (place_of(&buffer.bytes), buffer.bytes.len()))?;
        bytes.write(place);
        len.write(count);
        Ok(())
    })
}
