//! One call on the server: what of its request is here, what of its response is still to come, and where it is spoilt.

use std::collections::VecDeque;
use std::time::Duration;

use super::behaviour::{DataFrames, Fault, Phase};
use super::service::{Asked, Kind, aggregated, framed};

pub(super) struct Call {
    pub(super) fault: Option<(Phase, Fault)>,
    /// How much the client lets us send on this stream.
    pub(super) window: i64,
    pub(super) frames: DataFrames,
    pub(super) has_headers: bool,
    pub(super) request_is_whole: bool,
    /// Nothing comes any more.
    pub(super) is_silent: bool,
    /// None for a method that is not served.
    kind: Option<Kind>,
    /// Nothing is answered before.
    answers_at: Duration,
    /// Not yet a whole message.
    request: Vec<u8>,
    has_message: bool,
    aggregated: usize,
    status: (u32, String),
    /// Messages with the time each is due.
    responses: VecDeque<(Duration, Vec<u8>)>,
    /// Due and not sent.
    body: VecDeque<u8>,
    /// Of the body so far, and of its first message.
    sent: usize,
    first_message: Option<usize>,
}

/// What a call does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Headers,
    Data(Vec<u8>),
    /// Trailers with this status.
    Trailers(u32, String),
    Fault(Fault),
}

impl Call {
    pub(super) fn new(kind: Option<Kind>, fault: Option<(Phase, Fault)>, window: i64, answers_at: Duration) -> Self {
        Self {
            fault,
            window,
            frames: DataFrames::default(),
            has_headers: false,
            request_is_whole: false,
            is_silent: false,
            kind,
            answers_at,
            request: Vec::new(),
            has_message: false,
            aggregated: 0,
            status: (0, String::new()),
            responses: VecDeque::new(),
            body: VecDeque::new(),
            sent: 0,
            first_message: None,
        }
    }

    /// A part of the request came.
    pub(super) fn on_data(&mut self, data: &[u8], is_last: bool, now: Duration, name: &str) {
        self.request.extend_from_slice(data);
        self.request_is_whole |= is_last;
        let Some(kind) = self.kind else { return };
        while let Some(length) = self.request.get(1..5).map(super::frame::number) {
            let end = 5 + length as usize;
            let Some(message) = self.request.get(5..end) else { break };
            let asked = Asked::read(kind, message, name);
            self.request.drain(..end);
            self.on_request(asked, now);
        }
        if is_last && kind == Kind::Input {
            self.plan(now, aggregated(self.aggregated));
        }
    }

    fn on_request(&mut self, asked: Asked, now: Duration) {
        self.has_message = true;
        self.aggregated += asked.payload;
        self.status = asked.status.unwrap_or_default();
        if self.status.0 != 0 {
            return;
        }
        let mut due = self.responses.back().map_or(now, |(due, _)| *due);
        for response in asked.responses {
            due += response.after;
            self.plan(due, response.message);
        }
    }

    fn plan(&mut self, due: Duration, message: Vec<u8>) {
        self.responses.push_back((due, framed(&message)));
    }

