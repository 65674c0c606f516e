//! One RPC on the wire, from its headers to its trailers.
//!
//! Two halves, because sending and receiving go on at the same time. Dropping both resets the stream; nobody else notices.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{Response, StatusCode};

use super::compression::{Coded, Coding, Encoding};
use super::headers::{Fields, HeaderRules};
use super::message::{Decoder, Outbound, Received};
use super::places::Place;
use super::tap::Seen;
use super::{Ending, Outcome};
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::Sent;

/// A stream whose headers are on their way.
pub(crate) struct Stream {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

/// What limits the receiving side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveLimits {
    pub(crate) message: Option<u64>,
    pub(crate) headers: HeaderRules,
}

impl Stream {
    pub(super) fn new(response: ResponseFuture, send: SendStream<Outbound>, place: Place, seen: Rc<Seen>) -> Self {
        let id = response.stream_id().as_u32();
        Self {
            sender: Sender { send, is_reset: false },
            receiver: Receiver { state: Receiving::Head(response), id, seen, place },
        }
    }

    /// Unique on its connection.
    pub(crate) fn id(&self) -> u32 {
        self.receiver.id
    }
}

/// The sending half.
pub(crate) struct Sender {
    send: SendStream<Outbound>,
    /// Set by [`Sender::finished`]: there is nothing left to give up.
    is_reset: bool,
}

/// The stream takes nothing more; why will be known from the receiving half.
#[derive(Debug)]
pub(crate) struct SendOver;

impl Sender {
    /// Hands over a whole message whatever the window, for the one message of a unary call: it is in memory anyway, and the
    /// HTTP/2 library sends it as the window opens.
    pub(crate) fn send_now(&mut self, message: Outbound, is_last: bool) -> Result<(), SendOver> {
        self.send.send_data(message, is_last).map_err(|_| SendOver)
    }

    /// Sends a message as fast as the server's window opens. Completes when the last byte is handed over.
    pub(crate) async fn send(&mut self, mut message: Outbound, is_last: bool) -> Result<(), SendOver> {
        loop {
            let wanted = message.remaining();
            self.send.reserve_capacity(wanted);
            let capacity = match self.send.capacity() {
                0 => poll_fn(|cx| self.send.poll_capacity(cx)).await.ok_or(SendOver)?.map_err(|_| SendOver)?,
                capacity => capacity,
            };
            if capacity >= wanted {
                return self.send_now(message, is_last);
            }
            if capacity > 0 {
                self.send_now(message.split_to(capacity), false)?;
            }
        }
    }

    /// Half-closes without a further message.
    pub(crate) fn half_close(&mut self) -> Result<(), SendOver> {
        self.send_now(Outbound::nothing(), true)
    }

    /// The server has given its status before we half-closed: lets it free the stream ([WIRE-176]).
    pub(crate) fn finished(&mut self) {
        self.is_reset = true;
        self.send.send_reset(Reason::NO_ERROR);
    }
}

impl Drop for Sender {
    /// [WIRE-170], [WIRE-175]. A stream that is over takes no notice; one that is over but for the rest of our message would
    /// otherwise keep it, and its place at the server, for ever.
    fn drop(&mut self) {
        if !self.is_reset {
            self.send.send_reset(Reason::CANCEL);
        }
    }
}

/// The receiving half.
pub(crate) struct Receiver {
    state: Receiving,
    id: u32,
    seen: Rc<Seen>,
    /// Held until the stream is over.
    place: Place,
}

enum Receiving {
    Head(ResponseFuture),
    Body(Body),
    /// The outcome was given out, and the server had ended the stream.
    Over,
    /// The outcome was given out; the stream did not come to the server's end.
    Broken,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !matches!(self.state, Receiving::Over) {
            self.place.on_stream_failed();
        }
    }
}

struct Body {
    receive: RecvStream,
    decoder: Decoder,
    /// There where the response named a compression.
    decompressing: Option<Box<Decompressing>>,
    rules: HeaderRules,
    /// Taken in by [`Receiver::wait`] and not yet given back to the server as credit.
    held: usize,
    /// Set at the end of DATA.
    data_is_over: bool,
    /// Set when the stream broke off; told after the messages before it.
    broken: Option<h2::Error>,
}

struct Decompressing {
    coding: Rc<Coding>,
    /// The largest message, when it is decompressed.
    limit: Option<u64>,
    /// The message that is being decompressed.
    current: Option<Coded<Result<Bytes, Failure>>>,
}

impl Decompressing {
    /// The message that was begun, once it is whole; `None` when none was.
    ///
    /// Cancel safe.
    async fn message(&mut self) -> Option<Result<Bytes, Failure>> {
        let message = self.current.as_mut()?.await;
        self.current = None;
        Some(message)
    }
}

