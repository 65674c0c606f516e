//! What a call's trail tells of its attempts, where it had several or one that another could have followed.
//!
//! `attempt 1 on 127.0.0.1:1 UNAVAILABLE at 0.4 ms: connection lost: closed by the server; attempt 2 …; no further attempt: …`

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::trail::Milliseconds;
use crate::status::Code;
use crate::time::Time;

/// One attempt that is over.
#[derive(Clone, Debug)]
pub(crate) struct AttemptEnd {
    /// The first has 1.
    pub(crate) number: u32,
    /// The address of the connection it was on, once it was on one.
    pub(crate) address: Option<Arc<str>>,
    /// When, from the start of the call.
    pub(crate) at: Duration,
    pub(crate) code: Code,
    /// What the server said, or what happened.
    pub(crate) cause: String,
}

/// A call's attempts. The first and the last few are kept: a call may have any number of them.
#[derive(Debug, Default)]
pub(crate) struct AttemptsTrail {
    first: Vec<AttemptEnd>,
    last: VecDeque<AttemptEnd>,
    /// How many between them are not kept.
    left_out: usize,
    /// The number of the next attempt, and when it is due, while the call waits for that.
    pub(crate) next: Option<(u32, Time)>,
    /// Why none follows, where that is worth telling.
    pub(crate) why_none: Option<String>,
}

const MOST_FIRST: usize = 2;
const MOST_LAST: usize = 3;

/// Causes are as long as servers make them.
const LONGEST_CAUSE: usize = 200;

impl AttemptsTrail {
    pub(crate) fn add(&mut self, mut end: AttemptEnd) {
        if end.cause.len() > LONGEST_CAUSE {
            let cut = (0..=LONGEST_CAUSE).rev().find(|place| end.cause.is_char_boundary(*place)).unwrap_or(0);
            end.cause.truncate(cut);
            end.cause.push('…');
        }
        if self.first.len() < MOST_FIRST {
            return self.first.push(end);
        }
        if self.last.len() == MOST_LAST {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(end);
    }

    /// In words that follow a semicolon; `None` where there is nothing to tell.
    pub(crate) fn words(&self, now: Time) -> Option<String> {
        let ends = |ends: &mut dyn Iterator<Item = &AttemptEnd>| ends.map(ToString::to_string).collect::<Vec<_>>();
        let mut parts = ends(&mut self.first.iter());
        if self.left_out > 0 {
            parts.push(format!("{} more attempts", self.left_out));
        }
        parts.extend(ends(&mut self.last.iter()));
        parts
            .extend(self.next.map(|(number, due)| format!("attempt {number} due in {}", Milliseconds(due.since(now)))));
        parts.extend(self.why_none.clone());
        if parts.is_empty() { None } else { Some(parts.join("; ")) }
    }
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, address, at, code, cause } = self;
        write!(f, "attempt {number}")?;
        if let Some(address) = address {
            write!(f, " on {address}")?;
        }
        write!(f, " {code} at {}", Milliseconds(*at))?;
        if cause.is_empty() { Ok(()) } else { write!(f, ": {cause}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(number: u32, cause: &str) -> AttemptEnd {
        let at = Duration::from_micros(1_500) * number;
        AttemptEnd { number, address: Some("10.0.0.1:1".into()), at, code: Code::Unavailable, cause: cause.into() }
    }

    fn at(milliseconds: u64) -> Time {
        Time::from_start(Duration::from_millis(milliseconds))
    }

    #[test]
    fn each_attempt_is_told_with_its_place_code_time_and_cause_and_then_what_follows() {
        let mut trail = AttemptsTrail::default();
        assert_eq!(trail.words(at(0)), None);
        trail.add(end(1, "busy"));
        trail.add(AttemptEnd { address: None, ..end(2, "") });
        trail.next = Some((3, at(250)));
        assert_eq!(
            trail.words(at(50)).expect("words"),
            "attempt 1 on 10.0.0.1:1 UNAVAILABLE at 1.5 ms: busy; attempt 2 UNAVAILABLE at 3.0 ms; attempt 3 due in 200.0 ms"
        );
        (trail.next, trail.why_none) = (None, Some("no further attempt: a reason".into()));
        assert!(trail.words(at(50)).expect("words").ends_with(" at 3.0 ms; no further attempt: a reason"));
    }

    #[test]
    fn of_many_attempts_the_first_and_the_last_few_are_told_and_long_causes_are_cut() {
        let mut trail = AttemptsTrail::default();
        (1..=1_000).for_each(|number| trail.add(end(number, &"ü".repeat(1_000))));
        let words = trail.words(at(0)).expect("words");
        let numbers: Vec<_> = words.split("; ").map(|part| part.split(' ').nth(1).expect("a number")).collect();
        assert_eq!(numbers, ["1", "2", "more", "998", "999", "1000"]);
        assert!(words.contains("; 995 more attempts; ") && words.len() < 2_000, "{words}");
    }
}
