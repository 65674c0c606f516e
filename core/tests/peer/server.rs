//! A server whose every answer the test decides, speaking correct HTTP/2.

use std::future::poll_fn;
use std::os::fd::AsFd as _;

use bytes::{Buf, Bytes, BytesMut};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{beside, raw};

/// A port that refuses connections until somebody listens on it.
pub(crate) struct ReservedPort(TcpSocket);

impl ReservedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        Self(socket)
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().expect("bound").to_string()
    }

    pub(crate) fn listen(self) -> Server {
        Server { listener: self.0.listen(64).expect("listening") }
    }
}

/// A listening server.
pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) fn start() -> Self {
        ReservedPort::new().listen()
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().expect("bound").to_string()
    }

    /// The next connection, greeted.
    pub(crate) async fn accept(&self) -> Connection {
        self.accept_with(&Builder::new()).await
    }

    pub(crate) async fn accept_with(&self, builder: &Builder) -> Connection {
        Connection::serve(self.accept_stream().await, builder).await
    }

    /// The next connection, with nothing said on it.
    pub(crate) async fn accept_raw(&self) -> raw::Peer {
        raw::Peer::new(self.accept_stream().await)
    }

    pub(crate) async fn accept_stream(&self) -> TcpStream {
        let stream = self.listener.accept().await.expect("a connection").0;
        // What a test writes in pieces arrives as it is written.
        stream.set_nodelay(true).expect("a connected socket");
        stream
    }

    /// Whether somebody has connected and was not accepted yet.
    pub(crate) fn has_waiting_connection(&self) -> bool {
        // Asked of the kernel itself: the runtime learns of a connection only when it looks.
        let same = self.listener.as_fd().try_clone_to_owned().expect("a descriptor");
        match std::net::TcpListener::from(same).accept() {
            Ok(_) => true,
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(cause) => panic!("{cause}"),
        }
    }
}

