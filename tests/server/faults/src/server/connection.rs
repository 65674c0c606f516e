//! One connection of the server: bytes, actions and times go in; bytes come out, and when it wants to be told the time.
//!
//! It does no I/O, so that its tests need no socket and no clock. Times are the length since it was opened.

mod answering;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::behaviour::{Action, Behaviour, Fault, Phase, fault_of};
use super::call::Call;
use super::counts::{ConnectionCounts, Counts};
use super::frame::{self, Frame};
use super::lifetime::{Due, Lifetime};
use super::pings::Pings;
use super::service::kind_of;

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) behaviour: RefCell<Behaviour>,
    pub(super) counts: RefCell<Counts>,
}

/// How the connection is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In order, once everything is written.
    Close,
    /// At once, by RST.
    Abort,
}

/// The largest stream id: "whatever you have sent is served", RFC 9113 §6.8.
const ANY_STREAM: u32 = 0x7fff_ffff;
const DRAIN_PING: &[u8; 8] = b"draining";
/// What the GOAWAYs of a graceful end say that was asked for, as opposed to one that was due.
const GRACEFUL: &str = "graceful";

pub(super) struct Connection {
    pub(super) id: usize,
    shared: Rc<Shared>,
    input: Vec<u8>,
    out: Vec<u8>,
    /// So much of `out` may still be written; no limit while nothing is stalled.
    out_limit: Option<usize>,
    pub(super) reads: bool,
    pub(super) end: Option<End>,
    has_preface: bool,
    /// When our SETTINGS go out. Nothing of the client is looked at before.
    greets_at: Option<Duration>,
    has_greeted: bool,
    decoder: loona_hpack::Decoder<'static>,
    /// A header block that is not whole yet: its stream, whether the request ends with it, and its bytes.
    block: Option<(u32, bool, Vec<u8>)>,
    calls: BTreeMap<u32, Call>,
    highest: u32,
    /// Calls that were answered to their end.
    answered: u64,
    /// After GOAWAY: streams above are not served.
    last_stream: u32,
    /// What the client lets us send on the connection, and on a new stream.
    window: i64,
    stream_window: i64,
    pings: Pings,
    lifetime: Lifetime,
}

impl Connection {
    pub(super) fn new(id: usize, shared: Rc<Shared>) -> Self {
        let (greets_at, lifetime) = {
            let behaviour = shared.behaviour.borrow();
            (behaviour.settings_after_ms.map(Duration::from_millis), Lifetime::new(&behaviour))
        };
        Self {
            id,
            shared,
            input: Vec::new(),
            out: Vec::new(),
            out_limit: None,
            reads: true,
            end: None,
            has_preface: false,
            greets_at,
            has_greeted: false,
            decoder: loona_hpack::Decoder::new(),
            block: None,
            calls: BTreeMap::new(),
            highest: 0,
            answered: 0,
            last_stream: ANY_STREAM,
            window: i64::from(frame::FIRST_WINDOW),
            stream_window: i64::from(frame::FIRST_WINDOW),
            pings: Pings::default(),
            lifetime,
        }
    }

    /// What is to be written now.
    pub(super) fn output(&self) -> &[u8] {
        &self.out[..self.out_limit.unwrap_or(self.out.len()).min(self.out.len())]
    }

    pub(super) fn on_written(&mut self, length: usize) {
        self.out.drain(..length);
        self.out_limit = self.out_limit.map(|limit| limit - length);
        self.count(|counts| counts.bytes_written += length as u64);
    }

    pub(super) fn on_bytes(&mut self, bytes: &[u8], now: Duration) {
        self.count(|counts| counts.bytes_read += bytes.len() as u64);
        self.input.extend_from_slice(bytes);
        self.on_time(now);
    }

    /// Does what is due: also after bytes and actions.
    pub(super) fn on_time(&mut self, now: Duration) {
        if self.end.is_some() {
            return;
        }
        if !self.has_greeted && self.greets_at.is_some_and(|at| at <= now) {
            self.has_greeted = true;
            frame::put_settings(&mut self.out, self.shared.clone().behaviour.borrow().settings.wire());
        }
        if self.has_greeted {
            self.read_frames(now);
            self.advance(now);
        }
        match self.lifetime.on_time(now, !self.calls.is_empty()) {
            None => {}
            Some(Due::Drain(why)) => self.drain(now, why),
            Some(Due::LastGoaway) => self.last_goaway(),
            Some(Due::Close) => self.end = Some(End::Close),
        }
    }

