//! Frames and header blocks as bytes, RFC 9113 §4 and §6, RFC 7541 §6.

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 32;

pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

/// Every client takes frames of this length without being asked.
pub(super) const LARGEST_PAYLOAD: usize = 16_384;
/// What a stream and a connection may be sent at first, RFC 9113 §6.9.2.
pub(super) const FIRST_WINDOW: u32 = 65_535;

/// One whole frame that came.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`, if it is whole.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let head: &[u8; HEADER] = bytes.first_chunk()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = bytes.get(HEADER..HEADER + length)?;
        Some(Self { kind: head[3], flags: head[4], stream: number(&head[5..]) & 0x7fff_ffff, payload })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without padding and, on HEADERS, without the deprecated priority.
    pub(super) fn content(&self) -> &'a [u8] {
        let mut content = self.payload;
        if self.has(PADDED) {
            let Some((padding, rest)) = content.split_first() else { return content };
            content = &rest[..rest.len().saturating_sub(usize::from(*padding))];
        }
        if self.kind == HEADERS && self.has(PRIORITY) { content.get(5..).unwrap_or_default() } else { content }
    }
}

/// The first four bytes as a number; zero when there are fewer.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Appends a whole frame.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let stream = stream.to_be_bytes();
    out.extend_from_slice(&[length[1], length[2], length[3], kind, flags, stream[0], stream[1], stream[2], stream[3]]);
    out.extend_from_slice(payload);
}

/// Appends DATA, with padding if so wanted.
pub(super) fn put_data(out: &mut Vec<u8>, stream: u32, data: &[u8], padding: Option<u8>) {
    match padding {
        None => put(out, DATA, 0, stream, data),
        Some(length) => {
            let padded = [&[length][..], data, &vec![0; usize::from(length)]].concat();
            put(out, DATA, PADDED, stream, &padded);
        }
    }
}

/// Appends SETTINGS with these values.
pub(super) fn put_settings(out: &mut Vec<u8>, settings: impl Iterator<Item = (u16, u32)>) {
    let mut payload = Vec::new();
    for (id, value) in settings {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    put(out, SETTINGS, 0, 0, &payload);
}

/// Appends GOAWAY, RFC 9113 §6.8.
pub(super) fn put_goaway(out: &mut Vec<u8>, last_stream: u32, code: u32, debug: &str) {
    let payload = [&last_stream.to_be_bytes()[..], &code.to_be_bytes(), debug.as_bytes()].concat();
    put(out, GOAWAY, 0, 0, &payload);
}

/// Appends HEADERS of literals without indexing, RFC 7541 §6.2.2, so that no state is shared with the client.
pub(super) fn put_headers(out: &mut Vec<u8>, stream: u32, is_last: bool, fields: &[(&str, &str)]) {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        put_text(&mut block, name);
        put_text(&mut block, value);
    }
    put(out, HEADERS, END_HEADERS | if is_last { END_STREAM } else { 0 }, stream, &block);
}

/// A string without Huffman's code: its length with a prefix of 7 bits (§5.1), then its bytes.
fn put_text(block: &mut Vec<u8>, text: &str) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_frame_is_read_back_and_half_of_it_is_none() {
        let mut out = Vec::new();
        put(&mut out, DATA, END_STREAM, 5, b"hello");
        let frame = Frame::read(&out).expect("a frame");
        assert_eq!((frame.kind, frame.flags, frame.stream, frame.payload), (DATA, END_STREAM, 5, &b"hello"[..]));
        assert!(Frame::read(&out[..out.len() - 1]).is_none());
    }

    #[test]
    fn written_headers_are_what_a_library_reads() {
        let long = "x".repeat(300);
        let mut out = Vec::new();
        put_headers(&mut out, 1, true, &[(":status", "200"), ("grpc-message", &long)]);
        let frame = Frame::read(&out).expect("a frame");
        assert_eq!(frame.flags, END_HEADERS | END_STREAM);
        let fields = loona_hpack::Decoder::new().decode(frame.content()).expect("a header block");
        assert_eq!(fields[1], (b"grpc-message".to_vec(), long.into_bytes()));
    }

    #[test]
    fn written_padding_is_read_past() {
        let mut out = Vec::new();
        put_data(&mut out, 1, b"hello", Some(255));
        let frame = Frame::read(&out).expect("a frame");
        assert_eq!((frame.payload.len(), frame.content()), (261, &b"hello"[..]));
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let frame =
            Frame { kind: HEADERS, flags: PADDED | PRIORITY, stream: 1, payload: &[2, 0, 0, 0, 0, 9, 0x82, 0, 0] };
        assert_eq!(frame.content(), [0x82]);
    }
}
