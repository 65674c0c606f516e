//! What the bytes of a script mean: steps, most of which send a frame that is nearly right.

use std::cell::RefCell;
use std::time::Duration;

use super::super::input::Input;

pub(super) enum Step {
    Send(Vec<u8>),
    /// Waits for the next request on this connection.
    AwaitRequest,
    Pause(Duration),
    Close,
}

/// All connections of a server take their steps from it.
pub(super) struct Script {
    left: RefCell<Vec<u8>>,
    greeting: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The names a header may have by its number; another number brings its own.
const NAMES: [&str; 15] = [
    ":status",
    "content-type",
    "grpc-status",
    "grpc-message",
    "grpc-encoding",
    "grpc-status-details-bin",
    "endpoint-load-metrics-bin",
    "key-bin",
    "key",
    "grpc-retry-pushback-ms",
    "grpc-accept-encoding",
    "content-length",
    ":path",
    "connection",
    "te",
];

/// `:status 200` from HPACK's table (RFC 7541 appendix A).
const STATUS_200: u8 = 0x88;

impl Script {
    pub(super) fn new(steps: &[u8], is_greeted: bool) -> Self {
        let greeting =
            if is_greeted { [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat() } else { Vec::new() };
        Self { left: RefCell::new(steps.to_vec()), greeting }
    }

    /// What every connection begins with.
    pub(super) fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    pub(super) fn next(&self) -> Option<Step> {
        let mut left = self.left.borrow_mut();
        let mut input = Input(&left);
        if input.is_over() {
            return None;
        }
        let step = step(&mut input);
        let taken = left.len() - input.0.len();
        left.drain(..taken);
        Some(step)
    }
}

fn step(input: &mut Input<'_>) -> Step {
    let head = input.byte();
    // What is above the step's number is a bit or two for it.
    let (is_last, more) = (head & 0x80 != 0, head >> 4 & 7);
    let end = if is_last { END_STREAM } else { 0 };
    Step::Send(match head & 0xf {
        0 => return Step::AwaitRequest,
        1 => return Step::Pause(Duration::from_millis(u64::from(input.byte()) * 20)),
        2 => return Step::Close,
        3 => input.counted().to_vec(),
        4 => frame(HEADERS, END_HEADERS | end, stream(input), &[&[STATUS_200][..], &fields(input, more)].concat()),
        5 => frame(HEADERS, END_HEADERS | END_STREAM, stream(input), &fields(input, more)),
        6 => {
            let (stream, flag, bytes) = (stream(input), more & 1, input.counted());
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            frame(DATA, end, stream, &[&[flag][..], &length, bytes].concat())
        }
        7 => {
            let (stream, flags) = (stream(input), input.byte());
            frame(DATA, flags, stream, input.counted())
        }
        8 => frame(SETTINGS, more & ACK, 0, &settings(input)),
        9 => {
            let (last, code) = (stream(input).to_be_bytes(), [0, 0, 0, input.byte()]);
            frame(GOAWAY, 0, 0, &[&last[..], &code, input.counted()].concat())
        }
        10 => frame(RST_STREAM, 0, stream(input), &[0, 0, 0, input.byte()]),
        11 => frame(WINDOW_UPDATE, 0, stream(input), &input.number().to_be_bytes()),
        12 => frame(PING, more & ACK, 0, &[input.byte(); 8]),
        13 => {
            let (kind, flags, stream) = (input.byte(), input.byte(), stream(input));
            frame(kind, flags, stream, input.counted())
        }
        14 => good_answer(stream(input), input.counted(), is_last),
        _ => {
            // A block cut in two.
            let (stream, block) = (stream(input), fields(input, more));
            let (one, other) = block.split_at(block.len() / 2);
            [frame(HEADERS, end, stream, one), frame(CONTINUATION, END_HEADERS, stream, other)].concat()
        }
    })
}

fn good_answer(stream: u32, bytes: &[u8], is_large: bool) -> Vec<u8> {
    // More than one frame may hold.
    let message = if is_large { bytes.repeat(200) } else { bytes.to_vec() };
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let head = [&[STATUS_200][..], &field(b"content-type", b"application/grpc")].concat();
    let mut answer = frame(HEADERS, END_HEADERS, stream, &head);
    for piece in [&[0][..], &length, &message].concat().chunks(16 << 10) {
        answer.extend(frame(DATA, 0, stream, piece));
    }
    answer.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &field(b"grpc-status", b"0")));
    answer
}

/// The streams a client opens, mostly.
fn stream(input: &mut Input<'_>) -> u32 {
    match input.byte() {
        number @ 0..=15 => u32::from(number),
        255 => (1 << 31) - 1,
        254 => u32::MAX,
        other => 1 + 2 * u32::from(other % 4),
    }
}

/// So many fields of a header block, not compressed, or whatever bytes there are.
fn fields(input: &mut Input<'_>, count: u8) -> Vec<u8> {
    if count == 0 {
        return input.counted().to_vec();
    }
    let mut block = Vec::new();
    for _ in 0..count {
        let name = match NAMES.get(usize::from(input.byte())) {
            Some(name) => name.as_bytes(),
            None => input.counted(),
        };
        block.extend(field(name, input.counted()));
    }
    block
}

/// A literal that is not indexed (RFC 7541 §6.2.2).
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        // Seven bits hold a length up to 126; a longer one goes on in bytes of seven bits.
        match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
            Some(length) => field.push(length),
            None => {
                let rest = text.len() - 127;
                field.extend([127, 0x80 | (rest & 0x7f) as u8, (rest >> 7) as u8]);
            }
        }
        field.extend_from_slice(text);
    }
    field
}

/// Up to seven settings.
fn settings(input: &mut Input<'_>) -> Vec<u8> {
    let count = input.byte() % 8;
    (0..count).flat_map(|_| [&[0, input.byte()][..], &input.number().to_be_bytes()].concat()).collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}