    pub(super) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        let greeting = self.greets_at.filter(|_| !self.has_greeted);
        let calls = self.calls.values().filter_map(|call| call.next_deadline(now));
        calls.chain(greeting).chain(self.lifetime.next_deadline()).min()
    }

    pub(super) fn on_action(&mut self, action: &Action, now: Duration) {
        match action {
            Action::Goaway { last_stream, code, debug, closes } => {
                self.goaway(last_stream.unwrap_or(self.highest), *code, debug);
                if *closes {
                    self.end = Some(End::Close);
                }
            }
            Action::Drain => self.drain(now, GRACEFUL),
            Action::Settings { settings } => frame::put_settings(&mut self.out, settings.wire()),
            Action::Ping => self.ping(b"from us."),
            Action::Stall { reads } => {
                self.reads = *reads;
                self.out_limit.get_or_insert(0);
            }
            Action::Resume => {
                self.reads = true;
                self.out_limit = None;
            }
            Action::Close => self.end = Some(End::Close),
            Action::Abort => self.end = Some(End::Abort),
            Action::Bytes { hex } => self.out.extend_from_slice(&hex.0),
        }
        self.on_time(now);
    }

    /// The first half of a graceful end, as grpc-go and C-core do it.
    fn drain(&mut self, now: Duration, why: &'static str) {
        if self.lifetime.begin_draining(now, why) {
            self.note_goaway(0, why);
            frame::put_goaway(&mut self.out, ANY_STREAM, 0, why);
            self.ping(DRAIN_PING);
        }
    }

    /// The second: the client has seen the first, or does not answer.
    fn last_goaway(&mut self) {
        self.goaway(self.highest, 0, self.lifetime.why());
    }

    fn goaway(&mut self, last_stream: u32, code: u32, debug: &str) {
        self.note_goaway(code, debug);
        frame::put_goaway(&mut self.out, last_stream, code, debug);
        self.last_stream = self.last_stream.min(last_stream);
        while let Some((&id, _)) = self.calls.range(last_stream.saturating_add(1)..).next() {
            self.drop_call(id);
            self.shared.counts.borrow_mut().refused();
        }
    }

    fn read_frames(&mut self, now: Duration) {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        if !self.has_preface {
            if input.len() < frame::PREFACE.len() {
                self.input = input;
                return;
            }
            if !input.starts_with(frame::PREFACE) {
                self.end = Some(End::Abort);
                return;
            }
            self.has_preface = true;
            at = frame::PREFACE.len();
        }
        while let Some(frame) = Frame::read(&input[at..]) {
            at += frame::HEADER + frame.payload.len();
            self.on_frame(&frame, now);
        }
        self.input = input[at..].to_vec();
    }

    fn on_frame(&mut self, frame: &Frame<'_>, now: Duration) {
        match frame.kind {
            frame::HEADERS => {
                let block = frame.content().to_vec();
                self.on_block(frame, (frame.stream, frame.has(frame::END_STREAM), block), now);
            }
            frame::CONTINUATION => {
                if let Some((stream, is_last, mut block)) = self.block.take() {
                    block.extend_from_slice(frame.payload);
                    self.on_block(frame, (stream, is_last, block), now);
                }
            }
            frame::DATA => self.on_data(frame, now),
            frame::SETTINGS if !frame.has(frame::ACK) => self.on_settings(frame.payload),
            frame::WINDOW_UPDATE => self.on_credit(frame.stream, i64::from(frame::number(frame.payload))),
            frame::PING if frame.has(frame::ACK) => self.on_ping_answered(frame.payload),
            frame::PING => self.on_ping(frame.payload, now),
            frame::RST_STREAM => {
                self.count(|counts| counts.client_resets += 1);
                self.drop_call(frame.stream);
            }
            frame::GOAWAY => {
                let code = frame::number(frame.payload.get(4..).unwrap_or_default());
                let debug = String::from_utf8_lossy(frame.payload.get(8..).unwrap_or_default()).into_owned();
                self.count(|counts| counts.client_goaway = Some((code, debug)));
            }
            _ => {}
        }
    }

    fn on_block(&mut self, frame: &Frame<'_>, (stream, is_last, block): (u32, bool, Vec<u8>), now: Duration) {
        if !frame.has(frame::END_HEADERS) {
            self.block = Some((stream, is_last, block));
            return;
        }
        let Ok(fields) = self.decoder.decode(&block) else {
            self.end = Some(End::Abort);
            return;
        };
        let field = |wanted: &str| {
            let found = fields.iter().find(|(name, _)| name == wanted.as_bytes());
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        if stream <= self.highest || stream > self.last_stream {
            if stream > self.last_stream {
                self.shared.counts.borrow_mut().refused();
            }
            return;
        }
        self.highest = stream;
        let path = field(":path").unwrap_or_default();
        let method = path.rsplit('/').next().unwrap_or_default();
        self.begin_call(stream, method, field("x-call-id").as_deref(), now);
        if is_last && let Some(call) = self.calls.get_mut(&stream) {
            call.on_data(&[], true, now, &self.shared.name);
        }
    }

    fn begin_call(&mut self, stream: u32, method: &str, call_id: Option<&str>, now: Duration) {
        self.count(|counts| counts.streams += 1);
        let (fault, answers_at, frames) = {
            let behaviour = &mut *self.shared.behaviour.borrow_mut();
            let wait = Duration::from_millis(behaviour.answer_after_ms);
            (fault_of(&mut behaviour.calls, method), now + wait, behaviour.data)
        };
        if fault == Some((Phase::Start, Fault::Reset(frame::REFUSED_STREAM))) {
            self.shared.counts.borrow_mut().refused();
            self.reset(stream, frame::REFUSED_STREAM);
            return;
        }
        self.shared.counts.borrow_mut().taken_on(method, call_id);
        let mut call = Call::new(kind_of(method), fault, self.stream_window, answers_at);
        call.frames = frames;
        self.calls.insert(stream, call);
        let open = self.calls.len();
        self.count(|counts| counts.most_streams = counts.most_streams.max(open));
    }

    fn on_data(&mut self, frame: &Frame<'_>, now: Duration) {
        if self.shared.behaviour.borrow().returns_credit && !frame.payload.is_empty() {
            let credit = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX).to_be_bytes();
            frame::put(&mut self.out, frame::WINDOW_UPDATE, 0, 0, &credit);
            if self.calls.contains_key(&frame.stream) && !frame.has(frame::END_STREAM) {
                frame::put(&mut self.out, frame::WINDOW_UPDATE, 0, frame.stream, &credit);
            }
        }
        if let Some(call) = self.calls.get_mut(&frame.stream) {
            call.on_data(frame.content(), frame.has(frame::END_STREAM), now, &self.shared.name);
        }
    }

    fn on_settings(&mut self, payload: &[u8]) {
        for setting in payload.chunks_exact(6) {
            let value = frame::number(&setting[2..]);
            if u16::from_be_bytes([setting[0], setting[1]]) == frame::INITIAL_WINDOW_SIZE {
                let change = i64::from(value) - self.stream_window;
                self.stream_window += change;
                self.calls.values_mut().for_each(|call| call.window += change);
            }
        }
        if self.shared.behaviour.borrow().acks_settings {
            frame::put(&mut self.out, frame::SETTINGS, frame::ACK, 0, &[]);
        }
    }

    fn on_credit(&mut self, stream: u32, credit: i64) {
        if stream == 0 {
            self.window += credit;
        } else if let Some(call) = self.calls.get_mut(&stream) {
            call.window += credit;
        }
    }

    fn on_ping(&mut self, payload: &[u8], now: Duration) {
        let (policy, answers) = {
            let behaviour = self.shared.behaviour.borrow();
            (behaviour.ping_policy, behaviour.answers_pings)
        };
        let has_streams = !self.calls.is_empty();
        let is_too_many = policy.is_some_and(|policy| self.pings.on_ping(policy, now, has_streams));
        let strikes = self.pings.strikes();
        self.count(|counts| (counts.pings, counts.strikes) = (counts.pings + 1, strikes));
        if is_too_many {
            self.goaway(self.highest, frame::ENHANCE_YOUR_CALM, "too_many_pings");
            self.end = Some(End::Close);
        } else if answers {
            frame::put(&mut self.out, frame::PING, frame::ACK, 0, payload);
        }
    }

    fn ping(&mut self, payload: &[u8; 8]) {
        self.count(|counts| counts.pings_sent += 1);
        frame::put(&mut self.out, frame::PING, 0, 0, payload);
    }

    fn on_ping_answered(&mut self, payload: &[u8]) {
        self.count(|counts| counts.pings_answered += 1);
        if payload == DRAIN_PING && self.lifetime.on_drain_seen() {
            self.last_goaway();
        }
    }

    fn drop_call(&mut self, id: u32) {
        if self.calls.remove(&id).is_some() {
            self.shared.counts.borrow_mut().call_ended();
        }
    }

    fn note_goaway(&self, code: u32, debug: &str) {
        self.count(|counts| counts.goaways.push((code, debug.to_owned())));
    }

    fn count(&self, change: impl FnOnce(&mut ConnectionCounts)) {
        change(self.shared.counts.borrow_mut().of(self.id));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for _ in 0..self.calls.len() {
            self.shared.counts.borrow_mut().call_ended();
        }
    }
}

#[cfg(test)]
mod tests;
