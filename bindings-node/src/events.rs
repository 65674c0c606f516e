//! Events on their way to JavaScript: [`FIELDS`] numbers each in a header array, their bytes in a slab.
//!
//! The buffers belong to JavaScript and are used again for every batch, so an event costs no object and no crossing
//! of its own. JavaScript's half is `lib/environment.cjs`; numbers and order of the fields are agreed between the two.
//!
//! A message of at most 4 KiB is copied into the slab (JavaScript copies it out), one of at most 64 KiB into a buffer
//! of its own, and a larger one is handed over as it is; so no small message can hold a slab or another message.

use std::collections::VecDeque;

use bytes::Bytes;
use linkspan_core::{CallEnd, Completion, Event, Metadata, State, UnaryEnd};
use napi::bindgen_prelude::{Array, BufferSlice};
use napi::{Env, Result};

use crate::call::Open;
use crate::metadata;

/// Numbers per event: slot, kind, code, flags, text place, text length, message place, message length.
pub(crate) const FIELDS: usize = 8;

/// Added to the number of events when JavaScript has to come back by itself.
pub(crate) const MORE: u32 = 0x10000;

/// The length of a text that is the same as the one before of its kind.
const AS_BEFORE: f64 = -1.0;

/// Copied twice at most: into the slab and out of it.
const SLAB_MESSAGE: usize = 4 * 1024;

/// Above this an external buffer costs less than a copy.
const COPIED_MESSAGE: usize = 64 * 1024;

#[derive(Clone, Copy)]
enum Kind {
    Unary = 0,
    Headers = 1,
    Message = 2,
    Writable = 3,
    Status = 4,
    Connectivity = 5,
}

/// Bits of the flags field.
const LOCAL: u8 = 1;
const TIMED_OUT: u8 = 4;

/// Room for one event's text; kept, so that a batch allocates nothing.
#[derive(Default)]
pub(crate) struct Encoder {
    text: Vec<u8>,
    /// Second scratch: a block is measured before it is written.
    block: Vec<u8>,
    /// The texts JavaScript has, by what they tell: the next one is often the same, and need not cross and be read again.
    last_end: Vec<u8>,
    last_headers: Vec<u8>,
}

/// One event as numbers, and the message it carries.
struct Record {
    kind: Kind,
    code: f64,
    flags: u8,
    message: Option<Bytes>,
}

/// Where the bytes of a batch go: header, slab, and the array of separate buffers.
pub(crate) type Buffers<'a, 'env> = (&'a mut [f64], &'a mut [u8], &'a mut Array<'env>);

impl Encoder {
    /// Moves events out of `pending` until it, the header or the slab is used up.
    pub(crate) fn encode(
        &mut self,
        env: Env,
        pending: &mut VecDeque<Completion>,
        open: &mut [Option<Open>],
        (header, slab, large): Buffers<'_, '_>,
    ) -> Result<u32> {
        let result = self.encode_batch(Batch { env, slab, used: 0, large, separate: 0 }, pending, open, header);
        if result.is_err() {
            // JavaScript sees nothing of this batch.
            self.last_end.clear();
            self.last_headers.clear();
        }
        result
    }

    fn encode_batch(
        &mut self,
        mut batch: Batch<'_, '_>,
        pending: &mut VecDeque<Completion>,
        open: &mut [Option<Open>],
        header: &mut [f64],
    ) -> Result<u32> {
        let mut events = 0;
        for fields in header.chunks_exact_mut(FIELDS) {
            let Some(completion) = pending.front() else { break };
            self.text.clear();
            write_text(&completion.event, &mut self.text, &mut self.block);
            let is_headers = matches!(completion.event, Event::Headers { .. });
            if !batch.has_room(self.text.len(), message_length(&completion.event)) {
                break;
            }
            let Some(Completion { tag, event }) = pending.pop_front() else {
                break;
            };
            let Some(record) = settle(tag, event, open) else {
                fields[0] = -1.0;
                events += 1;
                continue;
            };
            let (text_place, text_length) = self.put_text(&mut batch, is_headers)?;
            let (message_place, message_length) = batch.put_message(record.message)?;
            let slot = crate::metrics::number(tag);
            let kind = f64::from(record.kind as u8);
            let flags = f64::from(record.flags);
            fields.copy_from_slice(&[
                slot,
                kind,
                record.code,
                flags,
                text_place,
                text_length,
                message_place,
                message_length,
            ]);
            events += 1;
        }
        Ok(events)
    }
}

impl Encoder {
    /// Puts the text into the batch, unless JavaScript has it.
    fn put_text(&mut self, batch: &mut Batch<'_, '_>, is_headers: bool) -> Result<(f64, f64)> {
        if self.text.is_empty() {
            return Ok((0.0, 0.0));
        }
        let last = if is_headers { &mut self.last_headers } else { &mut self.last_end };
        if *last == self.text {
            return Ok((0.0, AS_BEFORE));
        }
        let placed = batch.put_text(&self.text)?;
        std::mem::swap(last, &mut self.text);
        Ok(placed)
    }
}

