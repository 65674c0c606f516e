//! The error trail: where a call was when it failed, what was tried, whether the request was sent.
//!
//! It follows the opening words of every status the engine makes itself, in the same form in every language:
//! `…; phase connect; tried 127.0.0.1:1: Connection refused (os error 111) after 0.2 ms; next attempt in 1000.0 ms; not sent`.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::time::Time;

/// Where a call was when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The name was being resolved.
    Resolve,
    /// No connection was ready; one was being opened, TLS included.
    Connect,
    /// Nothing was tried yet, or a connection was ready and the call waited for a stream on it.
    Queue,
    /// It was known where to send the call, and its credentials had not answered.
    Credentials,
    /// The request was being sent.
    Send,
    /// The request was sent; the answer was due.
    Wait,
    /// An attempt had failed; the next one was due later.
    Backoff,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Queue => "queue",
            Self::Credentials => "credentials",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Backoff => "backoff",
        }
    }
}

/// How far a request got at the server; the further the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sent {
    /// It never left this process: safe to send again.
    NotSent,
    /// The server said it did not process it: safe to send again.
    Refused,
    /// The server may have processed it.
    Processed,
}

impl Sent {
    fn words(self) -> &'static str {
        match self {
            Self::NotSent => "not sent",
            Self::Refused => "not processed by the server",
            Self::Processed => "sent",
        }
    }
}

/// One try to connect that failed, as the trail tells it.
#[derive(Clone, Debug)]
pub(crate) struct AttemptNote {
    pub(crate) address: String,
    pub(crate) cause: String,
    pub(crate) took: Duration,
}

/// What the control task knows of its recent connect failures; calls share it, none owns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectTrail {
    /// The newest failure of each address, in the order they were tried.
    pub(crate) attempts: Vec<AttemptNote>,
    /// The addresses being dialed now, and since when.
    pub(crate) dialing: Vec<(String, Time)>,
    /// When the next attempt is due, while all wait for one.
    pub(crate) next_attempt: Option<Time>,
    /// What connected servers that are not known to be healthy say of it.
    pub(crate) ailing: Vec<String>,
    /// The circuit breakers that let no call through.
    pub(crate) breakers: Vec<BreakerNote>,
}

/// A circuit breaker that is not closed.
#[derive(Clone, Debug)]
pub(crate) struct BreakerNote {
    pub(crate) address: String,
    pub(crate) since: Time,
    pub(crate) why: String,
    /// When the next call may probe; `None` while one does.
    pub(crate) probe_at: Option<Time>,
}

/// The trail of one failed call.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) phase: Phase,
    /// The address of the connection the call was on, once it was on one.
    pub(crate) address: Option<String>,
    pub(crate) connect: Option<Rc<ConnectTrail>>,
    /// What it waited for at a connection that was there, in words.
    pub(crate) waits_for: Option<String>,
    /// Its attempts, if it had several or one that another could have followed.
    pub(crate) made: Option<String>,
    pub(crate) sent: Sent,
    pub(crate) now: Time,
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phase {}", self.phase.name())?;
        if let Some(address) = &self.address {
            write!(f, "; on {address}")?;
        }
        if let Some(what) = &self.waits_for {
            write!(f, "; {what}")?;
        }
        if let Some(made) = &self.made {
            write!(f, "; {made}")?;
        }
        if let Some(connect) = &self.connect {
            for note in &connect.attempts {
                write!(f, "; tried {}: {} after {}", note.address, note.cause, Milliseconds(note.took))?;
            }
            for (address, since) in &connect.dialing {
                write!(f, "; dialing {address} for {}", Milliseconds(self.now.since(*since)))?;
            }
            for words in &connect.ailing {
                write!(f, "; {words}")?;
            }
            if let Some(next) = connect.next_attempt {
                write!(f, "; next attempt in {}", Milliseconds(next.since(self.now)))?;
            }
            for BreakerNote { address, since, why, probe_at } in &connect.breakers {
                write!(f, "; circuit breaker of {address} open for {}: {why}", Milliseconds(self.now.since(*since)))?;
                match probe_at {
                    Some(at) => write!(f, ", next probe in {}", Milliseconds(at.since(self.now)))?,
                    None => write!(f, ", a probe is running")?,
                }
            }
        }
        write!(f, "; {}", self.sent.words())
    }
}

/// As all trails tell lengths of time.
pub(super) struct Milliseconds(pub(super) Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_tells_phase_attempts_next_attempt_and_whether_the_request_was_sent() {
        let connect = ConnectTrail {
            attempts: vec![AttemptNote {
                address: "127.0.0.1:1".into(),
                cause: "Connection refused (os error 111)".into(),
                took: Duration::from_micros(240),
            }],
            dialing: vec![("127.0.0.2:1".into(), Time::from_start(Duration::from_millis(200)))],
            next_attempt: Some(Time::from_start(Duration::from_millis(1_500))),
            ailing: vec!["127.0.0.3:1 says NOT_SERVING for \"\"".into()],
            breakers: Vec::new(),
        };
        let trail = Trail {
            phase: Phase::Connect,
            address: None,
            connect: Some(Rc::new(connect)),
            waits_for: None,
            made: None,
            sent: Sent::NotSent,
            now: Time::from_start(Duration::from_millis(500)),
        };
        assert_eq!(
            trail.to_string(),
            "phase connect; tried 127.0.0.1:1: Connection refused (os error 111) after 0.2 ms; dialing 127.0.0.2:1 for 300.0 ms; 127.0.0.3:1 says NOT_SERVING for \"\"; next attempt in 1000.0 ms; not sent"
        );
    }

    #[test]
    fn a_trail_tells_which_breakers_are_open_since_when_and_why_and_when_they_are_probed() {
        let at = |milliseconds| Time::from_start(Duration::from_millis(milliseconds));
        let note = |address: &str, probe_at| BreakerNote {
            address: address.into(),
            since: at(1_000),
            why: "5 failures in a row, the last UNAVAILABLE".into(),
            probe_at,
        };
        let breakers = vec![note("10.0.0.1:1", Some(at(6_000))), note("10.0.0.2:1", None)];
        let connect = Rc::new(ConnectTrail { breakers, ..ConnectTrail::default() });
        let (phase, sent, now) = (Phase::Connect, Sent::NotSent, at(3_500));
        let trail = Trail { phase, address: None, connect: Some(connect), waits_for: None, made: None, sent, now };
        assert_eq!(
            trail.to_string(),
            "phase connect; circuit breaker of 10.0.0.1:1 open for 2500.0 ms: 5 failures in a row, the last UNAVAILABLE, next probe in 2500.0 ms; circuit breaker of 10.0.0.2:1 open for 2500.0 ms: 5 failures in a row, the last UNAVAILABLE, a probe is running; not sent"
        );
    }

    /// [RETRY-1]
    #[test]
    fn a_trail_tells_how_far_the_request_came() {
        let told = |sent| {
            let now = Time::from_start(Duration::ZERO);
            Trail { phase: Phase::Wait, address: None, connect: None, waits_for: None, made: None, sent, now }
                .to_string()
        };
        assert_eq!(told(Sent::NotSent), "phase wait; not sent");
        assert_eq!(told(Sent::Refused), "phase wait; not processed by the server");
        assert_eq!(told(Sent::Processed), "phase wait; sent");
    }
}
