//! Pointers that come from the host, turned into Rust values once, at the border.
//!
//! What can be checked is checked: NULL, alignment, sizes, UTF-8. What cannot, a dangling pointer or a wrong length, is the
//! caller's promise; the functions that rely on it are `unsafe`, and the macros below call them from the exported functions.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use crate::error::{LINKSPAN_EABI, LINKSPAN_EINVAL, LINKSPAN_ELIMIT, LINKSPAN_EUNSUPPORTED, Refusal};
use crate::message::linkspan_slice;

/// As a length: the text ends at its NUL.
pub(crate) const NUL: usize = usize::MAX;

/// No struct of this interface will ever be this long; a larger size is memory that was never set.
const LONGEST_STRUCT: usize = 4096;

/// A place the host gave us to write to.
pub(crate) struct Out<T>(NonNull<T>);

impl<T: Copy> Out<T> {
    pub(crate) fn write(&self, value: T) {
        // SAFETY: `out` checked NULL and alignment, its caller vouched for the rest.
        unsafe { self.0.write(value) };
    }

    /// Writes everything but the first field, which is the caller's own size.
    pub(crate) fn write_versioned(&self, value: T) {
        let size = self.0.cast::<u32>();
        // SAFETY: `versioned_out` read it.
        let kept = unsafe { size.read() };
        self.write(value);
        // SAFETY: the first field of a `T` just written.
        unsafe { size.write(kept) };
    }
}

/// # Safety
/// `pointer` is NULL or may be written as a `T` until the exported function returns.
pub(crate) unsafe fn out<T: Copy>(pointer: *mut T) -> Result<Out<T>, Refusal> {
    check_pointer(pointer)?;
    NonNull::new(pointer).map(Out).ok_or(Refusal::new(LINKSPAN_EINVAL, "an output pointer is NULL"))
}

/// An output the host may leave out.
///
/// # Safety
/// As [`out`].
pub(crate) unsafe fn optional_out<T: Copy>(pointer: *mut T) -> Result<Option<Out<T>>, Refusal> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the same promise.
    unsafe { out(pointer) }.map(Some)
}

/// An output struct that begins with its own size; the size must cover all of `T`.
///
/// # Safety
/// As [`out`], and the first four bytes can be read.
pub(crate) unsafe fn versioned_out<T: Copy>(pointer: *mut T) -> Result<Out<T>, Refusal> {
    // SAFETY: the same promise.
    let out = unsafe { out(pointer) }?;
    // SAFETY: not NULL, aligned, and readable by the caller's promise.
    let size = unsafe { out.0.cast::<u32>().read() };
    check_size(size as usize, size_of::<T>())?;
    Ok(out)
}

/// An input struct that begins with its own size.
pub(crate) struct Versioned<T> {
    pub(crate) value: T,
    /// Refused when the caller set fields this library does not know.
    pub(crate) extra: Result<(), Refusal>,
}

/// # Safety
/// `pointer` is NULL or readable for as many bytes as its first four say.
pub(crate) unsafe fn versioned<T: Copy>(pointer: *const T) -> Result<Versioned<T>, Refusal> {
    check_pointer(pointer)?;
    // SAFETY: not NULL and aligned; readable by the caller's promise.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    let known = size_of::<T>();
    check_size(size, known)?;
    // SAFETY: the struct is at least as long as `T`.
    let value = unsafe { pointer.read() };
    // SAFETY: within or one past the bytes the caller vouched for.
    let rest = unsafe { pointer.cast::<u8>().add(known) };
    // SAFETY: the caller's struct has `size` bytes.
    let rest = unsafe { std::slice::from_raw_parts(rest, size - known) };
    let extra = if rest.iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(Refusal::new(LINKSPAN_EUNSUPPORTED, "a field is set that this version of the library does not know"))
    };
    Ok(Versioned { value, extra })
}

/// # Safety
/// NULL, or `len` readable bytes that stay unchanged for `'a`; with [`NUL`] as `len`, a NUL-terminated text.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, len: usize) -> Result<&'a [u8], Refusal> {
    if len == 0 {
        return Ok(&[]);
    }
    check_pointer(pointer)?;
    if len == NUL {
        // SAFETY: NUL-terminated by the caller's promise.
        return Ok(unsafe { CStr::from_ptr(pointer.cast()) }.to_bytes());
    }
    if isize::try_from(len).is_err() {
        return Err(Refusal::new(LINKSPAN_EINVAL, "a length is larger than the address space"));
    }
    // SAFETY: readable by the caller's promise; the length fits.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// A slice that may be absent: NULL with length 0.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn optional_slice<'a>(slice: linkspan_slice) -> Result<Option<&'a [u8]>, Refusal> {
    if slice.bytes.is_null() && slice.len == 0 {
        return Ok(None);
    }
    // SAFETY: the same promise.
    unsafe { bytes(slice.bytes, slice.len) }.map(Some)
}

