//! How a server answers one call.

use std::future::poll_fn;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use super::{Inner, Load, health};
use crate::load_report::{LoadReport, TRAILER};
use crate::runtime::Driver;
use crate::simulation::{STREAM, UNARY, WATCH, message_id};

/// Reads the call's messages and answers as the script has it.
pub(super) async fn answer(server: &Rc<Inner>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let answers = server.script.borrow().answers.clone();
    if server.random.percent(answers.refused) {
        server.note("refuses a call");
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let _running = Running::start(server);
    let (head, body) = request.into_parts();
    match head.uri.path() {
        UNARY => unary(server, body, respond).await,
        STREAM => stream(server, body, respond).await,
        WATCH => {
            server.note("is asked for its health");
            server.record.0.watches.borrow_mut().push(server.driver.now());
            health::watch(server.tells.subscribe(), respond).await;
        }
        other => panic!("nobody calls {other}"),
    }
}

/// A call that the application runs.
struct Running<'a>(&'a Inner);

impl<'a> Running<'a> {
    fn start(server: &'a Inner) -> Self {
        let running = server.running.get() + 1;
        server.running.set(running);
        server.most_running.set(running.max(server.most_running.get()));
        Self(server)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
    }
}

async fn unary(server: &Rc<Inner>, body: RecvStream, mut respond: SendResponse<Bytes>) {
    let answers = server.script.borrow().answers.clone();
    let mut messages = Messages::new(body);
    let Some(message) = messages.next().await else { return };
    // The client may go away before the end of its message has come.
    if messages.next().await.is_some() || messages.is_broken {
        return;
    }
    note_run(server, &message);
    let wait = server.driver.sleep(server.random.between(answers.after.0, answers.after.1));
    tokio::select! {
        biased;
        () = wait => {}
        // The client has lost interest.
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
    }
    if server.random.percent(answers.never) {
        server.note(format_args!("never answers call {}", message_id(&message)));
        let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
        return;
    }
    if server.random.percent(answers.errors) {
        let mut trailers_only = head();
        let (code, pushback) = answers.error;
        trailers_only.headers_mut().extend(end(code, answers.load));
        if let Some(pushback) = pushback {
            trailers_only.headers_mut().insert("grpc-retry-pushback-ms", HeaderValue::from_static(pushback));
        }
        let _ = respond.send_response(trailers_only, true);
        return;
    }
    let Ok(mut sender) = respond.send_response(head(), false) else { return };
    if server.random.percent(answers.reset) {
        return sender.send_reset(Reason::INTERNAL_ERROR);
    }
    send(&mut sender, &message);
    let _ = sender.send_trailers(end(0, answers.load));
}

/// Sends every message back, then OK.
async fn stream(server: &Rc<Inner>, body: RecvStream, mut respond: SendResponse<Bytes>) {
    let answers = server.script.borrow().answers.clone();
    let mut messages = Messages::new(body);
    let Ok(mut sender) = respond.send_response(head(), false) else { return };
    let mut is_first = true;
    loop {
        let message = tokio::select! {
            biased;
            message = messages.next() => message,
            _ = poll_fn(|cx| sender.poll_reset(cx)) => return,
        };
        let Some(message) = message else { break };
        if std::mem::take(&mut is_first) {
            note_run(server, &message);
        }
        server.driver.sleep(server.random.between(answers.after.0, answers.after.1)).await;
        send(&mut sender, &message);
    }
    if messages.is_broken {
        return;
    }
    let _ = sender.send_trailers(end(0, answers.load));
}

fn note_run(server: &Inner, message: &[u8]) {
    let id = message_id(message);
    server.runs.set(server.runs.get() + 1);
    server.note(format_args!("runs call {id}"));
    server.record.0.calls.borrow_mut().entry(id).or_default().push(server.driver.now());
}

pub(super) fn head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).expect("valid")
}

/// The status and what is told with it.
pub(super) fn end(code: u8, load: Option<Load>) -> HeaderMap {
    let mut end = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(u16::from(code)))]);
    if let Some(Load { queries_per_second, utilization }) = load {
        let report = LoadReport { queries_per_second, cpu_utilization: utilization, ..LoadReport::default() };
        let value = STANDARD_NO_PAD.encode(report.written());
        end.insert(HeaderName::from_static(TRAILER), HeaderValue::try_from(value).expect("base64"));
    }
    end
}

pub(super) fn send(sender: &mut SendStream<Bytes>, message: &Bytes) {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message of four gigabytes at most"));
    framed.extend_from_slice(message);
    // The stream may be gone; then nobody waits for it.
    let _ = sender.send_data(framed.freeze(), false);
}

/// The messages of a request.
struct Messages {
    body: RecvStream,
    read: BytesMut,
    /// Ended by a reset or with the connection, not by the client's half-close.
    is_broken: bool,
}

impl Messages {
    fn new(body: RecvStream) -> Self {
        Self { body, read: BytesMut::new(), is_broken: false }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(head) = self.read.first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if self.read.len() >= 5 + length {
                    self.read.advance(5);
                    return Some(self.read.split_to(length).freeze());
                }
            }
            match self.body.data().await {
                None => return None,
                Some(Ok(data)) => {
                    let _ = self.body.flow_control().release_capacity(data.len());
                    self.read.extend_from_slice(&data);
                }
                Some(Err(_)) => {
                    self.is_broken = true;
                    return None;
                }
            }
        }
    }
}
