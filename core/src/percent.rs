//! Percent-decoding that never fails: what is no escape stays as it is ([NAME-5], [WIRE-140]). Pure.

/// Decodes every `%` that two hexadecimal digits follow.
pub(crate) fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| first == b'%');
        match digits.and_then(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)) {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    decoded
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        for (encoded, decoded) in [
            ("a%20b", "a b"),
            ("%41%6a", "Aj"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%ZZ", "%ZZ"),
            ("%+1", "%+1"),
            ("%%41", "%A"),
            ("", ""),
        ] {
            assert_eq!(decode(encoded.as_bytes()), decoded.as_bytes(), "{encoded}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// [NAME-5]
        #[test]
        fn any_bytes_come_back_from_their_escapes(bytes in prop::collection::vec((any::<u8>(), any::<bool>()), 0..40)) {
            let escaped = |&(byte, is_escaped): &(u8, bool)| {
                if is_escaped || byte == b'%' { format!("%{byte:02x}").into_bytes() } else { vec![byte] }
            };
            let encoded: Vec<u8> = bytes.iter().flat_map(escaped).collect();
            prop_assert_eq!(decode(&encoded), bytes.into_iter().map(|(byte, _)| byte).collect::<Vec<_>>());
        }
    }
}
