//! The error trail: where a call was when it failed, what was tried, whether the request was sent.
//!
//! It follows the opening words of every status the engine makes itself, in the same form in every language:
//! `…; phase connect; tried 127.0.0.1:1: Connection refused (os error 111) after 0.2 ms; next attempt in 1000.0 ms; not sent`.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::time::Time;

/// Where a call was when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The name was being resolved.
    Resolve,
    /// No connection was ready; one was being opened.
    Connect,
    /// The same, and the TLS handshake is what was waited for or failed.
    Tls,
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
            Self::Tls => "tls",
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

/// How far a dial has come: what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialStep {
    /// A host that was passed through has no address yet.
    LookUp,
    Open,
    Proxy,
    Tls,
    Settings,
}

impl DialStep {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::LookUp => "its name to be looked up and the connection to open",
            Self::Open => "the connection to open",
            Self::Proxy => "the proxy's answer to CONNECT",
            Self::Tls => "the TLS handshake",
            Self::Settings => "the server's HTTP/2 SETTINGS",
        }
    }

    fn phase(self) -> Phase {
        if self == Self::Tls { Phase::Tls } else { Phase::Connect }
    }
}

/// One try to connect that failed, as the trail tells it.
#[derive(Clone, Debug)]
pub(crate) struct AttemptNote {
    pub(crate) address: String,
    pub(crate) cause: String,
    /// Where it failed.
    pub(crate) step: DialStep,
    pub(crate) took: Duration,
}

/// A dial under way.
#[derive(Clone, Debug)]
pub(crate) struct DialNote {
    pub(crate) address: String,
    pub(crate) since: Time,
    /// Moved on by the dial; whoever tells it reads where it is by then.
    pub(crate) step: Rc<Cell<DialStep>>,
}

/// What calls wait for that wait for a name.
#[derive(Clone, Debug)]
pub(crate) struct LookUpNote {
    pub(crate) target: String,
    /// Of the one under way.
    pub(crate) since: Option<Time>,
    /// Why the last one failed.
    pub(crate) failure: Option<String>,
    /// When the next one is due, while all wait for it.
    pub(crate) next: Option<Time>,
}

/// What the control task knows of its recent connect failures; calls share it, none owns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectTrail {
    /// The newest failure of each address, in the order they were tried.
    pub(crate) attempts: Vec<AttemptNote>,
    /// The addresses being dialed now.
    pub(crate) dialing: Vec<DialNote>,
    /// When the next attempt is due, while all wait for one.
    pub(crate) next_attempt: Option<Time>,
    /// Set while no addresses are known.
    pub(crate) look_up: Option<LookUpNote>,
    /// What connected servers that are not known to be healthy say of it.
    pub(crate) ailing: Vec<String>,
    /// The circuit breakers that let no call through.
    pub(crate) breakers: Vec<BreakerNote>,
}

impl ConnectTrail {
    /// Where a call is that waits for a connection: where the dial is that began first, else where the last one failed.
    pub(crate) fn phase(&self) -> Phase {
        let dialing = self.dialing.first().map(|note| note.step.get());
        dialing.or_else(|| Some(self.attempts.last()?.step)).map_or(Phase::Connect, DialStep::phase)
    }
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
    /// Whether the opening words say already why there are no addresses.
    pub(crate) is_of_look_up: bool,
    /// What it waited for at a connection that was there, in words.
    pub(crate) waits_for: Option<String>,
    /// Its attempts, if it had several or one that another could have followed.
    pub(crate) made: Option<String>,
    /// Whose the deadline was that has passed, unless it was the call's own.
    pub(crate) deadline: Option<String>,
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
            for DialNote { address, since, step } in &connect.dialing {
                let (length, step) = (Milliseconds(self.now.since(*since)), step.get().words());
                write!(f, "; dialing {address} for {length}, waiting for {step}")?;
            }
            if let Some(look_up) = &connect.look_up {
                self.write_look_up(f, look_up)?;
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
        if let Some(deadline) = &self.deadline {
            write!(f, "; {deadline}")?;
        }
        write!(f, "; {}", self.sent.words())
    }
}

impl Trail {
    fn write_look_up(&self, f: &mut fmt::Formatter<'_>, look_up: &LookUpNote) -> fmt::Result {
        match (&look_up.failure, look_up.since) {
            (Some(failure), _) if !self.is_of_look_up => write!(f, "; {failure}")?,
            (None, Some(since)) => {
                write!(f, "; looking up {} for {}", look_up.target, Milliseconds(self.now.since(since)))?;
            }
            _ => {}
        }
        match look_up.next {
            Some(next) => write!(f, "; next look-up in {}", Milliseconds(next.since(self.now))),
            None => Ok(()),
        }
    }
}