/// Text that may be absent: NULL with length 0 is the empty text.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(pointer: *const c_char, len: usize) -> Result<&'a str, Refusal> {
    // SAFETY: the same promise.
    let bytes = unsafe { bytes(pointer.cast(), if pointer.is_null() && len == NUL { 0 } else { len }) }?;
    str::from_utf8(bytes).map_err(|_| Refusal::new(LINKSPAN_EINVAL, "a text is not UTF-8"))
}

/// Text that must be there, empty or not.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn required_text<'a>(pointer: *const c_char, len: usize) -> Result<&'a str, Refusal> {
    check_pointer(pointer)?;
    // SAFETY: the same promise.
    unsafe { text(pointer, len) }
}

/// # Safety
/// NULL, or `count` readable elements that stay unchanged for `'a`.
pub(crate) unsafe fn array<'a, T>(pointer: *const T, count: usize) -> Result<&'a [T], Refusal> {
    if count == 0 {
        return Ok(&[]);
    }
    check_pointer(pointer)?;
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Refusal::new(LINKSPAN_ELIMIT, "an array has more elements than memory can hold"));
    }
    // SAFETY: not NULL, aligned, and readable by the caller's promise; the length fits.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

pub(crate) fn check_pointer<T>(pointer: *const T) -> Result<(), Refusal> {
    if pointer.is_null() {
        return Err(Refusal::new(LINKSPAN_EINVAL, "a required pointer is NULL"));
    }
    if !pointer.is_aligned() {
        return Err(Refusal::new(LINKSPAN_EINVAL, "a pointer is not aligned"));
    }
    Ok(())
}

/// The rule for `struct_size` and for strides: never less than the first released size, never absurd.
pub(crate) fn check_size(given: usize, known: usize) -> Result<(), Refusal> {
    if given < known {
        return Err(Refusal::told(
            LINKSPAN_EABI,
            format!("a struct_size or stride is {given}, but at least {known} is needed; set it to sizeof the struct"),
        ));
    }
    if given > LONGEST_STRUCT {
        return Err(Refusal::told(
            LINKSPAN_EABI,
            format!("a struct_size or stride is {given}, larger than any struct; was it set?"),
        ));
    }
    Ok(())
}

/// The rule for strides: a size that also keeps the next element aligned.
pub(crate) fn check_stride<T>(stride: usize) -> Result<(), Refusal> {
    check_size(stride, size_of::<T>())?;
    if stride.is_multiple_of(align_of::<T>()) {
        return Ok(());
    }
    Err(Refusal::told(
        LINKSPAN_EABI,
        format!("a stride of {stride} would leave elements unaligned; use sizeof the struct"),
    ))
}

/// Turns pointer parameters of an exported function into a checked value: `host!(text(target, len))?`.
///
/// The promise behind every use is the same, the header's chapter on NULL and lengths, so it is written here once. Only names
/// are taken as arguments, so that nothing else can slip into the unsafe block.
macro_rules! host {
    ($reader:ident($($argument:ident),+)) => {{
        // SAFETY: the host vouches for what cannot be checked: that a pointer is live and a length is true.
        unsafe { $crate::foreign::$reader($($argument),+) }
    }};
}
pub(crate) use host;

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn text_may_be_absent_only_where_it_is_optional() {
        let (nothing, len) = (ptr::null(), 0);
        assert_eq!(host!(text(nothing, len)).expect("optional"), "");
        assert_eq!(host!(required_text(nothing, len)).expect_err("required").result, LINKSPAN_EINVAL);
        let len = 1;
        assert_eq!(host!(text(nothing, len)).expect_err("length without a pointer").result, LINKSPAN_EINVAL);
    }

    #[test]
    fn text_ends_at_its_length_or_at_its_nul() {
        let (pointer, len) = (c"abc".as_ptr(), 2);
        assert_eq!(host!(text(pointer, len)).expect("two characters"), "ab");
        let len = NUL;
        assert_eq!(host!(text(pointer, len)).expect("up to the NUL"), "abc");
        let (pointer, len) = (c"\xff".as_ptr(), NUL);
        assert_eq!(host!(text(pointer, len)).expect_err("not UTF-8").result, LINKSPAN_EINVAL);
    }

    #[test]
    fn struct_size_is_checked_and_unknown_fields_must_be_zero() {
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Known {
            struct_size: u32,
            field: u32,
        }
        #[repr(C)]
        struct Newer {
            known: Known,
            extra: u32,
        }
        let mut newer = Newer { known: Known { struct_size: 12, field: 7 }, extra: 0 };
        let pointer = (&raw const newer).cast::<Known>();
        let read = host!(versioned(pointer)).expect("large enough");
        assert_eq!(read.value.field, 7);
        assert!(read.extra.is_ok());
        newer.extra = 1;
        let pointer = (&raw const newer).cast::<Known>();
        let refusal = host!(versioned(pointer)).expect("large enough").extra.expect_err("unknown field set");
        assert_eq!(refusal.result, LINKSPAN_EUNSUPPORTED);
        newer.known.struct_size = 4;
        let pointer = (&raw const newer).cast::<Known>();
        assert_eq!(host!(versioned(pointer)).map(|_| ()).expect_err("too small").result, LINKSPAN_EABI);
    }
}
