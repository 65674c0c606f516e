//! Reading what a host asks of a call.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{CallRequest, Compression, Metadata, Timeout, is_reserved};

use crate::LINKSPAN_FOREVER;
use crate::buffer::linkspan_buffer;
use crate::credentials::{CREDENTIALS, linkspan_credentials};
use crate::error::{LINKSPAN_EABI, LINKSPAN_EINVAL, Refusal};
use crate::event::{linkspan_event, linkspan_metadata_entry};
use crate::foreign::{Versioned, host};
use crate::message::{self, linkspan_message};
use crate::queue::{QUEUES, Queue, linkspan_queue};

/// Receives the events of one call, on the engine's thread. The event is valid during the call only, unless its owner is
/// retained. It must not block, unwind or jump out.
pub type linkspan_callback = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const linkspan_event)>;

/// Wait for a connection instead of failing while there is none.
pub const LINKSPAN_CALL_WAIT_FOR_READY: u32 = 1;
/// Neither retry nor hedge, whatever the service config says. What a server did not process is sent again all the same.
pub const LINKSPAN_CALL_NO_RETRY: u32 = 2;
/// Do not report initial metadata.
pub const LINKSPAN_CALL_SKIP_INITIAL: u32 = 4;
/// A hint: bytes may wait for the next un-corked start. (This version sends them soon anyway.)
pub const LINKSPAN_CALL_CORK: u32 = 8;
/// Stream: the message is the last one; half-close with it, or at once when there is none.
pub const LINKSPAN_CALL_LAST: u32 = 16;

/// The message goes as it is, whatever the call compresses: what mixes secrets with what others choose must not be compressed.
pub const LINKSPAN_CALL_UNCOMPRESSED: u32 = 32;

/// As the channel does (`grpc.default_compression_algorithm`).
pub const LINKSPAN_COMPRESSION_OF_CHANNEL: u32 = 0;
/// Messages go as they are.
pub const LINKSPAN_COMPRESSION_IDENTITY: u32 = 1;
/// The zlib format (RFC 1950), which gRPC calls deflate.
pub const LINKSPAN_COMPRESSION_DEFLATE: u32 = 2;
/// RFC 1952.
pub const LINKSPAN_COMPRESSION_GZIP: u32 = 3;

const KNOWN_FLAGS: u32 = LINKSPAN_CALL_WAIT_FOR_READY
    | LINKSPAN_CALL_NO_RETRY
    | LINKSPAN_CALL_SKIP_INITIAL
    | LINKSPAN_CALL_CORK
    | LINKSPAN_CALL_LAST
    | LINKSPAN_CALL_UNCOMPRESSED;

/// One call. Start from zero bytes and set `struct_size`. Everything is copied, except a message that is lent.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_call_options {
    /// sizeof(linkspan_call_options).
    pub struct_size: u32,
    /// LINKSPAN_CALL_*.
    pub flags: u32,
    /// Where events go; may be 0 with a callback, which has precedence.
    pub queue: linkspan_queue,
    /// Returned in every event of the call.
    pub tag: u64,
    /// "/package.Service/Method".
    pub method: *const c_char,
    /// Its length, or LINKSPAN_NUL.
    pub method_len: usize,
    /// More than 0; 0: the channel's default; LINKSPAN_FOREVER: none; less than 0: already past, nothing is sent.
    pub timeout_ns: i64,
    /// Request metadata; `-bin` values raw.
    pub metadata: *const linkspan_metadata_entry,
    /// How many entries.
    pub metadata_count: usize,
    /// The request message; for a stream the first one, which is optional.
    pub message: linkspan_message,
    /// Receives the events instead of a queue; may be NULL.
    pub callback: linkspan_callback,
    /// Passed to `callback`.
    pub user_data: *mut c_void,
    /// Stream: MESSAGE events allowed at first.
    pub read_credit: u32,
    /// LINKSPAN_COMPRESSION_*: how the call's messages are compressed, where the server has not said that it cannot read it.
    pub compression: u32,
    /// Longest response message accepted; 0: the channel's limit.
    pub max_receive_bytes: u64,
    /// Replaces :authority; may be NULL.
    pub authority: *const c_char,
    /// Its length, or LINKSPAN_NUL.
    pub authority_len: usize,
    /// Credentials of this call, behind those of its channel, or 0. On an insecure channel it ends UNAUTHENTICATED.
    pub credentials: linkspan_credentials,
}

