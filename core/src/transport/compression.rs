//! Compression of messages: its names, what a channel knows of its server's, and one message at a time through a coder.
//!
//! Each message is compressed by itself ([WIRE-98]), on the loop. A large one leaves others their turn after every part, and whoever waits
//! for it may be dropped at any time.

mod coder;
mod flate;
mod gzip;
#[cfg(feature = "zstd")]
mod zstandard;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderValue;

use super::message::Payload;
use crate::failure::Failure;
use coder::{Decoder, Encoder};

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// They are not.
    #[default]
    Identity,
    /// The zlib format (RFC 1950), which gRPC calls `deflate` ([WIRE-110]).
    Deflate,
    /// RFC 1952.
    Gzip,
    /// RFC 8878. Not one of gRPC's own; few servers have it.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compression {
    const ALL: &[Self] = &[
        Self::Identity,
        Self::Deflate,
        Self::Gzip,
        #[cfg(feature = "zstd")]
        Self::Zstd,
    ];

    /// The largest number there is.
    pub(crate) const LARGEST: i64 = Self::ALL.len() as i64 - 1;

    /// The name in `grpc-encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// What has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|compression| compression.name() == name)
    }

    /// What has this number among gRPC's, as in `grpc.default_compression_algorithm`: 0 identity, 1 deflate, 2 gzip; 3 is zstd where it is
    /// built in.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied()
    }
}

/// A set of compressions; identity is always in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encodings(u8);

impl Encodings {
    pub(crate) const IDENTITY: Self = Self(1);

    /// All of this build whose bits are set: gRPC's numbers are their places ([OPT-7] of the bitset: identity cannot be cleared).
    pub(crate) fn of_bits(bits: i64) -> Self {
        let has = |compression: &Compression| bits & (1 << *compression as u8) != 0;
        Compression::ALL.iter().copied().filter(has).fold(Self::IDENTITY, Self::with)
    }

    /// What a `grpc-accept-encoding` lists; names nobody knows are passed over ([WIRE-111]).
    fn listed(value: &HeaderValue) -> Self {
        let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let known = names.filter_map(|name| Compression::from_name(std::str::from_utf8(name).ok()?));
        known.fold(Self::IDENTITY, Self::with)
    }

    fn with(self, compression: Compression) -> Self {
        Self(self.0 | 1 << compression as u8)
    }

    pub(crate) fn has(self, compression: Compression) -> bool {
        self.0 & (1 << compression as u8) != 0
    }

    /// As `grpc-accept-encoding` lists them.
    pub(crate) fn names(self) -> &'static str {
        /// By the bits behind identity's.
        const NAMES: [&str; 8] = [
            "identity",
            "identity,deflate",
            "identity,gzip",
            "identity,deflate,gzip",
            "identity,zstd",
            "identity,deflate,zstd",
            "identity,gzip,zstd",
            "identity,deflate,gzip,zstd",
        ];
        NAMES[usize::from(self.0 >> 1) % NAMES.len()]
    }
}

/// What a channel's options say of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompressionRules {
    /// Of calls that say nothing.
    pub(crate) default: Compression,
    /// What may be sent.
    pub(crate) sends: Encodings,
    /// What is offered to servers, and read.
    pub(crate) reads: Encodings,
}

/// What a response's messages are compressed with, where their flag says that they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Nothing was named, or identity.
    #[default]
    None,
    Known(Compression),
    /// Something that was not offered.
    NotOffered(Box<str>),
}

impl Encoding {
    /// What a compressed message is read with.
    ///
    /// # Errors
    /// [WIRE-118], [WIRE-119]: nobody knows.
    pub(super) fn of_compressed(&self) -> Result<Compression, Failure> {
        let rule = match self {
            Self::Known(compression) => return Ok(*compression),
            Self::None => "the server sent a compressed message and did not say with what (grpc-encoding)".to_owned(),
            Self::NotOffered(name) => {
                format!("the server sent a message compressed with {name:?}, which was not offered to it")
            }
        };
        Err(Failure::Protocol { rule })
    }
}

/// A message on its way through a coder.
pub(crate) type Coded<T> = Pin<Box<dyn Future<Output = T>>>;

/// What a channel knows of compression, and the coders it keeps: making one costs more than a small message.
pub(crate) struct Coding {
    rules: CompressionRules,
    /// The server's newest word of what it reads ([WIRE-116]).
    told: RefCell<Option<HeaderValue>>,
    accepted: Cell<Encodings>,
    /// One of a kind at most.
    encoders: RefCell<Vec<Encoder>>,
    decoders: RefCell<Vec<Decoder>>,
}

/// So much is put into an encoder, or taken out of a decoder, at a time: about a millisecond's work at most.
const PART: usize = 32 << 10;

/// The least room a decoder is given.
const FEW: usize = 64;

/// What a decoder does also where little comes out, counted in bytes: an endless row of empty members of gzip is work.
const WORK_OF_NOTHING: usize = PART / 8;

impl Coding {
    pub(crate) fn new(rules: CompressionRules) -> Rc<Self> {
        Rc::new(Self {
            rules,
            told: RefCell::default(),
            accepted: Cell::new(rules.sends),
            encoders: RefCell::default(),
            decoders: RefCell::default(),
        })
    }

