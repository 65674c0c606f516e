//! The methods of grpc.testing.TestService that are served: what a request asks for, from as little protobuf as that takes.

use std::time::Duration;

/// How a method's requests and responses relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One request, one response.
    Unary,
    /// Each request asks for responses of its own.
    Output,
    /// One response behind all requests.
    Input,
}

pub(super) fn kind_of(method: &str) -> Option<Kind> {
    match method {
        "EmptyCall" | "UnaryCall" => Some(Kind::Unary),
        "StreamingOutputCall" | "FullDuplexCall" => Some(Kind::Output),
        "StreamingInputCall" => Some(Kind::Input),
        _ => None,
    }
}

/// A response message, and how long after the one before it comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) after: Duration,
    pub(super) message: Vec<u8>,
}

/// What one request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) responses: Vec<Response>,
    /// EchoStatus: code and message.
    pub(super) status: Option<(u32, String)>,
    /// Bytes of the request's own payload.
    pub(super) payload: usize,
}

impl Asked {
    /// Reads SimpleRequest, StreamingOutputCallRequest or StreamingInputCallRequest.
    pub(super) fn read(kind: Kind, request: &[u8], name: &str) -> Self {
        let mut asked = Self::default();
        let (mut size, mut wants_name) = (0, false);
        for (field, value) in Fields(request) {
            match (kind, field, value) {
                (Kind::Unary, 2, Value::Number(length)) => size = length as usize,
                (Kind::Unary, 9, Value::Number(flag)) => wants_name = flag != 0,
                (Kind::Unary | Kind::Output, 3, Value::Bytes(payload)) | (Kind::Input, 1, Value::Bytes(payload)) => {
                    asked.payload = body_length(payload);
                }
                (Kind::Output, 2, Value::Bytes(parameters)) => asked.responses.push(response_of(parameters)),
                (Kind::Unary | Kind::Output, 7, Value::Bytes(status)) => asked.status = Some(status_of(status)),
                _ => {}
            }
        }
        if kind == Kind::Unary {
            let mut message = payload_of(size);
            if wants_name {
                put_bytes(&mut message, 4, name.as_bytes());
            }
            asked.responses.push(Response { after: Duration::ZERO, message });
        }
        asked
    }
}

/// StreamingInputCallResponse.
pub(super) fn aggregated(bytes: usize) -> Vec<u8> {
    let mut message = vec![8];
    put_number(&mut message, bytes as u64);
    message
}

/// A message behind its prefix of five bytes.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes(), message].concat()
}

/// ResponseParameters: size and interval.
fn response_of(parameters: &[u8]) -> Response {
    let mut response = Response { after: Duration::ZERO, message: Vec::new() };
    for (field, value) in Fields(parameters) {
        match (field, value) {
            (1, Value::Number(size)) => response.message = payload_of(size as usize),
            (2, Value::Number(interval)) => response.after = Duration::from_micros(interval),
            _ => {}
        }
    }
    response
}

fn status_of(status: &[u8]) -> (u32, String) {
    let (mut code, mut text) = (0, String::new());
    for (field, value) in Fields(status) {
        match (field, value) {
            (1, Value::Number(number)) => code = u32::try_from(number).unwrap_or(2),
            (2, Value::Bytes(bytes)) => text = String::from_utf8_lossy(bytes).into_owned(),
            _ => {}
        }
    }
    (code, text)
}

fn body_length(payload: &[u8]) -> usize {
    let bodies =
        Fields(payload).filter_map(|field| if let (2, Value::Bytes(body)) = field { Some(body.len()) } else { None });
    bodies.sum()
}

/// A response whose payload has so many zeros.
fn payload_of(size: usize) -> Vec<u8> {
    let mut message = Vec::new();
    if size > 0 {
        let mut payload = Vec::new();
        put_bytes(&mut payload, 2, &vec![0; size]);
        put_bytes(&mut message, 1, &payload);
    }
    message
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The varint and length-delimited fields of a message; it ends at the first byte that makes no sense.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            2 => {
                let length = self.number()? as usize;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl Fields<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 127) << shift;
            if byte & 128 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unary_request_asks_for_a_size_a_status_and_a_name() {
        // SimpleRequest { response_size: 2, payload: { body: 3 bytes }, response_status: { 5, "no" }, fill_server_id: true }
        let request = [0x10, 2, 0x1a, 5, 0x12, 3, 0, 0, 0, 0x3a, 6, 8, 5, 0x12, 2, b'n', b'o', 0x48, 1];
        let asked = Asked::read(Kind::Unary, &request, "me");
        assert_eq!(asked.payload, 3);
        assert_eq!(asked.status, Some((5, "no".to_owned())));
        let message = vec![0x0a, 4, 0x12, 2, 0, 0, 0x22, 2, b'm', b'e'];
        assert_eq!(asked.responses, [Response { after: Duration::ZERO, message }]);
    }

    #[test]
    fn a_streaming_request_asks_for_sizes_and_intervals() {
        // StreamingOutputCallRequest { response_parameters: [{ size: 1 }, { size: 0, interval_us: 300 }] }
        let asked = Asked::read(Kind::Output, &[0x12, 2, 8, 1, 0x12, 3, 0x10, 0xac, 2], "me");
        let responses = [(0, vec![0x0a, 3, 0x12, 1, 0]), (300, Vec::new())];
        let responses = responses.map(|(micros, message)| Response { after: Duration::from_micros(micros), message });
        assert_eq!(asked.responses, responses);
    }

    #[test]
    fn half_a_message_is_read_as_far_as_it_goes() {
        assert_eq!(Asked::read(Kind::Input, &[0x0a, 9, 0x12], "me").payload, 0);
        assert_eq!(aggregated(300), [8, 0xac, 2]);
    }
}
