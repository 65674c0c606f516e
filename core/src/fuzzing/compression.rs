//! Compressed messages, from a server and to it.

use std::io::Read as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::input::Input;
use super::wire::told;
use crate::failure::Failure;
use crate::transport::compression::{Coded, Coding, Compression, CompressionRules, Encodings};

const FORMATS: [Compression; 2] = [Compression::Deflate, Compression::Gzip];

/// A byte for the format, deflate where it is even and else gzip, two for a limit, and the bytes of a compressed message.
///
/// What can be read is what another reader makes of it, and no more of it is kept than the limit allows ([WIRE-103]). Whatever the bytes were,
/// as a message they come back through the same coders.
pub fn compressed(data: &[u8]) {
    let mut input = Input(data);
    let with = FORMATS[usize::from(input.byte() % 2)];
    let limit = u64::from(u16::from_be_bytes([input.byte(), input.byte()]));
    let all = Encodings::of_bits(i64::MAX);
    let coding = Coding::new(CompressionRules { default: with, sends: all, reads: all });
    let bytes = Bytes::copy_from_slice(input.0);
    let read = |limit| finished(coding.decompress(with, bytes.clone(), limit));
    match read(None) {
        Ok(message) => {
            assert_eq!(by_another(with, &bytes).as_deref(), Some(&message[..]), "{with:?}");
            match read(Some(limit)) {
                Ok(limited) => assert!(limited == message && limited.len() as u64 <= limit),
                Err(Failure::DecompressedTooLarge { .. }) => assert!(message.len() as u64 > limit),
                Err(failure) => panic!("{failure:?}"),
            }
        }
        Err(failure) => {
            assert!(matches!(failure, Failure::Protocol { .. }), "{failure:?}");
            told(&failure);
            assert!(read(Some(limit)).is_err());
        }
    }
    let Some(coded) = coding.compress(with, &bytes) else { return assert!(bytes.is_empty()) };
    let sent = finished(coded);
    assert!(!sent.is_compressed || sent.bytes.len() < bytes.len(), "not smaller than it was");
    let back = if sent.is_compressed { finished(coding.decompress(with, sent.bytes, None)) } else { Ok(sent.bytes) };
    assert_eq!(back.ok(), Some(bytes));
}

/// Polls to the end: a coder only gives others their turn.
fn finished<T>(coded: Coded<T>) -> T {
    let mut coded = pin!(coded);
    loop {
        if let Poll::Ready(value) = coded.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

fn by_another(with: Compression, data: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let read = match with {
        Compression::Gzip => flate2::read::MultiGzDecoder::new(data).read_to_end(&mut message),
        _ => flate2::read::ZlibDecoder::new(data).read_to_end(&mut message),
    };
    read.ok().map(|_| message)
}