impl Receiver {
    /// The response's headers, or the end when there are none.
    ///
    /// Cancel safe.
    pub(crate) async fn head(&mut self, limits: ReceiveLimits, coding: &Rc<Coding>) -> Result<Metadata, Outcome> {
        let Receiving::Head(response) = &mut self.state else {
            return Err(Outcome::local(Failure::Internal { text: "response headers were asked for twice".into() }));
        };
        let response = poll_fn(|cx| Pin::new(&mut *response).poll(cx)).await;
        let response = response.map_err(|cause| self.cut(limits.headers).unwrap_or_else(|| self.outcome_of(&cause)))?;
        let (head, receive) = read_head(response, limits.headers, coding).map_err(Outcome::local)?;
        match head {
            Head::NotGrpc { http, content_type } => {
                let body = beginning(receive).await;
                Err(Outcome::local(Failure::HttpStatus { http: http.as_u16(), content_type, body }))
            }
            Head::Initial(metadata, encoding) => {
                let decompressing = matches!(encoding, Encoding::Known(_)).then(|| {
                    Box::new(Decompressing { coding: Rc::clone(coding), limit: limits.message, current: None })
                });
                let decoder = Decoder::new(limits.message, encoding);
                self.state = Receiving::Body(Body::new(receive, decoder, decompressing, limits.headers));
                Ok(metadata)
            }
            Head::Final(ending) => {
                self.state = Receiving::Over;
                Err(Outcome { ending, sent: Sent::Processed })
            }
        }
    }

    /// The next message, or how the stream ended.
    ///
    /// Cancel safe.
    pub(crate) async fn message(&mut self) -> Result<Bytes, Outcome> {
        let Receiving::Body(body) = &mut self.state else {
            return Err(Outcome::local(Failure::Internal { text: "a message was asked for outside the body".into() }));
        };
        let ended = loop {
            if let Some(decompressing) = &mut body.decompressing {
                match decompressing.message().await {
                    None => {}
                    Some(Ok(message)) => return Ok(message),
                    Some(Err(failure)) => break Err(failure),
                }
            }
            match body.decoder.next() {
                Ok(Some(received)) => {
                    body.give_credit(received.wire_size());
                    let (with, message) = match received {
                        Received::Plain(message) => return Ok(message),
                        Received::Compressed(with, message) => (with, message),
                    };
                    let Some(decompressing) = &mut body.decompressing else {
                        let text = "a message was compressed in a way nobody named".to_owned();
                        break Err(Failure::Internal { text });
                    };
                    let current = decompressing.coding.decompress(with, message, decompressing.limit);
                    decompressing.current = Some(current);
                    continue;
                }
                Ok(None) => {}
                Err(failure) => break Err(failure),
            }
            if let Some(cause) = body.broken.take() {
                let outcome = self.outcome_of(&cause);
                self.state = Receiving::Broken;
                return Err(processed(outcome));
            }
            if body.data_is_over {
                break Ok(());
            }
            poll_fn(|cx| body.poll_take_in(cx)).await;
            // Whoever waits for a message needs what is missing of it, however much ([WIRE-222], [WIRE-224]).
            body.give_credit(usize::MAX);
        };
        let (outcome, state) = match ended {
            Err(failure) => (Outcome::local(failure), Receiving::Broken),
            Ok(()) => match poll_fn(|cx| body.receive.poll_trailers(cx)).await {
                Err(cause) => (processed(self.outcome_of(&cause)), Receiving::Broken),
                Ok(trailers) => {
                    let ended = body.end(trailers);
                    let rules = body.rules;
                    (self.cut(rules).unwrap_or(ended), Receiving::Over)
                }
            },
        };
        self.state = state;
        Err(outcome)
    }

    /// Waits for `ready` while nobody wants a message, and takes in what comes without letting the server send more: what waits here is
    /// as large as its bytes, while the HTTP/2 library keeps each frame by itself, and a frame may hold a single byte.
    ///
    /// Cancel safe as far as `ready` is.
    pub(crate) async fn wait<T>(&mut self, ready: impl Future<Output = T>) -> T {
        let mut ready = pin!(ready);
        poll_fn(|cx| {
            if let Poll::Ready(value) = ready.as_mut().poll(cx) {
                return Poll::Ready(value);
            }
            if let Receiving::Body(body) = &mut self.state {
                while !body.is_at_its_end() && body.poll_take_in(cx).is_ready() {}
            }
            Poll::Pending
        })
        .await
    }

    /// [WIRE-72]: the end of a stream whose headers HTTP/2 did not let through whole.
    fn cut(&self, rules: HeaderRules) -> Option<Outcome> {
        let size = self.seen.take_cut(self.id)?;
        Some(Outcome::local(Failure::HeadersTooLarge { size, limit: rules.limit }))
    }

