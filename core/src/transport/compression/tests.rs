use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::task::{Context, Waker};

use proptest::prelude::*;

use super::*;

const BOTH: [Compression; 2] = [Compression::Deflate, Compression::Gzip];

fn with_formats() -> impl Iterator<Item = Compression> {
    Compression::ALL.iter().copied().filter(|compression| *compression != Compression::Identity)
}

fn coding() -> Rc<Coding> {
    let all = Encodings::of_bits(i64::MAX);
    Coding::new(CompressionRules { default: Compression::Identity, sends: all, reads: all })
}

/// Polls to the end; and how often others had their turn meanwhile.
fn finished<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut turns = 0;
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return (value, turns),
            Poll::Pending => turns += 1,
        }
    }
}

fn compress(coding: &Rc<Coding>, with: Compression, message: &Bytes) -> Payload {
    let coded = coding.compress(with, message);
    coded.map_or_else(|| message.clone().into(), |coded| finished(coded).0)
}

fn decompress(with: Compression, message: impl Into<Bytes>, limit: Option<u64>) -> Result<Bytes, Failure> {
    finished(coding().decompress(with, message.into(), limit)).0
}

/// What every other library makes of the data.
fn by_another(with: Compression, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    match with {
        Compression::Deflate => flate2::read::ZlibDecoder::new(data).read_to_end(&mut message),
        Compression::Gzip => flate2::read::GzDecoder::new(data).read_to_end(&mut message),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::Decoder::new(data).expect("a decoder").read_to_end(&mut message),
        Compression::Identity => Ok(message.write(data).expect("written")),
    }
    .expect("valid");
    message
}

fn zeros(size: usize) -> Bytes {
    vec![0; size].into()
}