/// A connection from a client. Dropping it closes the socket.
pub(crate) struct Connection {
    requests: mpsc::Receiver<Request>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Greets whoever is at the other end of `io`.
    pub(crate) async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + 'static, builder: &Builder) -> Self {
        let mut http2 = builder.handshake::<_, Bytes>(io).await.expect("an HTTP/2 client");
        let (sender, requests) = mpsc::channel(1_024);
        let (shutdown, mut shut_down) = oneshot::channel();
        let task = beside(async move {
            let mut may_shut_down = true;
            loop {
                tokio::select! {
                    accepted = http2.accept() => match accepted {
                        Some(Ok((request, respond))) => {
                            let (head, body) = request.into_parts();
                            // The test may have stopped listening to requests.
                            let _ = sender.try_send(Request { head, body, respond, received: BytesMut::new() });
                        }
                        Some(Err(_)) | None => break,
                    },
                    asked = &mut shut_down, if may_shut_down => {
                        may_shut_down = false;
                        if asked.is_ok() {
                            http2.graceful_shutdown();
                        }
                    }
                }
            }
        });
        Self { requests, shutdown: Some(shutdown), task }
    }

    /// Says what a server says first to a client that may not stay.
    pub(crate) async fn serve_if_it_can(io: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        if let Ok(mut http2) = Builder::new().handshake::<_, Bytes>(io).await {
            while let Some(Ok(_)) = http2.accept().await {}
        }
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Request {
        self.next_request().await.expect("the connection ended before a request came")
    }

    /// The next request; `None` when the connection has ended.
    pub(crate) async fn next_request(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Whether a request has come that [`Connection::request`] has not told.
    pub(crate) fn has_waiting_request(&self) -> bool {
        !self.requests.is_empty()
    }

    /// GOAWAY NO_ERROR: running streams finish, no new ones.
    pub(crate) fn shut_down_gracefully(&mut self) {
        let shutdown = self.shutdown.take().expect("once");
        shutdown.send(()).expect("the connection is alive");
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed_by_client(mut self) {
        (&mut self.task).await.expect("no panic");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request and the means to answer it.
pub(crate) struct Request {
    pub(crate) head: http::request::Parts,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    received: BytesMut,
}

impl Request {
    /// The values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.head.headers.get_all(name).iter().map(|value| value.to_str().expect("ASCII")).collect()
    }

    /// The next request message; `None` at the end of the stream.
    pub(crate) async fn message(&mut self) -> Option<Bytes> {
        self.flagged_message().await.map(|(_, message)| message)
    }

    /// The same as it is on the wire, behind its flag.
    pub(crate) async fn flagged_message(&mut self) -> Option<(u8, Bytes)> {
        loop {
            if self.received.len() >= 5 {
                let length = (&self.received[1..5]).get_u32() as usize;
                if self.received.len() >= 5 + length {
                    let flag = self.received[0];
                    self.received.advance(5);
                    return Some((flag, self.received.split_to(length).freeze()));
                }
            }
            match poll_fn(|cx| self.body.poll_data(cx)).await {
                Some(chunk) => {
                    let chunk = chunk.expect("data, not a reset");
                    self.body.flow_control().release_capacity(chunk.len()).expect("received");
                    self.received.extend_from_slice(&chunk);
                }
                None => {
                    assert!(self.received.is_empty(), "the request ended inside a message");
                    return None;
                }
            }
        }
    }

    /// Response headers: 200 and gRPC's content type.
    pub(crate) fn start(&mut self) -> Answer {
        self.start_with(200, &[("content-type", "application/grpc")])
    }

    pub(crate) fn start_with(&mut self, http_status: u16, headers: &[(&str, &str)]) -> Answer {
        let response = response(http_status, headers);
        Answer { stream: self.respond.send_response(response, false).expect("response headers") }
    }

    /// Headers, one message, OK.
    pub(crate) fn answer(mut self, message: &[u8]) {
        let mut answer = self.start();
        answer.message(message);
        answer.end(0);
    }

    /// Headers that end the stream.
    pub(crate) fn answer_at_once(&mut self, http_status: u16, headers: &[(&str, &str)]) {
        self.respond.send_response(response(http_status, headers), true).expect("response headers");
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until the client resets the stream.
    pub(crate) async fn reset_by_client(&mut self) -> Reason {
        poll_fn(|cx| self.respond.poll_reset(cx)).await.expect("a reset, not the connection's end")
    }
}

/// A response that has begun.
pub(crate) struct Answer {
    stream: SendStream<Bytes>,
}

impl Answer {
    /// One length-prefixed message.
    pub(crate) fn message(&mut self, message: &[u8]) {
        self.data(frame(message), false);
    }

    /// Bytes as they are.
    pub(crate) fn data(&mut self, bytes: impl Into<Bytes>, is_last: bool) {
        self.stream.send_data(bytes.into(), is_last).expect("data");
    }

    /// Trailers with this `grpc-status`.
    pub(crate) fn end(&mut self, status: u32) {
        self.end_with(&[("grpc-status", &status.to_string())]);
    }

    pub(crate) fn end_with(&mut self, trailers: &[(&str, &str)]) {
        self.stream.send_trailers(fields(trailers)).expect("trailers");
    }

    /// Waits until the client's window lets something through, and sends as much of `bytes` as fits; returns how much.
    pub(crate) async fn send_what_fits(&mut self, bytes: &mut Bytes) -> usize {
        self.stream.reserve_capacity(bytes.len());
        while self.stream.capacity() == 0 {
            let capacity = poll_fn(|cx| self.stream.poll_capacity(cx)).await;
            capacity.expect("an open stream").expect("an open connection");
        }
        let length = self.stream.capacity().min(bytes.len());
        self.data(bytes.split_to(length), false);
        length
    }

    /// Waits until the client resets the stream.
    pub(crate) async fn reset_by_client(&mut self) -> Reason {
        poll_fn(|cx| self.stream.poll_reset(cx)).await.expect("a reset, not the connection's end")
    }
}

/// A message behind its prefix.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    flagged(0, message)
}

/// A message behind a prefix with this flag.
pub(crate) fn flagged(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("small").to_be_bytes();
    [&[flag], &length[..], message].concat()
}

fn response(http_status: u16, headers: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = http_status.try_into().expect("an HTTP status");
    *response.headers_mut() = fields(headers);
    response
}

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).expect("a name"), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    pairs.iter().map(pair).collect()
}