    /// What is to be done now, with so much room in the connection's window and in one frame.
    pub(super) fn next(&mut self, now: Duration, room: i64) -> Option<Step> {
        if self.is_silent {
            return None;
        }
        if self.is_at(Phase::Start) || (self.request_is_whole && self.is_at(Phase::Request)) {
            return self.take_fault();
        }
        let Some(kind) = self.kind else {
            return self.request_is_whole.then(|| Step::Trailers(12, "no such method".to_owned()));
        };
        let may_begin = if kind == Kind::Output { self.has_message } else { self.request_is_whole };
        if !may_begin || now < self.answers_at {
            return None;
        }
        if self.status.0 != 0 {
            return Some(Step::Trailers(self.status.0, self.status.1.clone()));
        }
        if !self.has_headers {
            self.has_headers = true;
            return Some(Step::Headers);
        }
        if self.is_at(Phase::Headers) {
            return self.take_fault();
        }
        while self.responses.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, message)) = self.responses.pop_front() else { break };
            self.first_message.get_or_insert(message.len());
            self.body.extend(message);
        }
        if self.fault_at().is_some_and(|at| self.sent >= at) {
            return self.take_fault();
        }
        self.data(room).or_else(|| {
            let is_over = self.body.is_empty() && self.responses.is_empty() && self.request_is_whole;
            is_over.then(|| Step::Trailers(0, String::new()))
        })
    }

    /// When it can go on by itself, if it waits for a time.
    pub(super) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        if self.is_silent {
            return None;
        }
        let first = self.responses.front().map(|(due, _)| (*due).max(self.answers_at));
        first.or(Some(self.answers_at)).filter(|due| *due > now)
    }

    fn data(&mut self, room: i64) -> Option<Step> {
        let most = self.fault_at().map_or(usize::MAX, |at| at - self.sent);
        let overhead = self.frames.overhead();
        let room = usize::try_from(room.min(self.window)).unwrap_or(0).saturating_sub(overhead);
        let length = room.min(self.body.len()).min(most).min(self.frames.bytes.unwrap_or(usize::MAX));
        if length == 0 {
            return None;
        }
        self.sent += length;
        self.window -= (length + overhead) as i64;
        Some(Step::Data(self.body.drain(..length).collect()))
    }

    /// After how many bytes of the response it is spoilt.
    fn fault_at(&self) -> Option<usize> {
        match self.fault?.0 {
            Phase::HalfMessage => self.first_message.map(|length| length / 2),
            Phase::Message => self.first_message,
            Phase::Start | Phase::Request | Phase::Headers => None,
        }
    }

    fn is_at(&self, phase: Phase) -> bool {
        self.fault.is_some_and(|(at, _)| at == phase)
    }

    fn take_fault(&mut self) -> Option<Step> {
        self.fault.take().map(|(_, fault)| Step::Fault(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;
    const MS: Duration = Duration::from_millis(1);

    fn unary(fault: Option<(Phase, Fault)>) -> Call {
        Call::new(Some(Kind::Unary), fault, 1_000, ZERO)
    }

    fn all(call: &mut Call, now: Duration) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(step) = call.next(now, 1_000) {
            let is_end = matches!(step, Step::Trailers(..) | Step::Fault(_));
            steps.push(step);
            if is_end {
                break;
            }
        }
        steps
    }

    #[test]
    fn a_unary_call_is_answered_when_its_request_is_whole() {
        let mut call = unary(None);
        call.on_data(&framed(&[0x10, 1]), false, ZERO, "me");
        assert_eq!(all(&mut call, ZERO), []);
        call.on_data(&[], true, ZERO, "me");
        let message = framed(&[0x0a, 3, 0x12, 1, 0]);
        assert_eq!(all(&mut call, ZERO), [Step::Headers, Step::Data(message), Step::Trailers(0, String::new())]);
    }

    #[test]
    fn each_phase_stops_where_it_says() {
        let message = framed(&[0x0a, 3, 0x12, 1, 0]);
        let half = message[..5].to_vec();
        for (phase, before) in [
            (Phase::Start, vec![]),
            (Phase::Request, vec![]),
            (Phase::Headers, vec![Step::Headers]),
            (Phase::HalfMessage, vec![Step::Headers, Step::Data(half)]),
            (Phase::Message, vec![Step::Headers, Step::Data(message)]),
        ] {
            let mut call = unary(Some((phase, Fault::Silence)));
            call.on_data(&framed(&[0x10, 1]), true, ZERO, "me");
            let wanted: Vec<_> = before.into_iter().chain([Step::Fault(Fault::Silence)]).collect();
            assert_eq!(all(&mut call, ZERO), wanted, "{phase:?}");
        }
    }

    #[test]
    fn a_stream_sends_each_message_when_it_is_due_and_no_more_than_fits() {
        let mut call = Call::new(Some(Kind::Output), None, 4, ZERO);
        // Two empty messages, the second a millisecond after the first.
        call.on_data(&framed(&[0x12, 0, 0x12, 3, 0x10, 0xe8, 7]), true, ZERO, "me");
        assert_eq!(all(&mut call, ZERO), [Step::Headers, Step::Data(vec![0; 4])]);
        assert_eq!(call.next_deadline(ZERO), Some(MS));
        call.window += 100;
        assert_eq!(all(&mut call, ZERO), [Step::Data(vec![0])]);
        assert_eq!(all(&mut call, MS), [Step::Data(vec![0; 5]), Step::Trailers(0, String::new())]);
    }

    #[test]
    fn padding_takes_of_the_window_and_small_frames_are_as_small_as_they_should_be() {
        let mut call = Call::new(Some(Kind::Unary), None, 40, ZERO);
        call.frames = DataFrames { bytes: Some(5), padding: Some(9) };
        call.on_data(&framed(&[0x10, 10]), true, ZERO, "me");
        let first = Step::Data(vec![0, 0, 0, 0, 14]);
        let second = Step::Data(vec![0x0a, 12, 0x12, 10, 0]);
        assert_eq!(all(&mut call, ZERO), [Step::Headers, first, second]);
        assert_eq!(call.window, 10);
    }

    #[test]
    fn an_answer_waits_for_its_time_and_a_status_needs_no_headers() {
        let mut call = Call::new(Some(Kind::Unary), None, 1_000, MS);
        call.on_data(&framed(&[0x3a, 2, 8, 5]), true, ZERO, "me");
        assert_eq!(all(&mut call, ZERO), []);
        assert_eq!(call.next_deadline(ZERO), Some(MS));
        assert_eq!(all(&mut call, MS), [Step::Trailers(5, String::new())]);
    }
}
