//! Protobuf messages read in place, as far as the protocol itself has them: what a server says of its load, and why a call failed.
//!
//! A reader gives fields one by one and copies nothing, so it costs no more than the message's length, whatever the message says.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// A whole number or a boolean; a negative one in two's complement.
    Varint(u64),
    Double(f64),
    /// A string or a message.
    Bytes(&'a [u8]),
    /// A number of a type that nothing here has.
    Other,
}

/// What is left of a message: gives its fields by number, and `None` once and last where it is malformed.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        const VARINT: u32 = 0;
        const FIXED_64: u32 = 1;
        const LENGTH_DELIMITED: u32 = 2;
        const FIXED_32: u32 = 5;

        let tag = u32::try_from(self.varint()?).ok()?;
        let value = match tag & 7 {
            VARINT => Value::Varint(self.varint()?),
            FIXED_64 => Value::Double(f64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            LENGTH_DELIMITED => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED_32 => self.take(4).map(|_| Value::Other)?,
            // Groups, which these messages' language does not have, and numbers that mean nothing.
            _ => return None,
        };
        let number = tag >> 3;
        (number > 0).then_some((number, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_come_in_order_with_their_numbers() {
        let message =
            b"\x08\x96\x01\x12\x02ab\x1d\0\0\0\0\x21\0\0\0\0\0\0\xf0\x3f\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let wanted = [
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Other),
            (4, Value::Double(1.0)),
            (5, Value::Varint(u64::MAX)),
        ];
        assert_eq!(Fields::of(message).collect::<Vec<_>>(), wanted.map(Some));
    }

    #[test]
    fn what_is_malformed_ends_the_message() {
        let malformed: [&[u8]; 8] = [
            b"\x08",
            b"\x08\x80",
            b"\x12\x03ab",
            b"\x1d\0\0",
            b"\x21\0",
            b"\x0b",
            b"\x00\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ];
        for bytes in malformed {
            let message = [b"\x08\x01", bytes].concat();
            let read: Vec<_> = Fields::of(&message).collect();
            assert_eq!(read, [Some((1, Value::Varint(1))), None], "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(message in proptest::collection::vec(any::<u8>(), 0..64)) {
            let read: Vec<_> = Fields::of(&message).collect();
            prop_assert!(read.len() <= message.len());
            prop_assert!(read.iter().rev().skip(1).all(Option::is_some));
        }
    }
}
