//! The few messages of grpc.testing the cases need, written and read by hand: field numbers as in `tests/proto/interop.proto`.

/// The status a server is asked to end with: code and text.
pub(crate) type EchoStatus<'a> = Option<(u64, &'a str)>;

#[derive(Default)]
pub(crate) struct SimpleRequest<'a> {
    pub(crate) response_size: u64,
    pub(crate) payload: usize,
    pub(crate) response_compressed: Option<bool>,
    pub(crate) status: EchoStatus<'a>,
    pub(crate) expect_compressed: Option<bool>,
    pub(crate) fill_server_id: bool,
    /// A serialized `TestOrcaReport`.
    pub(crate) load: &'a [u8],
}

impl SimpleRequest<'_> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut message = Vec::new();
        put_number(&mut message, 2, self.response_size);
        put_payload(&mut message, 3, self.payload);
        put_bool_value(&mut message, 6, self.response_compressed);
        put_status(&mut message, self.status);
        put_bool_value(&mut message, 8, self.expect_compressed);
        put_number(&mut message, 9, u64::from(self.fill_server_id));
        if !self.load.is_empty() {
            put_bytes(&mut message, 11, self.load);
        }
        message
    }
}

/// `StreamingInputCallRequest`.
pub(crate) fn input_request(payload: usize, expect_compressed: Option<bool>) -> Vec<u8> {
    let mut message = Vec::new();
    put_payload(&mut message, 1, payload);
    put_bool_value(&mut message, 2, expect_compressed);
    message
}

/// One response that is asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct ResponseParameters {
    pub(crate) size: u64,
    pub(crate) compressed: Option<bool>,
    pub(crate) fill_peer: bool,
}

#[derive(Default)]
pub(crate) struct OutputRequest<'a> {
    pub(crate) responses: Vec<ResponseParameters>,
    pub(crate) payload: usize,
    pub(crate) status: EchoStatus<'a>,
    /// A serialized `TestOrcaReport`.
    pub(crate) load: &'a [u8],
}

impl OutputRequest<'_> {
    /// Asks for a response of each size.
    pub(crate) fn sized(sizes: &[u64], payload: usize) -> Self {
        let responses = sizes.iter().map(|size| ResponseParameters { size: *size, ..ResponseParameters::default() });
        Self { responses: responses.collect(), payload, ..Self::default() }
    }

    /// `StreamingOutputCallRequest`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for response in &self.responses {
            let mut parameters = Vec::new();
            put_number(&mut parameters, 1, response.size);
            put_bool_value(&mut parameters, 3, response.compressed);
            put_bool_value(&mut parameters, 4, response.fill_peer.then_some(true));
            put_bytes(&mut message, 2, &parameters);
        }
        put_payload(&mut message, 3, self.payload);
        put_status(&mut message, self.status);
        if !self.load.is_empty() {
            put_bytes(&mut message, 8, self.load);
        }
        message
    }
}

/// The size of the payload's body in a `SimpleResponse` or `StreamingOutputCallResponse`; the body must be zeros.
pub(crate) fn payload_size(response: &[u8]) -> Result<usize, String> {
    let Some(Value::Bytes(payload)) = field(response, 1)? else { return Ok(0) };
    match field(payload, 2)? {
        Some(Value::Bytes(body)) if body.iter().all(|byte| *byte == 0) => Ok(body.len()),
        Some(_) => Err("the payload's body is not zeros".to_owned()),
        None => Ok(0),
    }
}

/// `StreamingInputCallResponse.aggregated_payload_size`.
pub(crate) fn aggregated_size(response: &[u8]) -> Result<u64, String> {
    match field(response, 1)? {
        Some(Value::Number(size)) => Ok(size),
        other => Err(format!("aggregated_payload_size is {other:?}")),
    }
}

/// A text of a response; empty when it is absent.
pub(crate) fn text(response: &[u8], number: u64) -> Result<String, String> {
    match field(response, number)? {
        Some(Value::Bytes(text)) => Ok(String::from_utf8_lossy(text).into_owned()),
        None => Ok(String::new()),
        Some(other) => Err(format!("field {number} is {other:?}")),
    }
}

fn put_payload(message: &mut Vec<u8>, field: u64, size: usize) {
    let mut payload = Vec::new();
    put_bytes(&mut payload, 2, &vec![0; size]);
    put_bytes(message, field, &payload);
}

fn put_status(message: &mut Vec<u8>, status: EchoStatus<'_>) {
    if let Some((code, text)) = status {
        let mut echo = Vec::new();
        put_number(&mut echo, 1, code);
        put_bytes(&mut echo, 2, text.as_bytes());
        put_bytes(message, 7, &echo);
    }
}

/// BoolValue is a message, so that absent differs from false.
fn put_bool_value(message: &mut Vec<u8>, field: u64, value: Option<bool>) {
    if let Some(value) = value {
        let mut nested = Vec::new();
        put_number(&mut nested, 1, u64::from(value));
        put_bytes(message, field, &nested);
    }
}

const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

fn put_number(message: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(message, field << 3 | VARINT);
    put_varint(message, value);
}

fn put_bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    put_varint(message, field << 3 | LENGTH_DELIMITED);
    put_varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[derive(Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The last value of a field, as proto3 has it.
fn field(mut message: &[u8], wanted: u64) -> Result<Option<Value<'_>>, String> {
    let mut found = None;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        let value = match key & 7 {
            VARINT => Value::Number(take_varint(&mut message)?),
            LENGTH_DELIMITED => {
                let length = usize::try_from(take_varint(&mut message)?).map_err(|e| e.to_string())?;
                let (value, rest) = message.split_at_checked(length).ok_or("a field is longer than its message")?;
                message = rest;
                Value::Bytes(value)
            }
            other => return Err(format!("wire type {other} was not expected")),
        };
        if key >> 3 == wanted {
            found = Some(value);
        }
    }
    Ok(found)
}

fn take_varint(message: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().ok_or("a message ends inside a number")?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has more than ten bytes".to_owned())
}