/// Bytes that no encoder makes fewer.
fn noise(size: usize) -> Bytes {
    let mut state = 1_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

#[test]
fn one_coder_of_a_kind_is_kept_however_many_were_at_work() {
    let coding = coding();
    for with in with_formats() {
        let large = zeros(3 * PART);
        let mut at_work: Vec<_> = (0..3).map(|_| coding.compress(with, &large).expect("to be compressed")).collect();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(at_work.iter_mut().all(|coded| coded.as_mut().poll(&mut cx).is_pending()));
        for coded in at_work {
            let message = finished(coded).0.bytes;
            assert_eq!(finished(coding.decompress(with, message, None)).0.ok(), Some(large.clone()));
        }
    }
    assert_eq!(coding.encoders.borrow().len(), with_formats().count());
    // One reads both of deflate's.
    assert_eq!(coding.decoders.borrow().len(), with_formats().count() - 1);
}

/// [WIRE-110], [WIRE-111]
#[test]
fn names_and_numbers_are_grpcs() {
    for (number, name) in ["identity", "deflate", "gzip"].into_iter().enumerate() {
        let compression = Compression::from_number(number as i64).expect("one of gRPC's");
        assert_eq!(compression.name(), name);
        assert_eq!(Compression::from_name(name), Some(compression));
    }
    assert_eq!(Compression::from_number(Compression::LARGEST + 1), None);
    assert_eq!(Compression::from_name("snappy"), None);
    assert_eq!(Encodings::of_bits(0b111).names(), "identity,deflate,gzip");
    assert_eq!(Encodings::of_bits(0b100).names(), "identity,gzip");
    assert_eq!(Encodings::of_bits(0), Encodings::IDENTITY);
    let listed = Encodings::listed(&HeaderValue::from_static(" gzip ,x-unknown,\tdeflate"));
    assert_eq!(listed.names(), "identity,deflate,gzip");
}

/// [WIRE-98], [WIRE-110]: also by coders that were used before, and given up in the middle.
#[test]
fn others_read_what_is_compressed_and_each_message_stands_alone() {
    for with in with_formats() {
        let coding = coding();
        let mut given_up = coding.compress(with, &zeros(10 * PART)).expect("a coder");
        assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(given_up);
        for size in [64, 1_000, PART, PART + 1, 10 * PART] {
            for round in 0..2 {
                let message = zeros(size);
                let sent = compress(&coding, with, &message);
                assert!(sent.is_compressed && sent.bytes.len() < size, "{with:?}, {size}, round {round}");
                assert_eq!(by_another(with, &sent.bytes), message, "{with:?}, {size}, round {round}");
            }
        }
        assert_eq!(coding.encoders.borrow().len(), 1, "it is kept");
    }
}

/// [WIRE-114], [WIRE-115]
#[test]
fn what_does_not_become_smaller_and_what_is_nothing_stays_as_it_is() {
    for with in with_formats() {
        let coding = coding();
        for message in [Bytes::new(), Bytes::from_static(b"x"), noise(100), noise(3 * PART)] {
            let sent = compress(&coding, with, &message);
            assert_eq!(sent, Payload::from(message), "{with:?}");
        }
        assert!(compress(&coding, with, &zeros(100)).is_compressed, "{with:?}: its coder goes on");
    }
    assert!(coding().compress(Compression::Identity, &zeros(100)).is_none());
}

/// [WIRE-103]
#[test]
fn decompressing_stops_at_the_limit_and_not_before() {
    for with in with_formats() {
        for size in [1_000, PART, 40 * PART] {
            let sent = compress(&coding(), with, &zeros(size)).bytes;
            let size = size as u64;
            assert_eq!(decompress(with, sent.clone(), Some(size)).map(|message| message.len() as u64), Ok(size));
            for limit in [size - 1, size / 2, 0] {
                let stopped = decompress(with, sent.clone(), Some(limit));
                assert_eq!(stopped, Err(Failure::DecompressedTooLarge { limit }), "{with:?}");
            }
            assert!(decompress(with, sent, None).is_ok());
        }
    }
}

#[test]
fn large_messages_leave_others_their_turn() {
    for with in with_formats() {
        let coding = coding();
        let message = zeros(10 * PART);
        let (sent, turns) = finished(coding.compress(with, &message).expect("a coder"));
        assert!(turns >= 9, "{with:?}: {turns}");
        let (received, turns) = finished(coding.decompress(with, sent.bytes, None));
        assert_eq!(received, Ok(message));
        assert!(turns >= 8, "{with:?}: {turns}");
    }
}

/// RFC 1952 §2.2
#[test]
fn an_endless_row_of_empty_members_leaves_others_their_turn() {
    let empty = gzip_of(b"");
    let (received, turns) = finished(coding().decompress(Compression::Gzip, empty.repeat(1_000).into(), Some(10)));
    assert_eq!(received, Ok(Bytes::new()));
    assert!(turns >= 100, "{turns}");
}

fn gzip_of(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message).expect("written");
    encoder.finish().expect("finished")
}

/// RFC 1952 §2.2, §2.3.1
#[test]
fn members_of_gzip_follow_each_other_and_their_heads_may_say_more() {
    let encoder = flate2::GzBuilder::new().filename("name").comment("comment").extra("extra").mtime(1);
    let mut encoder = encoder.write(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"one, ").expect("written");
    let first = encoder.finish().expect("finished");
    let both = [first, gzip_of(b"two")].concat();
    assert_eq!(decompress(Compression::Gzip, both.clone(), Some(8)), Ok(Bytes::from_static(b"one, two")));
    let stopped = decompress(Compression::Gzip, both, Some(7));
    assert_eq!(stopped, Err(Failure::DecompressedTooLarge { limit: 7 }));
}

#[test]
fn a_heads_own_checksum_is_checked() {
    let plain = gzip_of(b"message");
    let mut head = plain[..10].to_vec();
    head[3] = 2;
    let mut crc = flate2::Crc::new();
    crc.update(&head);
    let sum = crc.sum().to_le_bytes();
    let with_sum = |low: u8| [&head[..], &[low, sum[1]], &plain[10..]].concat();
    assert_eq!(decompress(Compression::Gzip, with_sum(sum[0]), None), Ok(Bytes::from_static(b"message")));
    assert!(decompress(Compression::Gzip, with_sum(!sum[0]), None).is_err());
}

