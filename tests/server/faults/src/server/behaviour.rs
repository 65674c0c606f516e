//! What a test may ask of the server, as it stands in the commands.

use serde::{Deserialize, Serialize};

use super::pings::PingPolicy;

/// How the server behaves from now on. Without a word from the test it follows every rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// What happens to a new connection.
    pub arrival: Arrival,
    /// SETTINGS of new connections.
    pub settings: Settings,
    /// When they are sent; `null` is never.
    pub settings_after_ms: Option<u64>,
    /// Whether the client's SETTINGS are acknowledged.
    pub acks_settings: bool,
    /// Whether what was received is given back as credit.
    pub returns_credit: bool,
    /// A9's MAX_CONNECTION_AGE, without jitter.
    pub max_connection_age_ms: Option<u64>,
    /// A9's MAX_CONNECTION_AGE_GRACE: how long calls may go on after that.
    pub max_connection_age_grace_ms: Option<u64>,
    /// A9's MAX_CONNECTION_IDLE.
    pub max_connection_idle_ms: Option<u64>,
    /// Whether PINGs are answered.
    pub answers_pings: bool,
    /// Which PINGs are borne; `null` bears all.
    pub ping_policy: Option<PingPolicy>,
    /// Every call waits so long before its response begins.
    pub answer_after_ms: u64,
    /// How DATA frames are cut.
    pub data: DataFrames,
    /// Whether a PING goes before and behind each frame of a response but the last.
    pub pings_around_answers: bool,
    /// After so many answers a connection says GOAWAY with the highest stream that came.
    pub goaway_after_answers: Option<u64>,
    /// Calls that do not end as they should. The first that fits a call decides.
    pub calls: Vec<CallFault>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            arrival: Arrival::Serve,
            settings: Settings::default(),
            settings_after_ms: Some(0),
            acks_settings: true,
            returns_credit: true,
            max_connection_age_ms: None,
            max_connection_age_grace_ms: None,
            max_connection_idle_ms: None,
            answers_pings: true,
            ping_policy: None,
            answer_after_ms: 0,
            data: DataFrames::default(),
            pings_around_answers: false,
            goaway_after_answers: None,
            calls: Vec::new(),
        }
    }
}

/// What happens to a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    #[default]
    Serve,
    /// It is read and never answered.
    Ignore,
    /// It is closed in order (FIN).
    Close,
    /// It is reset (RST).
    Abort,
}

/// SETTINGS, RFC 9113 §6.5.2; what is not named is not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_table_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_streams: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_window_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frame_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_header_list_size: Option<u32>,
}

impl Settings {
    pub(super) fn wire(self) -> impl Iterator<Item = (u16, u32)> {
        let by_id = [
            (1, self.header_table_size),
            (3, self.max_concurrent_streams),
            (4, self.initial_window_size),
            (5, self.max_frame_size),
            (6, self.max_header_list_size),
        ];
        by_id.into_iter().filter_map(|(id, value)| value.map(|value| (id, value)))
    }
}

/// DATA frames of responses; an empty body has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataFrames {
    /// So many bytes of messages in each, at most; as many as fit without it.
    pub bytes: Option<usize>,
    /// So many bytes of padding in each, RFC 9113 §6.1; without it they are not padded.
    pub padding: Option<u8>,
}

impl DataFrames {
    /// What a frame costs of the windows besides its content: the padding, and the byte that says how long it is.
    pub(super) fn overhead(self) -> usize {
        self.padding.map_or(0, |padding| 1 + usize::from(padding))
    }
}

/// Calls that meet a fault, and which.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFault {
    /// Only calls of this method, as in `UnaryCall`; all without it.
    #[serde(default)]
    pub method: Option<String>,
    /// Each n-th of them.
    #[serde(default = "each")]
    pub every: u64,
    /// So many and no more.
    #[serde(default)]
    pub first: Option<u64>,
    pub at: Phase,
    pub then: Fault,
    /// How many fitted so far.
    #[serde(skip)]
    seen: u64,
    /// How many met it.
    #[serde(skip)]
    met: u64,
}