    /// What a call's messages are compressed with: what the call wants, else the channel; nothing, where that is turned off or the server has
    /// said that it cannot read it ([WIRE-116]).
    pub(crate) fn choose(&self, wanted: Option<Compression>) -> Compression {
        let wanted = wanted.unwrap_or(self.rules.default);
        if self.accepted.get().has(wanted) { wanted } else { Compression::Identity }
    }

    /// A server has said what it reads.
    pub(super) fn on_told(&self, value: &HeaderValue) {
        let mut told = self.told.borrow_mut();
        if told.as_ref() != Some(value) {
            self.accepted.set(Encodings(self.rules.sends.0 & Encodings::listed(value).0));
            *told = Some(value.clone());
        }
    }

    /// What a `grpc-encoding` of a response means.
    pub(super) fn encoding(&self, value: &HeaderValue) -> Encoding {
        let name = String::from_utf8_lossy(value.as_bytes());
        match Compression::from_name(&name) {
            Some(Compression::Identity) => Encoding::None,
            Some(compression) if self.rules.reads.has(compression) => Encoding::Known(compression),
            _ => Encoding::NotOffered(name.into()),
        }
    }

    /// Compresses a message; `None` where that is not to be. One that would not become smaller stays as it is ([WIRE-114], [WIRE-115]).
    pub(crate) fn compress(self: &Rc<Self>, with: Compression, message: &Bytes) -> Option<Coded<Payload>> {
        if with == Compression::Identity || message.is_empty() {
            return None;
        }
        let (coding, message) = (Rc::clone(self), message.clone());
        Some(Box::pin(async move {
            let kept = take(&mut coding.encoders.borrow_mut(), |encoder| encoder.compression() == with);
            let mut encoder = kept.unwrap_or_else(|| Encoder::new(with));
            let compressed = compressed(&mut encoder, &message).await;
            keep(&mut coding.encoders.borrow_mut(), encoder, |other| other.compression() == with);
            compressed.map_or_else(|| message.into(), Payload::compressed)
        }))
    }

    /// Decompresses a message, and stops as soon as it is larger than the limit ([WIRE-103]). The error is INTERNAL for what is broken
    /// ([WIRE-121]).
    pub(crate) fn decompress(
        self: &Rc<Self>,
        with: Compression,
        message: Bytes,
        limit: Option<u64>,
    ) -> Coded<Result<Bytes, Failure>> {
        let coding = Rc::clone(self);
        Box::pin(async move {
            let kept = take(&mut coding.decoders.borrow_mut(), |decoder| decoder.is_for(with));
            let mut decoder = kept.unwrap_or_else(|| Decoder::new(with));
            let message = decompressed(&mut decoder, with, &message, limit).await;
            keep(&mut coding.decoders.borrow_mut(), decoder, |other| other.is_for(with));
            message
        })
    }
}

/// Takes the one that fits.
fn take<T>(coders: &mut Vec<T>, fits: impl Fn(&T) -> bool) -> Option<T> {
    coders.iter().position(fits).map(|at| coders.swap_remove(at))
}

/// Keeps a coder, unless there is one like it: several messages were coded at once then.
fn keep<T>(coders: &mut Vec<T>, coder: T, is_alike: impl Fn(&T) -> bool) {
    if !coders.iter().any(is_alike) {
        coders.push(coder);
    }
}

/// `None` when the message would not become smaller.
async fn compressed(encoder: &mut Encoder, message: &[u8]) -> Option<Bytes> {
    let most = message.len() - 1;
    let mut output = Vec::new();
    encoder.begin(&mut output);
    let mut parts = message.chunks(PART).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if !encoder.put(part, is_last, &mut output, most) {
            return None;
        }
        if !is_last {
            let_others().await;
        }
    }
    Some(output.into())
}

async fn decompressed(
    decoder: &mut Decoder,
    with: Compression,
    message: &[u8],
    limit: Option<u64>,
) -> Result<Bytes, Failure> {
    let broken = |broken: coder::Broken| Failure::Protocol {
        rule: format!("the server sent a message that is not valid {}: {}", with.name(), broken.0),
    };
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut input = message;
    let mut output = Vec::new();
    decoder.begin(with).map_err(broken)?;
    let mut work = 0;
    loop {
        let there = output.len();
        // Most messages become a few times as large; one that does not costs no more than it has.
        let wanted = there.max(message.len().saturating_mul(4)).clamp(FEW, PART);
        // One more than the limit, to see whether it is passed.
        let room = limit.map_or(wanted, |limit| wanted.min((limit - there).saturating_add(1)));
        output.resize(there + room, 0);
        let taken = decoder.take(&mut input, &mut output[there..]).map_err(broken)?;
        output.truncate(there + taken.count);
        if let Some(limit) = limit.filter(|limit| output.len() > *limit) {
            return Err(Failure::DecompressedTooLarge { limit: limit as u64 });
        }
        if taken.is_all {
            output.shrink_to_fit();
            return Ok(output.into());
        }
        work += taken.count.max(WORK_OF_NOTHING);
        if work >= PART {
            work = 0;
            let_others().await;
        }
    }
}

/// Lets everybody else who is ready have a turn.
async fn let_others() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