/// A duration as texts tell it.
pub(crate) struct Milliseconds(pub(crate) Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(phase: Phase, sent: Sent) -> Trail {
        Trail {
            phase,
            address: None,
            connect: None,
            is_of_look_up: false,
            waits_for: None,
            made: None,
            deadline: None,
            sent,
            now: Time::from_start(Duration::ZERO),
        }
    }

    fn dial(address: &str, step: DialStep) -> DialNote {
        let since = Time::from_start(Duration::from_millis(200));
        DialNote { address: address.into(), since, step: Rc::new(Cell::new(step)) }
    }

    fn attempt(step: DialStep) -> AttemptNote {
        AttemptNote { address: "127.0.0.1:1".into(), cause: "no".into(), step, took: Duration::ZERO }
    }

    /// [WIRE-244], [DL-5]
    #[test]
    fn a_call_that_waits_is_where_the_oldest_dial_is_and_else_where_the_last_one_failed() {
        let mut connect = ConnectTrail::default();
        assert_eq!(connect.phase(), Phase::Connect);
        connect.attempts = vec![attempt(DialStep::Open), attempt(DialStep::Tls)];
        assert_eq!(connect.phase(), Phase::Tls);
        connect.dialing = vec![dial("127.0.0.2:1", DialStep::Open), dial("127.0.0.3:1", DialStep::Tls)];
        assert_eq!(connect.phase(), Phase::Connect);
        // The dial goes on while the trail is in somebody's hands.
        connect.dialing[0].step.set(DialStep::Tls);
        assert_eq!(connect.phase(), Phase::Tls);
    }

    /// [DL-5]
    #[test]
    fn a_trail_tells_which_name_is_looked_up_or_why_it_is_not_known_unless_the_opening_words_do() {
        let told = |since: Option<u64>, failure: Option<&str>, is_of_look_up| {
            let at = |milliseconds| Time::from_start(Duration::from_millis(milliseconds));
            let next = since.is_none().then(|| at(900));
            let (target, failure) = ("dns:///example.com".to_owned(), failure.map(str::to_owned));
            let look_up = Some(LookUpNote { target, since: since.map(at), failure, next });
            let connect = Some(Rc::new(ConnectTrail { look_up, ..ConnectTrail::default() }));
            Trail { connect, is_of_look_up, now: at(500), ..trail(Phase::Resolve, Sent::NotSent) }.to_string()
        };
        assert_eq!(told(Some(200), None, false), "phase resolve; looking up dns:///example.com for 300.0 ms; not sent");
        assert_eq!(
            told(None, Some("no such name"), false),
            "phase resolve; no such name; next look-up in 400.0 ms; not sent"
        );
        assert_eq!(told(None, Some("no such name"), true), "phase resolve; next look-up in 400.0 ms; not sent");
    }

    #[test]
    fn a_trail_tells_phase_attempts_next_attempt_and_whether_the_request_was_sent() {
        let connect = ConnectTrail {
            attempts: vec![AttemptNote {
                address: "127.0.0.1:1".into(),
                cause: "Connection refused (os error 111)".into(),
                step: DialStep::Open,
                took: Duration::from_micros(240),
            }],
            dialing: vec![dial("127.0.0.2:1", DialStep::Settings)],
            look_up: None,
            next_attempt: Some(Time::from_start(Duration::from_millis(1_500))),
            ailing: vec!["127.0.0.3:1 says NOT_SERVING for \"\"".into()],
            breakers: Vec::new(),
        };
        let trail = Trail {
            connect: Some(Rc::new(connect)),
            now: Time::from_start(Duration::from_millis(500)),
            ..trail(Phase::Connect, Sent::NotSent)
        };
        assert_eq!(
            trail.to_string(),
            "phase connect; tried 127.0.0.1:1: Connection refused (os error 111) after 0.2 ms; dialing 127.0.0.2:1 for 300.0 ms, waiting for the server's HTTP/2 SETTINGS; 127.0.0.3:1 says NOT_SERVING for \"\"; next attempt in 1000.0 ms; not sent"
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
        let trail = Trail { connect: Some(connect), now: at(3_500), ..trail(Phase::Connect, Sent::NotSent) };
        assert_eq!(
            trail.to_string(),
            "phase connect; circuit breaker of 10.0.0.1:1 open for 2500.0 ms: 5 failures in a row, the last UNAVAILABLE, next probe in 2500.0 ms; circuit breaker of 10.0.0.2:1 open for 2500.0 ms: 5 failures in a row, the last UNAVAILABLE, a probe is running; not sent"
        );
    }

    /// [RETRY-1]
    #[test]
    fn a_trail_tells_how_far_the_request_came() {
        let told = |sent| trail(Phase::Wait, sent).to_string();
        assert_eq!(told(Sent::NotSent), "phase wait; not sent");
        assert_eq!(told(Sent::Refused), "phase wait; not processed by the server");
        assert_eq!(told(Sent::Processed), "phase wait; sent");
    }
}
