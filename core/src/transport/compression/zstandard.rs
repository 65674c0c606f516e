//! Zstandard (RFC 8878), of the library in C. Built in with the feature `zstd`.

use zstd::stream::raw::{self, DParameter, InBuffer, Operation, OutBuffer};

use super::coder::{Broken, Taken, make_room};

/// A decoder keeps a window of what came out; RFC 8878 §3.1.1.1.2 has readers take 8 MB and senders want no more.
const LARGEST_WINDOW_LOG: u32 = 23;

/// `None` when the library could make none: nothing is compressed then, and nothing read.
pub(super) struct Encoder(Option<raw::Encoder<'static>>);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(raw::Encoder::new(zstd::DEFAULT_COMPRESSION_LEVEL).ok())
    }

    pub(super) fn begin(&mut self) {
        self.0 = self.0.take().and_then(|mut encoder| encoder.reinit().is_ok().then_some(encoder));
    }

    pub(super) fn put(&mut self, part: &[u8], is_last: bool, output: &mut Vec<u8>, most: usize) -> bool {
        let Some(encoder) = &mut self.0 else { return false };
        let mut input = InBuffer::around(part);
        loop {
            if !make_room(output, most) {
                return false;
            }
            let at = output.len();
            let mut room = OutBuffer::around_pos(output, at);
            let done = if input.pos() < part.len() {
                encoder.run(&mut input, &mut room).map(|_| !is_last && input.pos() == part.len())
            } else if is_last {
                encoder.finish(&mut room, true).map(|left| left == 0)
            } else {
                Ok(true)
            };
            match done {
                Ok(true) => return output.len() <= most,
                Ok(false) => {}
                Err(_) => return false,
            }
        }
    }
}

pub(super) struct Decoder {
    decoder: Option<raw::Decoder<'static>>,
    /// Whether the frame read last is whole.
    is_at_end: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        let limited = |mut decoder: raw::Decoder<'static>| {
            decoder.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW_LOG)).map(|()| decoder)
        };
        Self { decoder: raw::Decoder::new().and_then(limited).ok(), is_at_end: false }
    }

    pub(super) fn begin(&mut self) -> Result<(), Broken> {
        self.is_at_end = false;
        let decoder = self.decoder.as_mut().ok_or(Broken("its library refuses to read"))?;
        decoder.reinit().map_err(|_| Broken("its library refuses to read"))
    }

    pub(super) fn take(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Taken, Broken> {
        let decoder = self.decoder.as_mut().ok_or(Broken("its library refuses to read"))?;
        let (mut read, mut written) = (InBuffer::around(input), OutBuffer::around(output));
        let wanted = decoder.run(&mut read, &mut written).map_err(|_| Broken("its data is corrupt"))?;
        let (read, count) = (read.pos(), written.pos());
        *input = &input[read..];
        // RFC 8878 §3: frames may follow each other, and their contents belong together.
        self.is_at_end = wanted == 0;
        if input.is_empty() && self.is_at_end {
            return Ok(Taken { count, is_all: true });
        }
        if read == 0 && count == 0 {
            return Err(Broken("it ends too early"));
        }
        Ok(Taken { count, is_all: false })
    }
}