/// The event as numbers. Final events close their slot; None for an event JavaScript need not see.
fn settle(tag: u64, event: Event, open: &mut [Option<Open>]) -> Option<Record> {
    let slot = usize::try_from(tag).ok().and_then(|slot| open.get_mut(slot));
    let plain = |kind| Record { kind, code: 0.0, flags: 0, message: None };
    match event {
        Event::Headers { .. } => Some(plain(Kind::Headers)),
        Event::Message(message) => Some(Record { message: Some(message), ..plain(Kind::Message) }),
        Event::Writable => {
            let told = slot.and_then(Option::as_mut).is_some_and(Open::writable);
            told.then(|| plain(Kind::Writable))
        }
        Event::Unary(end) => {
            slot.map(Option::take);
            let UnaryEnd { end, message, .. } = *end;
            Some(Record { kind: Kind::Unary, code: code_of(&end), flags: flags_of(&end), message })
        }
        Event::Status(end) => {
            slot.map(Option::take);
            Some(Record { kind: Kind::Status, code: code_of(&end), flags: flags_of(&end), message: None })
        }
        Event::Connectivity { state, timed_out } => {
            slot.map(Option::take);
            let flags = if timed_out { TIMED_OUT } else { 0 };
            Some(Record { code: state_number(state), flags, ..plain(Kind::Connectivity) })
        }
    }
}

/// Everything of an event that is words: netstrings, in an order that depends on the kind.
fn write_text(event: &Event, text: &mut Vec<u8>, block: &mut Vec<u8>) {
    match event {
        Event::Unary(unary) => {
            write_end(&unary.end, text, block);
            if let Some(initial) = &unary.initial {
                write_metadata(initial, text, block);
            }
        }
        Event::Headers { initial, peer } => {
            metadata::encode_bytes(peer.as_bytes(), text);
            write_metadata(initial, text, block);
        }
        Event::Status(end) => write_end(end, text, block),
        Event::Message(_) | Event::Writable | Event::Connectivity { .. } => {}
    }
}

fn write_end(end: &CallEnd, text: &mut Vec<u8>, block: &mut Vec<u8>) {
    metadata::encode_bytes(end.peer.as_deref().unwrap_or("").as_bytes(), text);
    metadata::encode_bytes(end.status.message().as_bytes(), text);
    write_metadata(&end.trailing, text, block);
}

fn write_metadata(metadata: &Metadata, text: &mut Vec<u8>, block: &mut Vec<u8>) {
    block.clear();
    metadata::encode(metadata, block);
    metadata::encode_bytes(block, text);
}

fn message_length(event: &Event) -> usize {
    match event {
        Event::Message(message) => message.len(),
        Event::Unary(unary) => unary.message.as_ref().map_or(0, Bytes::len),
        Event::Headers { .. } | Event::Writable | Event::Status(_) | Event::Connectivity { .. } => 0,
    }
}

/// The number the peer sent, also outside 0 to 16: which of the two a face shows is the face's choice.
fn code_of(end: &CallEnd) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a status code of more than 53 bits means nothing to anybody")]
    let code = end.status.raw_code() as f64;
    code
}

fn flags_of(end: &CallEnd) -> u8 {
    if end.local { LOCAL } else { 0 }
}

fn state_number(state: State) -> f64 {
    f64::from(state as u8)
}

/// The buffers of one batch and how far they are filled. A place below zero, -1 - i, means the i-th separate buffer.
struct Batch<'a, 'env> {
    env: Env,
    slab: &'a mut [u8],
    used: usize,
    large: &'a mut Array<'env>,
    separate: u32,
}

impl Batch<'_, '_> {
    fn has_room(&self, text: usize, message: usize) -> bool {
        let message = if message <= SLAB_MESSAGE { message } else { 0 };
        let text = if text <= self.slab.len() - SLAB_MESSAGE { text } else { 0 };
        self.used + text + message <= self.slab.len()
    }

    fn put_text(&mut self, text: &[u8]) -> Result<(f64, f64)> {
        let place = if text.len() <= self.slab.len() - SLAB_MESSAGE {
            self.put_in_slab(text)
        } else {
            self.put_apart(BufferSlice::copy_from(&self.env, text)?)?
        };
        Ok((place, length(text.len())))
    }

    /// A length below zero means that there is no message, which an empty one is not.
    fn put_message(&mut self, message: Option<Bytes>) -> Result<(f64, f64)> {
        let Some(message) = message else { return Ok((0.0, -1.0)) };
        let size = message.len();
        let place = if size <= SLAB_MESSAGE {
            self.put_in_slab(&message)
        } else if size <= COPIED_MESSAGE {
            self.put_apart(BufferSlice::copy_from(&self.env, &message)?)?
        } else {
            // External where the runtime allows it, else a copy; the choice is made inside.
            self.put_apart(BufferSlice::from_data(&self.env, Vec::from(message))?)?
        };
        Ok((place, length(size)))
    }

    fn put_in_slab(&mut self, bytes: &[u8]) -> f64 {
        let place = self.used;
        self.used += bytes.len();
        self.slab[place..self.used].copy_from_slice(bytes);
        length(place)
    }

    fn put_apart(&mut self, buffer: BufferSlice<'_>) -> Result<f64> {
        self.large.set(self.separate, buffer)?;
        self.separate += 1;
        Ok(-f64::from(self.separate))
    }
}

fn length(bytes: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no buffer is longer than 2^53 bytes")]
    let bytes = bytes as f64;
    bytes
}
