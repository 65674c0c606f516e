//! The server's side of an attack: bytes out, whatever they are, while what the client says is heard and remembered.
//!
//! Writing never fails and never waits for ever because of the client: one that closes has only ended the attack.

use std::collections::{BTreeMap, VecDeque};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) use crate::peer::raw::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use crate::peer::server::Server;

pub(crate) const PRIORITY: u8 = 2;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const PADDED: u8 = 8;

/// A frame's bytes, RFC 9113 §4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("fits a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A setting of a SETTINGS frame.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// An integer of HPACK with a prefix of so many bits, RFC 7541 §5.1; `first` holds what is above them.
fn integer(first: u8, bits: u8, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).expect("small")];
    }
    let mut bytes = vec![first | u8::try_from(most).expect("small")];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("small") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("small"));
    bytes
}

/// A field as a literal without indexing, RFC 7541 §6.2.2, whatever its bytes.
pub(crate) fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let text = |bytes: &[u8]| [integer(0, 7, bytes.len()), bytes.to_vec()].concat();
    [vec![0], text(name.as_ref()), text(value.as_ref())].concat()
}

/// A header block of fields.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// A change of the size of HPACK's table, RFC 7541 §6.3.
pub(crate) fn table_size(size: usize) -> Vec<u8> {
    integer(0x20, 5, size)
}

/// HEADERS with a block of any length, cut into CONTINUATION frames; `flags` are those of HEADERS.
pub(crate) fn headers_of(stream: u32, block: &[u8], flags: u8) -> Vec<u8> {
    let mut pieces = block.chunks(16_384).peekable();
    let mut bytes = Vec::new();
    let mut kind_and_flags = (HEADERS, flags);
    loop {
        let piece = pieces.next().unwrap_or_default();
        let (kind, flags) = kind_and_flags;
        let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, flags | end, stream, piece));
        if end != 0 {
            return bytes;
        }
        kind_and_flags = (CONTINUATION, 0);
    }
}

const OK: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

/// Headers that begin a good answer.
pub(crate) fn start(stream: u32) -> Vec<u8> {
    headers_of(stream, &block(&OK), 0)
}

/// Headers that begin a good answer, with one more field.
pub(crate) fn start_with(stream: u32, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    headers_of(stream, &[block(&OK), field(name, value)].concat(), 0)
}

pub(crate) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, bytes)
}

/// A message in a frame of its own.
pub(crate) fn message(stream: u32, text: &[u8]) -> Vec<u8> {
    data(stream, &crate::peer::server::frame(text))
}

pub(crate) fn trailers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    headers_of(stream, &block(fields), END_STREAM)
}

/// A whole good answer.
pub(crate) fn answer(stream: u32, text: &[u8]) -> Vec<u8> {
    [start(stream), message(stream, text), trailers(stream, &[("grpc-status", "0")])].concat()
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(crate) fn goaway(last_stream: u32, code: u32, debug: &[u8]) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[&last_stream.to_be_bytes()[..], &code.to_be_bytes(), debug].concat())
}

pub(crate) fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// What the client has said so far.
#[derive(Default)]
pub(crate) struct Heard {
    /// Streams whose request is complete and that nobody has taken yet.
    requests: VecDeque<u32>,
    /// How many frames of each kind.
    counts: BTreeMap<u8, usize>,
    /// The error of the client's GOAWAY.
    pub(crate) goaway: Option<u32>,
    /// The error of each RST_STREAM, by stream.
    pub(crate) resets: BTreeMap<u32, u32>,
    /// Set when the client has closed the connection, in whatever way.
    pub(crate) is_closed: bool,
    unparsed: Vec<u8>,
    magic_is_past: bool,
}