const _: () = assert!(cfg!(not(target_pointer_width = "64")) || size_of::<linkspan_call_options>() == 160);

/// Where a call's events go.
pub(crate) enum Delivery {
    Queue(Arc<Queue>),
    Callback(unsafe extern "C" fn(*mut c_void, *const linkspan_event), *mut c_void),
}

/// A call as core wants it, and what is left for this crate.
pub(crate) struct Request {
    pub(crate) call: CallRequest,
    /// None when the host set neither a queue nor a callback.
    pub(crate) delivery: Option<Delivery>,
    pub(crate) tag: u64,
    /// To give back once the call has started.
    pub(crate) buffer: linkspan_buffer,
}

/// Reads call options. A lent message is taken over first, so that it is released exactly once whatever else is wrong.
///
/// # Safety
/// `options` is NULL or points at call options that tell the truth.
pub(crate) unsafe fn read(options: *const linkspan_call_options) -> Result<Request, Refusal> {
    let Versioned { value: options, extra } = host!(versioned(options))?;
    // SAFETY: the host vouches for its message.
    let taken = unsafe { message::take(&options.message) }?;
    extra?;
    check_flags(&options)?;
    // SAFETY: the host vouches for its options.
    let call = unsafe { call_request(&options, taken.message) }?;
    Ok(Request { call, delivery: delivery(&options)?, tag: options.tag, buffer: taken.buffer })
}

/// The stride of an array of call options: the size its first element names.
///
/// # Safety
/// As [`read`].
pub(crate) unsafe fn stride(options: *const linkspan_call_options) -> Result<usize, Refusal> {
    let first = host!(versioned(options))?.value.struct_size as usize;
    if first.is_multiple_of(align_of::<linkspan_call_options>()) {
        return Ok(first);
    }
    Err(Refusal::new(
        LINKSPAN_EABI,
        "struct_size would leave the next call options unaligned; set it to sizeof the struct",
    ))
}

fn check_flags(options: &linkspan_call_options) -> Result<(), Refusal> {
    let unknown = options.flags & !KNOWN_FLAGS;
    if unknown != 0 {
        return Err(Refusal::told(LINKSPAN_EINVAL, format!("call flags {unknown:#x} are not known")));
    }
    Ok(())
}

/// # Safety
/// The options tell the truth.
unsafe fn call_request(options: &linkspan_call_options, message: Option<Bytes>) -> Result<CallRequest, Refusal> {
    let linkspan_call_options { method, method_len, metadata, metadata_count, authority, authority_len, .. } = *options;
    let method = host!(required_text(method, method_len))?;
    let authority = host!(text(authority, authority_len))?;
    let entries = host!(array(metadata, metadata_count))?;
    let has = |flag| options.flags & flag != 0;
    let mut request = CallRequest::new(method);
    // SAFETY: the same promise.
    request.metadata = unsafe { read_metadata(entries) }?;
    request.timeout = timeout(options.timeout_ns);
    request.wait_for_ready = has(LINKSPAN_CALL_WAIT_FOR_READY).then_some(true);
    request.authority = (!authority.is_empty()).then(|| authority.into());
    if options.credentials != 0 {
        request.credentials = Some(CREDENTIALS.get(options.credentials)?.of_calls()?);
    }
    request.max_receive_bytes = (options.max_receive_bytes != 0).then_some(options.max_receive_bytes);
    request.compression = compression(options.compression)?;
    request.message_uncompressed = has(LINKSPAN_CALL_UNCOMPRESSED);
    request.message = message;
    request.last = has(LINKSPAN_CALL_LAST);
    request.skip_initial = has(LINKSPAN_CALL_SKIP_INITIAL);
    request.no_retry = has(LINKSPAN_CALL_NO_RETRY);
    request.read_credit = options.read_credit;
    Ok(request)
}

