//! One connection of the echo server: frames in, frames out, both windows kept.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Mode;
use super::frame::{self, Blocks, Head};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a stream, and what the connection may be sent before credit comes back.
const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;
/// The connection's window before it is raised, RFC 9113 §6.9.2.
const FIRST_WINDOW: u32 = 65_535;

/// Flushed when this much is written, so that a client starts reading while the rest is made.
const FLUSH_AT: usize = 256 << 10;

/// Serves one client until it leaves.
pub(super) async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, mode: Mode) -> io::Result<()> {
    let mut connection = Connection::new(mode);
    let mut input = Vec::with_capacity(64 << 10);
    let mut preface = [0; PREFACE.len()];
    socket.read_exact(&mut preface).await?;
    if preface != *PREFACE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2"));
    }
    loop {
        if !connection.out.is_empty() {
            socket.write_all(&connection.out).await?;
            connection.out.clear();
        }
        if connection.advance_streams() {
            continue;
        }
        if socket.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut at = 0;
        while let Some(head) = Head::read(&input[at..]) {
            let Some(payload) = input.get(at + frame::HEADER..at + frame::HEADER + head.length) else { break };
            connection.on_frame(&head, payload);
            at += frame::HEADER + head.length;
            if connection.out.len() >= FLUSH_AT {
                socket.write_all(&connection.out).await?;
                connection.out.clear();
            }
        }
        input.drain(..at);
    }
}

struct Connection {
    mode: Mode,
    out: Vec<u8>,
    streams: BTreeMap<u32, Stream>,
    blocks: Blocks,
    /// What the client lets us send on the connection, and on a new stream.
    window: i64,
    stream_window: i64,
    /// Received and not yet given back.
    owed: u32,
}

/// One request and what is still to be sent for it.
struct Stream {
    window: i64,
    owed: u32,
    head_is_sent: bool,
    request_is_over: bool,
    /// Echo: bytes to give back. Stream: the request so far.
    bytes: Vec<u8>,
    /// Stream: messages still to be sent; known at the request's end.
    messages: u64,
}

/// A message of 64 bytes with its gRPC prefix. As a protobuf message it is 62 bytes in field 1, for libraries that must decode.
const MESSAGE: [u8; 69] = {
    let mut message = [b'x'; 69];
    let front = [0, 0, 0, 0, 64, 0x0a, 62];
    let mut at = 0;
    while at < front.len() {
        message[at] = front[at];
        at += 1;
    }
    message
};

impl Connection {
    fn new(mode: Mode) -> Self {
        let mut out = Vec::new();
        let mut settings = frame::INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend_from_slice(&STREAM_WINDOW.to_be_bytes());
        frame::put(&mut out, frame::SETTINGS, 0, 0, &settings);
        frame::put(&mut out, frame::WINDOW_UPDATE, 0, 0, &(CONNECTION_WINDOW - FIRST_WINDOW).to_be_bytes());
        Self {
            mode,
            out,
            streams: BTreeMap::new(),
            blocks: Blocks::default(),
            window: FIRST_WINDOW.into(),
            stream_window: FIRST_WINDOW.into(),
            owed: 0,
        }
    }

    fn on_frame(&mut self, head: &Head, payload: &[u8]) {
        match head.kind {
            frame::HEADERS => {
                let stream = Stream {
                    window: self.stream_window,
                    owed: 0,
                    head_is_sent: false,
                    request_is_over: false,
                    bytes: Vec::new(),
                    messages: 0,
                };
                self.streams.entry(head.stream).or_insert(stream);
                if head.flags & frame::END_STREAM != 0 {
                    self.on_request_over(head.stream);
                }
            }
            frame::DATA => self.on_data(head, payload),
            frame::RST_STREAM => {
                self.streams.remove(&head.stream);
            }
            frame::SETTINGS if head.flags & frame::ACK == 0 => self.on_settings(payload),
            frame::PING if head.flags & frame::ACK == 0 => {
                frame::put(&mut self.out, frame::PING, frame::ACK, 0, payload);
            }
            frame::WINDOW_UPDATE => {
                let credit = i64::from(frame::number(payload));
                if head.stream == 0 {
                    self.window += credit;
                } else if let Some(stream) = self.streams.get_mut(&head.stream) {
                    stream.window += credit;
                }
            }
            _ => {}
        }
    }

