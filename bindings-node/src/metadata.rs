//! Metadata crosses as one string of netstrings, `3:key5:value…`, in which every character is one byte.
//!
//! One string is one crossing whatever the number of entries, survives binary values, and needs no parsing while
//! nobody looks at it. JavaScript's half is `lib/block.cjs`.

use std::io::Write as _;

use bytes::Bytes;
use linkspan_core::{Error, ErrorKind, Metadata};

/// How many different header sets are remembered. Callers send the same few over and over; a set that changes with
/// every call (a trace id) must not push those out for more than a few calls, and looking costs one comparison each.
const REMEMBERED: usize = 8;

/// Sets longer than this are parsed every time: remembering them would hold memory for little.
const REMEMBERED_LENGTH: usize = 4096;

/// Whether the engine would send this entry.
pub(crate) fn check(key: &str, value: &str) -> Result<(), Error> {
    Metadata::new().append_lower_casing(key, bytes_of(value))
}

/// Header sets that were sent lately, so that a repeated one is not parsed and validated again.
#[derive(Default)]
pub(crate) struct HeaderSets {
    sets: Vec<(String, Metadata)>,
    next: usize,
}

impl HeaderSets {
    pub(crate) fn metadata(&mut self, block: String) -> Result<Metadata, Error> {
        if block.is_empty() {
            return Ok(Metadata::new());
        }
        if let Some((_, metadata)) = self.sets.iter().find(|(known, _)| *known == block) {
            return Ok(metadata.clone());
        }
        let metadata = decode(&bytes_of(&block))?;
        if block.len() <= REMEMBERED_LENGTH {
            self.remember(block, metadata.clone());
        }
        Ok(metadata)
    }

    fn remember(&mut self, block: String, metadata: Metadata) {
        if self.sets.len() < REMEMBERED {
            self.sets.push((block, metadata));
        } else {
            self.sets[self.next] = (block, metadata);
            self.next = (self.next + 1) % REMEMBERED;
        }
    }
}

pub(crate) fn encode(metadata: &Metadata, into: &mut Vec<u8>) {
    for (key, value) in metadata.iter() {
        encode_bytes(key.as_bytes(), into);
        encode_bytes(value, into);
    }
}

pub(crate) fn encode_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(into, "{}:", bytes.len());
    into.extend_from_slice(bytes);
}

fn decode(block: &[u8]) -> Result<Metadata, Error> {
    let mut metadata = Metadata::new();
    let mut rest = block;
    while !rest.is_empty() {
        let (key, after_key) = split(rest)?;
        let (value, after_value) = split(after_key)?;
        let key = str::from_utf8(key).map_err(|_| malformed())?;
        metadata.append_lower_casing(key, Bytes::copy_from_slice(value))?;
        rest = after_value;
    }
    Ok(metadata)
}

/// The first netstring and what follows it.
fn split(block: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let colon = block.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let (digits, rest) = block.split_at(colon);
    let length = str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
    rest.get(1..).and_then(|rest| rest.split_at_checked(length?)).ok_or_else(malformed)
}

fn malformed() -> Error {
    Error::new(ErrorKind::Internal, "a metadata block is malformed: addon and JavaScript are of different builds")
}

/// The bytes a string of one-byte characters stands for.
fn bytes_of(text: &str) -> Vec<u8> {
    if text.is_ascii() {
        return text.as_bytes().to_vec();
    }
    // JavaScript writes bytes as the characters U+0000 to U+00FF; what lies above becomes a byte no header may hold.
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(0)).collect()
}