/// `None` is the channel's.
fn compression(number: u32) -> Result<Option<Compression>, Refusal> {
    if number == LINKSPAN_COMPRESSION_OF_CHANNEL {
        return Ok(None);
    }
    match Compression::from_number(i64::from(number) - i64::from(LINKSPAN_COMPRESSION_IDENTITY)) {
        Some(compression) => Ok(Some(compression)),
        None => {
            Err(Refusal::told(LINKSPAN_EINVAL, format!("compression {number} is not one of LINKSPAN_COMPRESSION_*")))
        }
    }
}

/// # Safety
/// The entries' slices tell the truth.
pub(crate) unsafe fn read_metadata(entries: &[linkspan_metadata_entry]) -> Result<Metadata, Refusal> {
    let mut metadata = Metadata::new();
    for entry in entries {
        if entry.flags != 0 || entry.reserved != 0 {
            return Err(Refusal::new(LINKSPAN_EINVAL, "flags and reserved of a metadata entry must be 0"));
        }
        let (key, key_len) = (entry.key.bytes.cast(), entry.key.len);
        let (value, value_len) = (entry.value.bytes, entry.value.len);
        let key = host!(required_text(key, key_len))?;
        let value = host!(bytes(value, value_len))?;
        if is_reserved(key) {
            return Err(Refusal::told(
                LINKSPAN_EINVAL,
                format!("metadata key {key:?} is set by the engine, leave it out"),
            ));
        }
        metadata.append(key, Bytes::copy_from_slice(value))?;
    }
    Ok(metadata)
}

fn timeout(nanoseconds: i64) -> Timeout {
    match nanoseconds {
        0 => Timeout::ChannelDefault,
        LINKSPAN_FOREVER => Timeout::None,
        1.. => Timeout::After(Duration::from_nanos(nanoseconds.cast_unsigned())),
        ..0 => Timeout::AlreadyPast,
    }
}

fn delivery(options: &linkspan_call_options) -> Result<Option<Delivery>, Refusal> {
    let queue = if options.queue == 0 { None } else { Some(QUEUES.get(options.queue)?) };
    let callback = options.callback.map(|callback| Delivery::Callback(callback, options.user_data));
    Ok(callback.or(queue.map(Delivery::Queue)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_grpcs_and_0_is_the_channels() {
        let of = |number| compression(number).map_err(|refusal| refusal.result);
        assert_eq!(of(LINKSPAN_COMPRESSION_OF_CHANNEL), Ok(None));
        assert_eq!(of(LINKSPAN_COMPRESSION_IDENTITY), Ok(Some(Compression::Identity)));
        assert_eq!(of(LINKSPAN_COMPRESSION_DEFLATE), Ok(Some(Compression::Deflate)));
        assert_eq!(of(LINKSPAN_COMPRESSION_GZIP), Ok(Some(Compression::Gzip)));
        assert_eq!(of(u32::MAX), Err(LINKSPAN_EINVAL));
    }

    #[test]
    fn a_timeout_that_was_computed_is_never_misread() {
        assert!(matches!(timeout(0), Timeout::ChannelDefault));
        assert!(matches!(timeout(LINKSPAN_FOREVER), Timeout::None));
        assert!(matches!(timeout(1), Timeout::After(one) if one == Duration::from_nanos(1)));
        assert!(matches!(timeout(-1), Timeout::AlreadyPast));
        assert!(matches!(timeout(i64::MIN), Timeout::AlreadyPast));
    }
}
