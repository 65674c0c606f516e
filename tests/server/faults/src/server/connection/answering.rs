//! What a connection sends for its calls, good and spoilt.

use std::time::Duration;

use super::super::behaviour::Fault;
use super::super::call::Step;
use super::super::frame;
use super::{Connection, End};

const HEADERS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

impl Connection {
    /// Lets every call do what it can.
    pub(super) fn advance(&mut self, now: Duration) {
        let ids: Vec<u32> = self.calls.keys().copied().collect();
        for id in ids {
            while let Some(call) = self.calls.get_mut(&id) {
                let has_headers = call.has_headers;
                let Some(step) = call.next(now, self.window.min(frame::LARGEST_PAYLOAD as i64)) else { break };
                self.take(id, step, has_headers);
            }
        }
    }

    fn take(&mut self, id: u32, step: Step, has_headers: bool) {
        match step {
            Step::Headers => {
                self.between_pings(|connection| frame::put_headers(&mut connection.out, id, false, &HEADERS))
            }
            Step::Data(data) => {
                let frames = self.calls.get(&id).map(|call| call.frames).unwrap_or_default();
                self.window -= (data.len() + frames.overhead()) as i64;
                self.between_pings(|connection| frame::put_data(&mut connection.out, id, &data, frames.padding));
            }
            Step::Trailers(code, text) => {
                self.trailers(id, code, &text, has_headers);
                self.on_answered();
            }
            Step::Fault(fault) => self.spoil(id, fault, has_headers),
        }
    }

    /// Writes a frame of a response, and the PINGs around it if the test wants them.
    fn between_pings(&mut self, write: impl FnOnce(&mut Self)) {
        let has_pings = self.shared.behaviour.borrow().pings_around_answers;
        if has_pings {
            self.ping(b"before..");
        }
        write(self);
        if has_pings {
            self.ping(b"behind..");
        }
        self.pings.on_sent();
    }

    fn on_answered(&mut self) {
        self.answered += 1;
        if self.shared.behaviour.borrow().goaway_after_answers == Some(self.answered) {
            self.goaway(self.highest, 0, "");
        }
    }

    fn spoil(&mut self, id: u32, fault: Fault, has_headers: bool) {
        match fault {
            Fault::Reset(code) => {
                self.drop_call(id);
                self.reset(id, code);
            }
            Fault::Silence => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.is_silent = true;
                }
            }
            Fault::Status(code) => self.trailers(id, code, "as the test wanted", has_headers),
            Fault::NoTrailers => {
                self.drop_call(id);
                frame::put(&mut self.out, frame::DATA, frame::END_STREAM, id, &[]);
            }
            Fault::HalfFrame => {
                frame::put(&mut self.out, frame::DATA, 0, id, &[0; 64]);
                self.out.truncate(self.out.len() - 32);
                self.out_limit.get_or_insert(self.out.len());
            }
            Fault::Close => self.end = Some(End::Close),
            Fault::Abort => self.end = Some(End::Abort),
        }
    }

    fn trailers(&mut self, id: u32, code: u32, text: &str, has_headers: bool) {
        self.drop_call(id);
        let code = code.to_string();
        let mut fields = if has_headers { Vec::new() } else { HEADERS.to_vec() };
        fields.extend([("grpc-status", code.as_str()), ("x-server-id", self.shared.name.as_str())]);
        if !text.is_empty() {
            fields.push(("grpc-message", text));
        }
        frame::put_headers(&mut self.out, id, true, &fields);
        self.pings.on_sent();
    }

    pub(super) fn reset(&mut self, id: u32, code: u32) {
        frame::put(&mut self.out, frame::RST_STREAM, 0, id, &code.to_be_bytes());
    }
}