/// [WIRE-121]
#[test]
fn broken_data_says_what_is_wrong_and_a_decoder_goes_on_after_it() {
    let coding = coding();
    let words = |with: Compression, message: Vec<u8>| match finished(coding.decompress(with, message.into(), None)).0 {
        Err(Failure::Protocol { rule }) => rule,
        other => panic!("{other:?}"),
    };
    for with in with_formats() {
        let whole = compress(&coding, with, &zeros(1_000)).bytes;
        for end in 0..whole.len() {
            let text = words(with, whole[..end].to_vec());
            assert_eq!(text, format!("the server sent a message that is not valid {}: it ends too early", with.name()));
        }
        let text = words(with, [&whole[..], b"behind"].concat());
        assert!(text.contains(with.name()), "{text}");
        assert_eq!(finished(coding.decompress(with, whole, None)).0, Ok(zeros(1_000)), "{with:?}");
    }
    let whole = gzip_of(b"message");
    let mut other_sum = whole.clone();
    let at = other_sum.len() - 8;
    other_sum[at] ^= 1;
    assert!(words(Compression::Gzip, other_sum).ends_with("its checksum does not fit"));
    assert!(words(Compression::Gzip, b"plain text".to_vec()).ends_with("it does not begin as gzip does"));
    assert!(words(Compression::Deflate, whole).ends_with("its data is corrupt"), "gzip is not deflate");
    // RFC 1951 without RFC 1950 around it.
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    raw.write_all(b"message").expect("written");
    assert!(words(Compression::Deflate, raw.finish().expect("finished")).ends_with("its data is corrupt"));
}

/// [WIRE-116], [WIRE-122]: the newest word holds.
#[test]
fn what_the_server_does_not_list_is_not_used_until_it_does() {
    let sends = Encodings::of_bits(0b101);
    let rules = CompressionRules { default: Compression::Gzip, sends, reads: Encodings::IDENTITY };
    let coding = Coding::new(rules);
    assert_eq!(coding.choose(None), Compression::Gzip, "before it has said anything");
    assert_eq!(coding.choose(Some(Compression::Identity)), Compression::Identity);
    assert_eq!(coding.choose(Some(Compression::Deflate)), Compression::Identity, "turned off");
    coding.on_told(&HeaderValue::from_static("identity,deflate"));
    assert_eq!(coding.choose(None), Compression::Identity);
    assert_eq!(coding.choose(Some(Compression::Deflate)), Compression::Identity, "still turned off");
    coding.on_told(&HeaderValue::from_static("identity, deflate, gzip"));
    assert_eq!(coding.choose(None), Compression::Gzip);
}

/// [WIRE-118], [WIRE-119]
#[test]
fn an_encoding_that_was_not_offered_is_not_read() {
    let sends = Encodings::of_bits(0b111);
    let rules = CompressionRules { default: Compression::Identity, sends, reads: Encodings::of_bits(0b101) };
    let coding = Coding::new(rules);
    let encoding = |name: &'static str| coding.encoding(&HeaderValue::from_static(name));
    assert_eq!(encoding("gzip"), Encoding::Known(Compression::Gzip));
    assert_eq!(encoding("identity"), Encoding::None);
    assert_eq!(encoding("deflate"), Encoding::NotOffered("deflate".into()), "turned off");
    let Err(Failure::Protocol { rule }) = encoding("snappy").of_compressed() else { panic!("read") };
    assert!(rule.contains("\"snappy\""), "{rule}");
}

proptest! {
    #[test]
    fn every_message_is_the_same_afterwards(message in prop::collection::vec(0_u8..4, 0..3_000), of in 0_usize..2) {
        let message = Bytes::from(message);
        let sent = compress(&coding(), BOTH[of], &message);
        if sent.is_compressed {
            prop_assert!(sent.bytes.len() < message.len());
            prop_assert_eq!(decompress(BOTH[of], sent.bytes, Some(message.len() as u64)), Ok(message));
        } else {
            prop_assert_eq!(sent.bytes, message);
        }
    }

    /// Whatever comes: an end, and never more than the limit.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), of in 0_usize..2, flip in any::<prop::sample::Index>()) {
        let mut valid = compress(&coding(), BOTH[of], &zeros(500)).bytes.to_vec();
        let at = flip.index(valid.len());
        valid[at] = valid[at].wrapping_add(bytes.len() as u8);
        for message in [bytes, valid] {
            if let Ok(message) = decompress(BOTH[of], message, Some(600)) {
                prop_assert!(message.len() <= 600);
            }
        }
    }
}