fn each() -> u64 {
    1
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The request's headers are here.
    Start,
    /// The request is whole; nothing was answered.
    Request,
    /// The response's headers were sent.
    Headers,
    /// So was half of the first message.
    HalfMessage,
    /// So was a whole message; the trailers are missing.
    Message,
}

/// What then happens instead of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// RST_STREAM with this code.
    Reset(u32),
    /// Nothing more on this stream.
    Silence,
    /// The trailers come now, with this status.
    Status(u32),
    /// END_STREAM comes now, without trailers.
    NoTrailers,
    /// Half of a frame is written and nothing more on this connection.
    HalfFrame,
    /// The connection is closed in order.
    Close,
    /// The connection is reset.
    Abort,
}

/// The fault this call meets, if any.
pub(super) fn fault_of(faults: &mut [CallFault], method: &str) -> Option<(Phase, Fault)> {
    let fitting = |fault: &&mut CallFault| fault.method.as_deref().is_none_or(|wanted| wanted == method);
    faults.iter_mut().filter(fitting).find_map(|fault| {
        fault.seen += 1;
        let is_met = fault.seen % fault.every.max(1) == 0 && fault.first.is_none_or(|most| fault.met < most);
        fault.met += u64::from(is_met);
        is_met.then_some((fault.at, fault.then))
    })
}

/// What happens at once to the connections that are open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// GOAWAY. Streams above the last stream are not answered any more.
    Goaway {
        /// The highest stream that came, without it.
        #[serde(default)]
        last_stream: Option<u32>,
        #[serde(default)]
        code: u32,
        #[serde(default)]
        debug: String,
        /// Whether the connection is closed behind it.
        #[serde(default)]
        closes: bool,
    },
    /// A graceful end: GOAWAY with the largest id, a PING, GOAWAY with the last stream, and the close after its calls.
    Drain,
    /// SETTINGS with these values.
    Settings { settings: Settings },
    /// A PING of ours.
    Ping,
    /// Nothing is written any more, and nothing read either if so wanted.
    Stall {
        #[serde(default = "yes")]
        reads: bool,
    },
    /// What was held back is written, and everything goes on.
    Resume,
    /// The connection is closed in order.
    Close,
    /// The connection is reset.
    Abort,
    /// These bytes are written as they are.
    Bytes { hex: Hex },
}

/// Bytes as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(pub Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
        let digits: Option<Vec<u8>> = digits.map(|byte| Some(char::from(byte).to_digit(16)? as u8)).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or("these are no bytes in hexadecimal")?;
        Ok(Self(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> CallFault {
        serde_json::from_str(text).expect("a fault")
    }

    #[test]
    fn every_second_call_of_a_method_meets_its_fault_until_enough_have() {
        let mut faults = [fault(r#"{"method":"UnaryCall","every":2,"first":2,"at":"start","then":{"reset":7}}"#)];
        let met: Vec<_> = (0..8).map(|_| fault_of(&mut faults, "UnaryCall").is_some()).collect();
        assert_eq!(met, [false, true, false, true, false, false, false, false]);
        assert_eq!(fault_of(&mut faults, "EmptyCall"), None);
    }

    #[test]
    fn the_first_fault_that_is_due_decides() {
        let mut faults =
            [fault(r#"{"first":1,"at":"start","then":{"reset":7}}"#), fault(r#"{"at":"message","then":"silence"}"#)];
        assert_eq!(fault_of(&mut faults, "EmptyCall"), Some((Phase::Start, Fault::Reset(7))));
        assert_eq!(fault_of(&mut faults, "EmptyCall"), Some((Phase::Message, Fault::Silence)));
    }

    #[test]
    fn a_word_that_means_nothing_is_an_error() {
        assert!(serde_json::from_str::<Behaviour>(r#"{"max_connection_age":5}"#).is_err());
        assert!(serde_json::from_str::<Action>(r#"{"do":"goaway","last":5}"#).is_err());
        assert!(serde_json::from_str::<Behaviour>("{}").is_ok());
    }
}