    fn on_settings(&mut self, payload: &[u8]) {
        for entry in payload.chunks_exact(6) {
            let value = frame::number(&entry[2..]);
            match u16::from_be_bytes([entry[0], entry[1]]) {
                frame::HEADER_TABLE_SIZE => self.blocks.is_tableless = value < 4_096,
                frame::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - self.stream_window;
                    self.stream_window += change;
                    self.streams.values_mut().for_each(|stream| stream.window += change);
                }
                _ => {}
            }
        }
        frame::put(&mut self.out, frame::SETTINGS, frame::ACK, 0, &[]);
    }

    fn on_data(&mut self, head: &Head, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.owed += length;
        if self.owed > CONNECTION_WINDOW / 4 {
            frame::put(&mut self.out, frame::WINDOW_UPDATE, 0, 0, &self.owed.to_be_bytes());
            self.owed = 0;
        }
        let Some(stream) = self.streams.get_mut(&head.stream) else { return };
        let data = unpadded(head.flags, payload);
        stream.owed += length;
        if stream.owed > STREAM_WINDOW / 4 && head.flags & frame::END_STREAM == 0 {
            frame::put(&mut self.out, frame::WINDOW_UPDATE, 0, head.stream, &stream.owed.to_be_bytes());
            stream.owed = 0;
        }
        let room = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let fits = stream.bytes.is_empty() && room <= stream.window.min(self.window);
        if self.mode == Mode::Echo && fits && data.len() <= frame::LARGEST_PAYLOAD {
            stream.window -= room;
            self.window -= room;
            if !stream.head_is_sent {
                stream.head_is_sent = true;
                self.blocks.put_head(&mut self.out, head.stream);
            }
            if !data.is_empty() {
                frame::put(&mut self.out, frame::DATA, 0, head.stream, data);
            }
        } else {
            stream.bytes.extend_from_slice(data);
        }
        if head.flags & frame::END_STREAM != 0 {
            self.on_request_over(head.stream);
        }
    }

    fn on_request_over(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.request_is_over = true;
        if self.mode == Mode::Stream {
            // Whatever a message library put around the digits is not one.
            let digits = stream.bytes.iter().skip(5).filter(|byte| byte.is_ascii_digit());
            stream.messages = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            stream.bytes = Vec::new();
        }
        if stream.bytes.is_empty() && stream.messages == 0 {
            self.end(id);
        }
    }

    fn end(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if !stream.head_is_sent {
            self.blocks.put_head(&mut self.out, id);
        }
        self.blocks.put_trailers(&mut self.out, id);
    }

    /// Sends what waits as far as the windows let it. Whether something was written.
    fn advance_streams(&mut self) -> bool {
        let mut over = Vec::new();
        for (id, stream) in &mut self.streams {
            if stream.messages == 0 && (stream.bytes.is_empty() || self.mode == Mode::Stream) {
                continue;
            }
            if !stream.head_is_sent {
                stream.head_is_sent = true;
                self.blocks.put_head(&mut self.out, *id);
            }
            while stream.messages > 0 && self.out.len() < FLUSH_AT {
                let room = MESSAGE.len() as i64;
                if room > stream.window.min(self.window) {
                    break;
                }
                stream.window -= room;
                self.window -= room;
                stream.messages -= 1;
                frame::put(&mut self.out, frame::DATA, 0, *id, &MESSAGE);
            }
            if self.mode == Mode::Echo {
                let mut sent = 0;
                while sent < stream.bytes.len() && self.out.len() < FLUSH_AT {
                    let room = usize::try_from(stream.window.min(self.window)).unwrap_or(0);
                    let part = room.min(frame::LARGEST_PAYLOAD).min(stream.bytes.len() - sent);
                    if part == 0 {
                        break;
                    }
                    stream.window -= part as i64;
                    self.window -= part as i64;
                    frame::put(&mut self.out, frame::DATA, 0, *id, &stream.bytes[sent..sent + part]);
                    sent += part;
                }
                stream.bytes.drain(..sent);
            }
            if stream.request_is_over && stream.bytes.is_empty() && stream.messages == 0 {
                over.push(*id);
            }
        }
        over.into_iter().for_each(|id| self.end(id));
        !self.out.is_empty()
    }
}

fn unpadded(flags: u8, payload: &[u8]) -> &[u8] {
    if flags & frame::PADDED == 0 {
        return payload;
    }
    let Some((padding, data)) = payload.split_first() else { return payload };
    &data[..data.len().saturating_sub(usize::from(*padding))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn client(body: impl AsyncFnOnce(&mut h2::client::SendRequest<bytes::Bytes>), mode: Mode) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (near, far) = duplex(4_096);
            let (mut send, connection) = h2::client::handshake(near).await.expect("HTTP/2");
            tokio::select! {
                served = serve(far, mode) => panic!("the server left: {served:?}"),
                ended = connection => panic!("the connection ended: {ended:?}"),
                () = body(&mut send) => {}
            }
        });
    }

    async fn call(send: &mut h2::client::SendRequest<bytes::Bytes>, message: &[u8]) -> (Vec<u8>, http::HeaderMap) {
        let request = http::Request::post("http://test/any").body(()).expect("a request");
        std::future::poll_fn(|cx| send.poll_ready(cx)).await.expect("ready");
        let (response, mut body) = send.send_request(request, false).expect("sent");
        body.send_data(bytes::Bytes::copy_from_slice(message), true).expect("sent");
        let response = response.await.expect("a response");
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let mut body = response.into_body();
        let mut received = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.expect("data");
            body.flow_control().release_capacity(chunk.len()).expect("credit");
            received.extend_from_slice(&chunk);
        }
        (received, body.trailers().await.expect("trailers").expect("some"))
    }

    #[test]
    fn an_echo_gives_back_what_came_however_large() {
        client(
            async |send| {
                for size in [0, 69, 16_385, 1 << 20] {
                    let message: Vec<u8> = (0..=255).cycle().take(size).collect();
                    let (received, trailers) = call(send, &message).await;
                    assert_eq!(received, message, "{size} bytes");
                    assert_eq!(trailers["grpc-status"], "0");
                }
            },
            Mode::Echo,
        );
    }

    #[test]
    fn a_stream_has_as_many_messages_as_were_asked_for() {
        client(
            async |send| {
                for count in [0, 1, 20_000] {
                    let (received, _) = call(send, format!("\0\0\0\0\x05{count}").as_bytes()).await;
                    assert_eq!(received.len(), count * MESSAGE.len());
                    assert!(received.chunks(MESSAGE.len()).all(|message| message == MESSAGE));
                }
            },
            Mode::Stream,
        );
    }
}
