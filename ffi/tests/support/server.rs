//! A gRPC server for these tests: a thread, a port chosen by the kernel, and methods named after what they do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A running server; dropping it stops it and closes its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Streams that were begun, whatever became of them.
    pub(crate) streams: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("tokio wants that");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let streams = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&streams);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("inside a runtime");
                tokio::select! { biased; _ = stopped => {} () = accept(listener, counter) => {} }
            });
        };
        let thread = std::thread::Builder::new().name("test-server".into()).spawn(run).expect("a thread");
        Self { address, streams, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn target(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the test server panicked");
        }
    }
}

async fn accept(listener: TcpListener, streams: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(serve(socket, Arc::clone(&streams)));
    }
}

async fn serve(socket: TcpStream, streams: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        streams.fetch_add(1, SeqCst);
        calls.spawn(answer(request, respond));
    }
}

/// Errors here are the client going away, which tests do on purpose.
async fn answer(request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let outcome = match path.as_str() {
        "/test/Echo" => echo(&parts.headers, body, respond).await,
        "/test/HowSent" => how_sent(&parts.headers, body, respond).await,
        "/test/Fail" => fail(respond),
        // Holds the stream open: says nothing, reads nothing.
        "/test/Hang" => {
            let _keep = (body, respond);
            std::future::pending().await
        }
        _ => unimplemented_method(respond),
    };
    drop(outcome);
}

fn response() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", "application/grpc".parse().expect("valid"));
    response
}

/// Sends every byte back as it came, frames and all.
async fn echo(headers: &HeaderMap, mut body: RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut response = response();
    for name in ["x-echo", "grpc-encoding"] {
        if let Some(value) = headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    let mut stream: SendStream<Bytes> = respond.send_response(response, false)?;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        stream.send_data(chunk, false)?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("valid"));
    if let Some(value) = headers.get("x-trailer-bin") {
        trailers.insert("x-trailer-bin", value.clone());
    }
    stream.send_trailers(trailers)
}

/// Answers with the request's encoding and the flags of its messages, as in `gzip 10`.
async fn how_sent(
    headers: &HeaderMap,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    let encoding = headers.get("grpc-encoding").map_or("none", |value| value.to_str().expect("ASCII"));
    let mut told = format!("{encoding} ");
    let mut rest = &bytes[..];
    while let Some((prefix, behind)) = rest.split_first_chunk::<5>() {
        told.push(if prefix[0] == 0 { '0' } else { '1' });
        rest = &behind[u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize..];
    }
    let length = u32::try_from(told.len()).expect("short").to_be_bytes();
    let mut stream = respond.send_response(response(), false)?;
    stream.send_data([&[0], &length[..], told.as_bytes()].concat().into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("valid"));
    stream.send_trailers(trailers)
}

fn fail(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut response = response();
    response.headers_mut().insert("grpc-status", "7".parse().expect("valid"));
    response.headers_mut().insert("grpc-message", "no%20entry".parse().expect("valid"));
    respond.send_response(response, true).map(drop)
}

fn unimplemented_method(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut response = response();
    response.headers_mut().insert("grpc-status", "12".parse().expect("valid"));
    respond.send_response(response, true).map(drop)
}
