//! One message's way through a format's own encoder or decoder, in parts.

use super::Compression;
use super::flate;
#[cfg(feature = "zstd")]
use super::zstandard;

/// Why compressed data cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

/// What came out of a decoder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// So many bytes.
    pub(super) count: usize,
    /// Nothing more will come: the message is whole, and nothing stands behind it.
    pub(super) is_all: bool,
}

pub(super) enum Encoder {
    Flate(Box<flate::Encoder>),
    #[cfg(feature = "zstd")]
    Zstd(zstandard::Encoder),
}

impl Encoder {
    /// `with` is not identity.
    pub(super) fn new(with: Compression) -> Self {
        match with {
            #[cfg(feature = "zstd")]
            Compression::Zstd => Self::Zstd(zstandard::Encoder::new()),
            Compression::Gzip => Self::Flate(Box::new(flate::Encoder::new(flate::Container::Gzip))),
            Compression::Deflate | Compression::Identity => {
                Self::Flate(Box::new(flate::Encoder::new(flate::Container::Zlib)))
            }
        }
    }

    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Flate(encoder) => encoder.compression(),
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    /// Begins a message, whatever became of the one before.
    pub(super) fn begin(&mut self, output: &mut Vec<u8>) {
        match self {
            Self::Flate(encoder) => encoder.begin(output),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.begin(),
        }
    }

    /// Puts a part of the message in; `false` when the output would have more than `most` bytes.
    pub(super) fn put(&mut self, part: &[u8], is_last: bool, output: &mut Vec<u8>, most: usize) -> bool {
        match self {
            Self::Flate(encoder) => encoder.put(part, is_last, output, most),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.put(part, is_last, output, most),
        }
    }
}

/// Makes room for some more output; `false` when there may be no more.
pub(super) fn make_room(output: &mut Vec<u8>, most: usize) -> bool {
    const FEW: usize = 256;

    let allowed = most.saturating_sub(output.len());
    if output.len() == output.capacity() && allowed > 0 {
        output.reserve_exact(output.len().max(FEW).min(allowed));
    }
    allowed > 0
}

pub(super) enum Decoder {
    Flate(Box<flate::Decoder>),
    #[cfg(feature = "zstd")]
    Zstd(zstandard::Decoder),
}

impl Decoder {
    /// `with` is not identity.
    pub(super) fn new(with: Compression) -> Self {
        match with {
            #[cfg(feature = "zstd")]
            Compression::Zstd => Self::Zstd(zstandard::Decoder::new()),
            Compression::Gzip | Compression::Deflate | Compression::Identity => {
                Self::Flate(Box::new(flate::Decoder::new()))
            }
        }
    }

    pub(super) fn is_for(&self, with: Compression) -> bool {
        match self {
            Self::Flate(_) => matches!(with, Compression::Gzip | Compression::Deflate),
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => with == Compression::Zstd,
        }
    }

    /// Begins a message, whatever became of the one before.
    pub(super) fn begin(&mut self, with: Compression) -> Result<(), Broken> {
        match self {
            Self::Flate(decoder) => decoder.begin(flate::Container::of(with)),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.begin()?,
        }
        Ok(())
    }

    /// Fills the output, which has room, from the rest of the message. It may stay partly empty; each time something is put out, or read, or
    /// it is over.
    pub(super) fn take(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Taken, Broken> {
        match self {
            Self::Flate(decoder) => decoder.take(input, output),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.take(input, output),
        }
    }
}