const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Heard {
    fn push(&mut self, bytes: &[u8]) {
        self.unparsed.extend_from_slice(bytes);
        let mut rest = &self.unparsed[..];
        if !self.magic_is_past {
            let Some(behind) = rest.strip_prefix(MAGIC) else { return };
            rest = behind;
            self.magic_is_past = true;
        }
        while let Some((head, payload)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some(payload) = payload.get(..length) else { break };
            rest = &rest[9 + length..];
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
            *self.counts.entry(head[3]).or_default() += 1;
            match head[3] {
                HEADERS | DATA if head[4] & END_STREAM != 0 => self.requests.push_back(stream),
                RST_STREAM => drop(self.resets.insert(stream, number(0))),
                GOAWAY => self.goaway = Some(number(4)),
                _ => {}
            }
        }
        let parsed = self.unparsed.len() - rest.len();
        self.unparsed.drain(..parsed);
    }

    pub(crate) fn has_request(&self) -> bool {
        !self.requests.is_empty()
    }

    pub(crate) fn count(&self, kind: u8) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }
}

/// A connection from the client under attack.
pub(crate) struct Attacker {
    stream: TcpStream,
    pub(crate) heard: Heard,
}

impl Attacker {
    /// The next connection, with nothing said on it.
    pub(crate) async fn accept(server: &Server) -> Self {
        Self { stream: server.accept_stream().await, heard: Heard::default() }
    }

    /// The next connection, greeted as it should be.
    pub(crate) async fn greet(server: &Server) -> Self {
        let mut attacker = Self::accept(server).await;
        attacker.say(&[frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()).await;
        attacker
    }

    /// Says it, and hears what comes meanwhile.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        let (mut read, mut write) = self.stream.split();
        let heard = &mut self.heard;
        let hearing = async {
            let mut bytes = [0; 8_192];
            while let Ok(count @ 1..) = read.read(&mut bytes).await {
                heard.push(&bytes[..count]);
            }
        };
        let is_over = tokio::select! {
            biased;
            written = write.write_all(bytes) => written.is_err(),
            () = hearing => true,
        };
        self.heard.is_closed |= is_over;
    }

    /// Says it again and again, or until the client has closed the connection.
    pub(crate) async fn say_often(&mut self, bytes: &[u8], times: usize) {
        // In large pieces, as an attacker would.
        let at_once = (65_536 / bytes.len()).clamp(1, times);
        let piece = bytes.repeat(at_once);
        let mut left = times;
        while left > 0 && !self.heard.is_closed {
            let now = at_once.min(left);
            self.say(&piece[..now * bytes.len()]).await;
            left -= now;
        }
    }

    /// Says it without hearing anything; completes only when all of it is taken, or the client has closed the connection.
    pub(crate) async fn say_deaf(&mut self, bytes: &[u8]) {
        self.heard.is_closed |= self.stream.write_all(bytes).await.is_err();
    }

    /// Hears until `is_enough`, or until the client has closed the connection.
    pub(crate) async fn hear(&mut self, is_enough: impl Fn(&Heard) -> bool) {
        let mut bytes = [0; 8_192];
        while !self.heard.is_closed && !is_enough(&self.heard) {
            match self.stream.read(&mut bytes).await {
                Ok(count @ 1..) => self.heard.push(&bytes[..count]),
                Ok(0) | Err(_) => self.heard.is_closed = true,
            }
        }
    }

    /// The stream of the next whole request.
    pub(crate) async fn request(&mut self) -> u32 {
        self.hear(|heard| !heard.requests.is_empty()).await;
        self.heard.requests.pop_front().expect("the client closed the connection before a request came")
    }

    /// Waits until the client has closed the connection; the error of its GOAWAY, if there was one.
    pub(crate) async fn closed_by_client(&mut self) -> Option<u32> {
        self.hear(|_| false).await;
        self.heard.goaway
    }

    /// Closes the connection.
    pub(crate) async fn hang_up(&mut self) {
        // The client may have done so before.
        let _ = self.stream.shutdown().await;
    }

    /// Waits for a PING to come back: the client has read all that was said before.
    pub(crate) async fn settle(&mut self) {
        let before = self.heard.count(PING);
        self.say(&frame(PING, 0, 0, b"settled?")).await;
        self.hear(|heard| heard.count(PING) > before).await;
    }
}
