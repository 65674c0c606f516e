//! A peer that writes whatever bytes the test wants, also those no server should.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One frame, RFC 9113 §4.1.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Peer<S = TcpStream> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    pub(crate) async fn write_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags];
        self.write(&[&head[..], &stream.to_be_bytes(), payload].concat()).await;
    }

    /// The client's preface: the magic words and its SETTINGS.
    pub(crate) async fn read_preface(&mut self) {
        let mut magic = [0; 24];
        self.stream.read_exact(&mut magic).await.expect("a preface");
        assert_eq!(&magic, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings = self.frame().await.expect("SETTINGS");
        assert_eq!((settings.kind, settings.flags & ACK), (SETTINGS, 0));
    }

    /// Preface and SETTINGS both ways: the client may use the connection.
    pub(crate) async fn greet(&mut self) {
        self.read_preface().await;
        self.write_frame(SETTINGS, 0, 0, &[]).await;
        self.write_frame(SETTINGS, ACK, 0, &[]).await;
    }

    /// The next frame; `None` when the client has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head).await {
            Ok(_) => {}
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(cause) => panic!("{cause}"),
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.expect("a whole frame");
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind; others are passed over.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("the client closed the connection");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The stream of the next request, once its headers and its END_STREAM are here.
    pub(crate) async fn request(&mut self) -> u32 {
        loop {
            let frame = self.frame().await.expect("the client closed the connection");
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return frame.stream;
            }
        }
    }

    /// A header block of literals without indexing, RFC 7541 §6.2.2.
    pub(crate) async fn write_headers(&mut self, stream: u32, fields: &[(&str, &str)], is_last: bool) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("short"));
                block.extend_from_slice(text.as_bytes());
            }
        }
        let end = if is_last { END_STREAM } else { 0 };
        self.write_frame(HEADERS, END_HEADERS | end, stream, &block).await;
    }

    /// An OK answer with one message.
    pub(crate) async fn answer(&mut self, stream: u32, message: &[u8]) {
        self.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
        self.write_frame(DATA, 0, stream, &super::server::frame(message)).await;
        self.write_headers(stream, &[("grpc-status", "0")], true).await;
    }

    pub(crate) async fn write_goaway(&mut self, last_stream: u32, code: u32, debug: &str) {
        let payload = [&last_stream.to_be_bytes()[..], &code.to_be_bytes(), debug.as_bytes()].concat();
        self.write_frame(GOAWAY, 0, 0, &payload).await;
    }

    /// Ends this side's half of the connection.
    pub(crate) async fn stop_sending(&mut self) {
        self.stream.shutdown().await.expect("the end said");
    }

    /// Waits until the client has closed the connection, whatever it says before.
    pub(crate) async fn closed_by_client(mut self) {
        let mut ignored = Vec::new();
        self.stream.read_to_end(&mut ignored).await.expect("the end");
    }
}

impl Peer<TcpStream> {
    /// Whether more has come with what was read last, so that nothing need be waited for.
    pub(crate) fn has_more_at_once(&mut self) -> bool {
        self.stream.try_read(&mut [0]).is_ok_and(|count| count > 0)
    }
}
