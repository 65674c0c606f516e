//! The floor: the bare HTTP/2 library with the few lines around it that make a gRPC call.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, header};
use linkspan_bench::client::workloads::{Bench, Channel, Incoming, Library, Outgoing};
use linkspan_bench::client::{Failure, arguments, obey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

fn main() -> Result<(), Failure> {
    let (_, server) = arguments()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = Bench::new(H2, server);
    let tasks = LocalSet::new();
    obey("h2", "0.4.20", |command| tasks.block_on(&runtime, bench.obey(&command)))
}

struct H2;

#[derive(Clone)]
struct Connection {
    send_request: SendRequest<Bytes>,
    path: http::Uri,
}

impl Library for H2 {
    type Channel = Connection;

    async fn open(&self, address: &str, ca: Option<&str>) -> Result<Connection, String> {
        #[expect(clippy::disallowed_methods, reason = "the peer we are measured against opens its own sockets")]
        let socket = TcpStream::connect(address).await.map_err(|cause| cause.to_string())?;
        socket.set_nodelay(true).map_err(|cause| cause.to_string())?;
        let path = format!("http://{address}/linkspan.bench.Echo/Unary").parse();
        let path = path.map_err(|cause: http::uri::InvalidUri| cause.to_string())?;
        let send_request = match ca {
            None => handshake(socket).await?,
            Some(ca) => handshake(secure(socket, ca).await?).await?,
        };
        Ok(Connection { send_request, path })
    }

    async fn connect(&self, _: &Connection) -> Result<(), String> {
        Ok(())
    }
}

async fn secure(socket: TcpStream, ca: &str) -> Result<impl AsyncRead + AsyncWrite + Unpin + 'static, String> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|cause| cause.to_string())?;
    roots.add(certificate).map_err(|cause| cause.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.map_err(|cause| cause.to_string())?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").map_err(|cause| cause.to_string())?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    stream.map_err(|cause| cause.to_string())
}

/// The same windows as linkspan asks for.
async fn handshake(socket: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Result<SendRequest<Bytes>, String> {
    let (send_request, connection) = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(256 << 10)
        .initial_connection_window_size(16 << 20)
        .handshake(socket)
        .await
        .map_err(|cause| cause.to_string())?;
    #[expect(clippy::disallowed_methods, reason = "the peer we are measured against spawns its own tasks")]
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(send_request)
}

impl Channel for Connection {
    type Outgoing = Writer;
    type Incoming = Reader;

    async fn unary(&self, message: Bytes) -> Result<usize, String> {
        let mut framed = BytesMut::with_capacity(5 + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).map_err(|cause| cause.to_string())?);
        framed.put(message);
        let (response, mut send) = self.start().await?;
        send.send_data(framed.freeze(), true).map_err(|cause| cause.to_string())?;
        let response = response.await.map_err(|cause| cause.to_string())?;
        let mut body = response.into_body();
        let mut received = BytesMut::new();
        let mut only = None;
        while let Some(chunk) = poll_fn(|cx| body.poll_data(cx)).await {
            let chunk = chunk.map_err(|cause| cause.to_string())?;
            body.flow_control().release_capacity(chunk.len()).map_err(|cause| cause.to_string())?;
            match only.take() {
                None if received.is_empty() => only = Some(chunk),
                None => received.extend_from_slice(&chunk),
                Some(first) => {
                    received.extend_from_slice(&first);
                    received.extend_from_slice(&chunk);
                }
            }
        }
        finish(&mut body).await?;
        let length = only.map_or(received.len(), |chunk| chunk.len());
        length.checked_sub(5).ok_or_else(|| "an answer without a message".to_owned())
    }

    async fn stream(&self) -> Result<(Writer, Reader), String> {
        let (response, send) = self.start().await?;
        Ok((Writer(send), Reader { state: Some(response), body: None, buffered: BytesMut::new() }))
    }
}

impl Connection {
    async fn start(&self) -> Result<(ResponseFuture, SendStream<Bytes>), String> {
        let mut request = Request::post(self.path.clone()).version(http::Version::HTTP_2);
        if let Some(headers) = request.headers_mut() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            headers.insert(header::USER_AGENT, HeaderValue::from_static("bench-h2"));
        }
        let request = request.body(()).map_err(|cause| cause.to_string())?;
        let mut send_request = self.send_request.clone();
        poll_fn(|cx| send_request.poll_ready(cx)).await.map_err(|cause| cause.to_string())?;
        send_request.send_request(request, false).map_err(|cause| cause.to_string())
    }
}

async fn finish(body: &mut RecvStream) -> Result<(), String> {
    let trailers: Option<HeaderMap> = poll_fn(|cx| body.poll_trailers(cx)).await.map_err(|cause| cause.to_string())?;
    match trailers.as_ref().and_then(|trailers| trailers.get("grpc-status")) {
        Some(status) if status == "0" => Ok(()),
        other => Err(format!("the status is {other:?}")),
    }
}

struct Writer(SendStream<Bytes>);

impl Outgoing for Writer {
    async fn send(&mut self, message: Bytes, is_last: bool) -> Result<(), String> {
        let mut framed = BytesMut::with_capacity(5 + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).map_err(|cause| cause.to_string())?);
        framed.put(message);
        self.0.reserve_capacity(framed.len());
        while self.0.capacity() < framed.len() {
            let more = poll_fn(|cx| self.0.poll_capacity(cx)).await;
            more.ok_or("the stream is over")?.map_err(|cause| cause.to_string())?;
        }
        self.0.send_data(framed.freeze(), is_last).map_err(|cause| cause.to_string())
    }
}

struct Reader {
    state: Option<ResponseFuture>,
    body: Option<RecvStream>,
    buffered: BytesMut,
}

impl Incoming for Reader {
    async fn message(&mut self) -> Result<Option<usize>, String> {
        if let Some(response) = &mut self.state {
            let response = poll_fn(|cx| Pin::new(&mut *response).poll(cx)).await.map_err(|cause| cause.to_string())?;
            self.body = Some(response.into_body());
            self.state = None;
        }
        let body = self.body.as_mut().ok_or("no body")?;
        loop {
            if let Some([_, length @ ..]) = self.buffered.first_chunk::<5>() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.buffered.len() >= 5 + length {
                    self.buffered.advance(5 + length);
                    return Ok(Some(length));
                }
            }
            match poll_fn(|cx| body.poll_data(cx)).await {
                Some(chunk) => {
                    let chunk = chunk.map_err(|cause| cause.to_string())?;
                    body.flow_control().release_capacity(chunk.len()).map_err(|cause| cause.to_string())?;
                    self.buffered.extend_from_slice(&chunk);
                }
                None => return finish(body).await.map(|()| None),
            }
        }
    }
}
