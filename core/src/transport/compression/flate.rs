//! Deflate (RFC 1951) in its two containers: zlib's (RFC 1950), which gRPC calls deflate, and gzip's (RFC 1952).

use flate2::{Compress, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::Compression;
use super::coder::{Broken, Taken, make_room};
use super::gzip;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Zlib,
    Gzip,
}

impl Container {
    pub(super) fn of(compression: Compression) -> Self {
        if compression == Compression::Gzip { Self::Gzip } else { Self::Zlib }
    }
}

pub(super) struct Encoder {
    container: Container,
    deflate: Compress,
    /// Of what was put in; gzip's end has it.
    crc: Crc,
}

impl Encoder {
    pub(super) fn new(container: Container) -> Self {
        let deflate = Compress::new(flate2::Compression::default(), container == Container::Zlib);
        Self { container, deflate, crc: Crc::new() }
    }

    pub(super) fn compression(&self) -> Compression {
        match self.container {
            Container::Zlib => Compression::Deflate,
            Container::Gzip => Compression::Gzip,
        }
    }

    pub(super) fn begin(&mut self, output: &mut Vec<u8>) {
        self.deflate.reset();
        self.crc.reset();
        if self.container == Container::Gzip {
            output.extend_from_slice(&gzip::HEAD);
        }
    }

    pub(super) fn put(&mut self, mut part: &[u8], is_last: bool, output: &mut Vec<u8>, most: usize) -> bool {
        if self.container == Container::Gzip {
            self.crc.update(part);
        }
        let flush = if is_last { FlushCompress::Finish } else { FlushCompress::None };
        loop {
            if !make_room(output, most) {
                return false;
            }
            let before = self.deflate.total_in();
            // What an encoder cannot do is as good as what does not help: the message goes as it is.
            let Ok(status) = self.deflate.compress_vec(part, output, flush) else { return false };
            let taken = usize::try_from(self.deflate.total_in() - before).unwrap_or(part.len());
            part = &part[taken..];
            match status {
                Status::StreamEnd => break,
                _ if part.is_empty() && !is_last => return true,
                Status::Ok | Status::BufError => {}
            }
        }
        if self.container == Container::Gzip {
            output.extend_from_slice(&gzip::end(&self.crc));
        }
        output.len() <= most
    }
}

pub(super) struct Decoder {
    container: Container,
    inflate: Decompress,
    /// Of what this member of gzip has put out.
    crc: Crc,
    /// Whether a member's head comes next.
    is_at_head: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { container: Container::Zlib, inflate: Decompress::new(true), crc: Crc::new(), is_at_head: false }
    }

    pub(super) fn begin(&mut self, container: Container) {
        self.container = container;
        self.is_at_head = container == Container::Gzip;
        self.inflate.reset(container == Container::Zlib);
        self.crc.reset();
    }

    pub(super) fn take(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Taken, Broken> {
        if self.is_at_head {
            gzip::skip_head(input)?;
            self.is_at_head = false;
        }
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|_| Broken("its data is corrupt"))?;
        let read = usize::try_from(self.inflate.total_in() - read).unwrap_or(input.len());
        let count = usize::try_from(self.inflate.total_out() - written).unwrap_or(output.len());
        *input = &input[read..];
        if self.container == Container::Gzip {
            self.crc.update(&output[..count]);
        }
        if status != Status::StreamEnd {
            let is_stuck = read == 0 && count == 0;
            return if is_stuck { Err(Broken("it ends too early")) } else { Ok(Taken { count, is_all: false }) };
        }
        if self.container == Container::Gzip {
            gzip::check_end(input, &self.crc)?;
            if !input.is_empty() {
                // RFC 1952 §2.2: another member, whose content belongs behind this one's.
                self.begin(Container::Gzip);
                return Ok(Taken { count, is_all: false });
            }
        }
        if input.is_empty() {
            Ok(Taken { count, is_all: true })
        } else {
            Err(Broken("something stands behind its end"))
        }
    }
}
