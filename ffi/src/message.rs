//! Message bytes crossing the border, and who owns them.
//!
//! Three ways in: copied, borrowed with a release function, or an engine buffer that moves. Each becomes a [`Bytes`] whose
//! dropping does what the host was promised.

use std::ffi::c_void;
use std::ptr;

use bytes::Bytes;

use crate::buffer::{self, linkspan_buffer};
use crate::error::{LINKSPAN_EINVAL, LINKSPAN_ELIMIT, Refusal};
use crate::foreign::host;
use crate::guard;

/// Gives something back to the host; runs exactly once, on any thread. It must not block.
pub type linkspan_release_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Bytes somebody else owns. This layout never changes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_slice {
    /// May be NULL when `len` is 0.
    pub bytes: *const u8,
    /// How many bytes; LINKSPAN_NUL for NUL-terminated text.
    pub len: usize,
}

/// One message on its way in. This layout never changes.
///
/// Copied by default. With `release` set the bytes are borrowed: they must stay as they are until `release(user_data)` runs,
/// which happens exactly once, on any thread, also when the function that took the message fails. With `buffer` set the message
/// is that buffer, or the part of it that `bytes` and `len` name; one hold of the buffer moves to the library when the function
/// returns LINKSPAN_OK.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_message {
    /// NULL: no message, or all of `buffer`.
    pub bytes: *const u8,
    /// How many bytes.
    pub len: usize,
    /// A buffer instead of host memory, or 0. Cannot be combined with `release`.
    pub buffer: linkspan_buffer,
    /// Set to lend the bytes instead of having them copied.
    pub release: linkspan_release_fn,
    /// Passed to `release`.
    pub user_data: *mut c_void,
}

const _: () = assert!(cfg!(not(target_pointer_width = "64")) || size_of::<linkspan_message>() == 40);

/// A pointer of the host's that we carry and, when dropped, give back.
pub(crate) struct HostData {
    pointer: *mut c_void,
    release: linkspan_release_fn,
}

// SAFETY: the pointer is only ever passed back to the host, which was told that this happens on any thread.
unsafe impl Send for HostData {}
// SAFETY: as above; nothing here is written after creation.
unsafe impl Sync for HostData {}

impl HostData {
    pub(crate) const fn new(pointer: *mut c_void, release: linkspan_release_fn) -> Self {
        Self { pointer, release }
    }

    /// A pointer the host keeps: nothing is called at the end.
    pub(crate) const fn kept_by_host(pointer: *mut c_void) -> Self {
        Self::new(pointer, None)
    }

    pub(crate) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for HostData {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the host gave this function for this pointer, and this is the only place that calls it.
            guard::call_host(|| unsafe { release(self.pointer) });
        }
    }
}

/// Memory lent by the host.
struct Lent {
    bytes: *const u8,
    len: usize,
    _data: HostData,
}

// SAFETY: the host promised that the bytes stay as they are until released, whichever thread looks.
unsafe impl Send for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `take` checked the pointer against the length; the host vouched for the memory until release.
        unsafe { std::slice::from_raw_parts(self.bytes, self.len) }
    }
}

/// A message that was taken over: dropping it gives back what was lent.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Absent when the struct named no bytes and no buffer.
    pub(crate) message: Option<Bytes>,
    /// The buffer to give back once the operation has succeeded, or 0.
    pub(crate) buffer: linkspan_buffer,
}

/// Takes a message over. From here on a lent one is released exactly once, also when this refuses.
///
/// # Safety
/// `bytes` and `len` tell the truth, and what `release` means is as documented on [`linkspan_message`].
pub(crate) unsafe fn take(from: &linkspan_message) -> Result<Taken, Refusal> {
    let (pointer, len) = (from.bytes, from.len);
    let lent = from.release.map(|_| HostData::new(from.user_data, from.release));
    if pointer.is_null() && len != 0 {
        return Err(Refusal::new(LINKSPAN_EINVAL, "a message has a length but no bytes"));
    }
    // The length in front of a message on the wire has 32 bits.
    if u32::try_from(len).is_err() {
        return Err(Refusal::told(LINKSPAN_ELIMIT, format!("a message of {len} bytes is longer than gRPC can carry")));
    }
    match lent {
        Some(_) if from.buffer != 0 => {
            Err(Refusal::new(LINKSPAN_EINVAL, "a message has both a release function and a buffer; choose one"))
        }
        Some(_) if pointer.is_null() => Ok(Taken::default()),
        Some(data) => {
            Ok(Taken { message: Some(Bytes::from_owner(Lent { bytes: pointer, len, _data: data })), buffer: 0 })
        }
        None if from.buffer != 0 => {
            let whole = buffer::bytes_of(from.buffer)?;
            Ok(Taken { message: Some(part_of(&whole, pointer, len)?), buffer: from.buffer })
        }
        None if pointer.is_null() => Ok(Taken::default()),
        None => Ok(Taken { message: Some(Bytes::copy_from_slice(host!(bytes(pointer, len))?)), buffer: 0 }),
    }
}

/// The part of a buffer the host named, or all of it.
fn part_of(whole: &Bytes, pointer: *const u8, len: usize) -> Result<Bytes, Refusal> {
    if pointer.is_null() {
        return Ok(whole.clone());
    }
    let start = (pointer as usize).checked_sub(whole.as_ptr() as usize);
    match start.and_then(|start| Some((start, start.checked_add(len)?))) {
        Some((start, end)) if end <= whole.len() => Ok(whole.slice(start..end)),
        _ => Err(Refusal::new(LINKSPAN_EINVAL, "a message's bytes are not inside its buffer")),
    }
}

/// Where bytes are for the host: never a dangling pointer, and NULL only when absent.
pub(crate) fn place_of(bytes: &[u8]) -> *const u8 {
    static EMPTY: u8 = 0;
    if bytes.is_empty() { &raw const EMPTY } else { bytes.as_ptr() }
}

/// NULL and 0, for what is absent.
pub(crate) const ABSENT: (*const u8, usize) = (ptr::null(), 0);
