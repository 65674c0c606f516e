//! The frames the server reads and writes, RFC 9113 §4 and §6.

pub(super) const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

/// Every client takes frames of this length without being asked.
pub(super) const LARGEST_PAYLOAD: usize = 16_384;

/// A frame's header.
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Reads the header in front of `bytes`, if it is whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEADER] = bytes.first_chunk()?;
        Some(Self {
            length: u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize,
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]) & 0x7fff_ffff,
        })
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

/// The two header blocks a server of gRPC sends. The first of each kind teaches the client's table, as real servers do; later
/// ones are references of a byte (RFC 7541 §6.1, §6.2.1).
#[derive(Default)]
pub(super) struct Blocks {
    has_taught_head: bool,
    has_taught_trailers: bool,
    /// Set when the client keeps no table of the usual size: nothing is taught then.
    pub(super) is_tableless: bool,
}

/// `:status 200` is entry 8 of the static table.
const STATUS_200: u8 = 0x88;
/// `content-type` is entry 31; 0x5f is a literal that is taught, 0x0f 0x10 one that is not.
const CONTENT_TYPE: &[u8] = b"\x10application/grpc";
const GRPC_STATUS: &[u8] = b"\x0bgrpc-status\x010";

impl Blocks {
    pub(super) fn put_head(&mut self, out: &mut Vec<u8>, stream: u32) {
        let mut block = vec![STATUS_200];
        if self.is_tableless {
            block.extend_from_slice(&[0x0f, 0x10]);
            block.extend_from_slice(CONTENT_TYPE);
        } else if self.has_taught_head {
            // The newest entry of the dynamic table has the index 62.
            let index = if self.has_taught_trailers { 63 } else { 62 };
            put(out, HEADERS, END_HEADERS, stream, &[STATUS_200, 0x80 | index]);
            return;
        } else {
            self.has_taught_head = true;
            block.push(0x5f);
            block.extend_from_slice(CONTENT_TYPE);
        }
        put(out, HEADERS, END_HEADERS, stream, &block);
    }

    /// Only after [`Blocks::put_head`] of the same connection.
    pub(super) fn put_trailers(&mut self, out: &mut Vec<u8>, stream: u32) {
        let flags = END_HEADERS | END_STREAM;
        if self.has_taught_trailers && !self.is_tableless {
            return put(out, HEADERS, flags, stream, &[0x80 | 62]);
        }
        let mut block = vec![if self.is_tableless { 0x00 } else { 0x40 }];
        block.extend_from_slice(GRPC_STATUS);
        self.has_taught_trailers = !self.is_tableless;
        put(out, HEADERS, flags, stream, &block);
    }
}