    /// [WIRE-165], [WIRE-178], [WIRE-191]
    fn outcome_of(&self, cause: &h2::Error) -> Outcome {
        if cause.is_io() {
            return Outcome::local(Failure::ConnectionLost { cause: self.seen.end() });
        }
        let reason = cause.reason().unwrap_or(Reason::INTERNAL_ERROR);
        if cause.is_go_away() && cause.is_remote() {
            let told = self.seen.goaway().map_or_else(|| "GOAWAY".to_owned(), |goaway| goaway.to_string());
            return Outcome::refused(told);
        }
        if cause.is_reset() && cause.is_remote() {
            return match reason {
                Reason::REFUSED_STREAM => Outcome::refused("REFUSED_STREAM".into()),
                _ => Outcome::local(Failure::StreamReset { http2_code: reason.into() }),
            };
        }
        Outcome::local(Failure::Protocol { rule: format!("the server broke a rule of HTTP/2: {cause}") })
    }
}

/// A server that sent headers has looked at the call, whatever it says afterwards.
fn processed(outcome: Outcome) -> Outcome {
    Outcome { sent: Sent::Processed, ..outcome }
}

impl Body {
    fn new(
        receive: RecvStream,
        decoder: Decoder,
        decompressing: Option<Box<Decompressing>>,
        rules: HeaderRules,
    ) -> Self {
        Self { receive, decoder, decompressing, rules, held: 0, data_is_over: false, broken: None }
    }

    fn is_at_its_end(&self) -> bool {
        self.data_is_over || self.broken.is_some()
    }

    /// Takes in the next DATA, or how it ended.
    fn poll_take_in(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.receive.poll_data(cx)) {
            Some(Ok(chunk)) => {
                self.held += chunk.len();
                self.decoder.push(chunk);
            }
            Some(Err(cause)) => self.broken = Some(cause),
            None => self.data_is_over = true,
        }
        Poll::Ready(())
    }

    /// Lets the server send as much again, at most as was taken in.
    fn give_credit(&mut self, size: usize) {
        let size = size.min(self.held);
        if size > 0 {
            self.held -= size;
            // On a stream that is over nobody needs it.
            let _ = self.receive.flow_control().release_capacity(size);
        }
    }

    fn end(&self, trailers: Option<http::HeaderMap>) -> Outcome {
        let Some(trailers) = trailers else {
            // [WIRE-152]
            return Outcome::local(Failure::Protocol { rule: "the server ended the call without trailers".into() });
        };
        if !self.decoder.is_empty() {
            // [WIRE-95]
            return Outcome::local(Failure::Protocol { rule: "the server ended the call inside a message".into() });
        }
        match Fields::read(&trailers, self.rules) {
            Err(failure) => Outcome::local(failure),
            Ok(Fields { status: None, .. }) => {
                Outcome::local(Failure::NoStatus { found: "none in the trailers".into() })
            }
            Ok(Fields { status: Some(status), metadata, .. }) => {
                Outcome { ending: Ending::Peer { status, trailing: metadata }, sent: Sent::Processed }
            }
        }
    }
}

enum Head {
    /// Messages may follow, compressed like this.
    Initial(Metadata, Encoding),
    /// Trailers-Only ([WIRE-133]).
    Final(Ending),
    /// Somebody answered who does not speak gRPC.
    NotGrpc { http: StatusCode, content_type: Option<String> },
}

fn read_head(
    response: Response<RecvStream>,
    rules: HeaderRules,
    coding: &Coding,
) -> Result<(Head, RecvStream), Failure> {
    let http = response.status();
    let (parts, receive) = response.into_parts();
    let fields = Fields::read(&parts.headers, rules)?;
    if let Some(accepted) = fields.accept_encoding {
        coding.on_told(accepted);
    }
    // [WIRE-153]: a gRPC status wins over whatever HTTP says.
    if receive.is_end_stream()
        && let Some(status) = fields.status
    {
        return Ok((Head::Final(Ending::Peer { status, trailing: fields.metadata }), receive));
    }
    // [WIRE-150], [WIRE-154], [WIRE-160]
    if http != StatusCode::OK || !fields.is_grpc() {
        return Ok((Head::NotGrpc { http, content_type: fields.content_type() }, receive));
    }
    if receive.is_end_stream() {
        return Err(Failure::NoStatus { found: "none in a response without a body".into() });
    }
    let encoding = fields.encoding.map_or(Encoding::None, |value| coding.encoding(value));
    Ok((Head::Initial(fields.metadata, encoding), receive))
}

/// What has come of a body so far, a kilobyte at most ([WIRE-161]). More of it is not waited for: it may never come.
async fn beginning(mut body: RecvStream) -> Box<str> {
    const MOST: usize = 1 << 10;

    let mut bytes = Vec::new();
    poll_fn(|cx| {
        while bytes.len() < MOST
            && let Poll::Ready(Some(Ok(chunk))) = body.poll_data(cx)
        {
            bytes.extend_from_slice(&chunk[..chunk.len().min(MOST - bytes.len())]);
        }
        Poll::Ready(())
    })
    .await;
    String::from_utf8_lossy(&bytes).into()
}
