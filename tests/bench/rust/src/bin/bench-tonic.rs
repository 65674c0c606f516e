//! tonic, the gRPC library most Rust programs use, with a codec that leaves bytes as they are.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use linkspan_bench::client::workloads::{Bench, Channel, Incoming, Library, Outgoing};
use linkspan_bench::client::{Failure, NoAnswer, arguments, obey};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};

fn main() -> Result<(), Failure> {
    let (_, server) = arguments()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = Bench::new(Tonic, server);
    let tasks = LocalSet::new();
    obey("tonic", "0.14.9", |command| tasks.block_on(&runtime, bench.obey(&command)))
}

struct Tonic;

#[derive(Clone)]
struct Client(Grpc<tonic::transport::Channel>);

impl Library for Tonic {
    type Channel = Client;

    async fn open(&self, address: &str, ca: Option<&str>) -> Result<Client, String> {
        let scheme = if ca.is_some() { "https" } else { "http" };
        let mut endpoint = endpoint(scheme, address)?;
        if let Some(ca) = ca {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
            endpoint = endpoint.tls_config(tls).map_err(|cause| cause.to_string())?;
        }
        connected(&endpoint).await
    }

    async fn open_kept_alive(&self, address: &str, after: Duration) -> Result<Client, NoAnswer> {
        let endpoint = endpoint("http", address)?.http2_keep_alive_interval(after).keep_alive_while_idle(true);
        Ok(connected(&endpoint).await?)
    }

    async fn connect(&self, _: &Client) -> Result<(), String> {
        Ok(())
    }
}

fn endpoint(scheme: &str, address: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(|cause| cause.to_string())?;
    let endpoint = endpoint.tcp_nodelay(true).initial_stream_window_size(256 << 10);
    Ok(endpoint.initial_connection_window_size(16 << 20))
}

async fn connected(endpoint: &Endpoint) -> Result<Client, String> {
    let channel = endpoint.connect().await.map_err(|cause| cause.to_string())?;
    Ok(Client(Grpc::new(channel).max_decoding_message_size(usize::MAX)))
}

fn path() -> PathAndQuery {
    PathAndQuery::from_static("/linkspan.bench.Echo/Unary")
}

impl Channel for Client {
    type Outgoing = Requests;
    type Incoming = Answers;

    async fn unary(&self, message: Bytes) -> Result<usize, String> {
        let mut client = self.0.clone();
        client.ready().await.map_err(|cause| cause.to_string())?;
        let answer = client.unary(Request::new(message), path(), AsIs).await;
        answer.map(|answer| answer.into_inner().len()).map_err(|status| status.to_string())
    }

    async fn stream(&self) -> Result<(Requests, Answers), String> {
        let mut client = self.0.clone();
        client.ready().await.map_err(|cause| cause.to_string())?;
        let (sender, receiver) = mpsc::channel(64);
        let answer = Box::pin(async move { client.streaming(Request::new(Sent(receiver)), path(), AsIs).await });
        Ok((Requests(Some(sender)), Answers::Due(answer)))
    }
}

/// The requests of a stream as tonic takes them.
struct Sent(mpsc::Receiver<Bytes>);

impl Stream for Sent {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll_recv(cx)
    }
}

/// Letting go of the sender half-closes.
struct Requests(Option<mpsc::Sender<Bytes>>);

impl Outgoing for Requests {
    async fn send(&mut self, message: Bytes, is_last: bool) -> Result<(), String> {
        let sender = self.0.as_ref().ok_or("nothing may follow")?;
        sender.send(message).await.map_err(|_| "the stream is over".to_owned())?;
        if is_last {
            self.0 = None;
        }
        Ok(())
    }
}

type DueAnswers = Pin<Box<dyn Future<Output = Result<Response<Streaming<Bytes>>, Status>>>>;

/// The answers of a stream, once its headers are here.
enum Answers {
    Due(DueAnswers),
    Here(Box<Streaming<Bytes>>),
}

impl Incoming for Answers {
    async fn message(&mut self) -> Result<Option<usize>, String> {
        if let Self::Due(answer) = self {
            let answer = answer.await.map_err(|status| status.to_string())?;
            *self = Self::Here(Box::new(answer.into_inner()));
        }
        let Self::Here(answers) = self else { return Err("no answer".to_owned()) };
        let message = answers.message().await.map_err(|status| status.to_string())?;
        Ok(message.map(|message| message.len()))
    }
}

/// Bytes in, bytes out.
#[derive(Clone, Copy, Default)]
struct AsIs;

impl Codec for AsIs {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
