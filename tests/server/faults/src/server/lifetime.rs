//! When a connection has lived long enough: maximum age with its grace, maximum idleness, and the graceful end both lead to (A9).

use std::time::Duration;

use super::behaviour::Behaviour;

/// How long the client may take to answer the PING between the two GOAWAYs, as in grpc-go.
const DRAIN_PING_TIMEOUT: Duration = Duration::from_secs(5);

/// What GOAWAYs say of the reason, in grpc-go's words.
const MAX_AGE: &str = "max_age";
const MAX_IDLE: &str = "max_idle";

pub(super) struct Lifetime {
    age: Option<Duration>,
    grace: Option<Duration>,
    idle: Option<Duration>,
    /// Since when no call is open ([CONN-114]).
    idle_since: Option<Duration>,
    draining: Option<Draining>,
}

#[derive(Clone, Copy)]
struct Draining {
    since: Duration,
    why: &'static str,
    /// The second GOAWAY was sent.
    is_final: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// For this reason.
    Drain(&'static str),
    LastGoaway,
    Close,
}

impl Lifetime {
    pub(super) fn new(behaviour: &Behaviour) -> Self {
        Self {
            age: behaviour.max_connection_age_ms.map(Duration::from_millis),
            grace: behaviour.max_connection_age_grace_ms.map(Duration::from_millis),
            idle: behaviour.max_connection_idle_ms.map(Duration::from_millis),
            idle_since: Some(Duration::ZERO),
            draining: None,
        }
    }

    /// Starts a graceful end; false when it is under way, for the reason it had.
    pub(super) fn begin_draining(&mut self, now: Duration, why: &'static str) -> bool {
        if self.draining.is_some() {
            return false;
        }
        self.draining = Some(Draining { since: now, why, is_final: false });
        true
    }

    /// The client answered the PING: whether the second GOAWAY is to be sent.
    pub(super) fn on_drain_seen(&mut self) -> bool {
        self.draining.as_mut().is_some_and(|draining| !std::mem::replace(&mut draining.is_final, true))
    }

    /// Why the connection is draining; empty when it is not.
    pub(super) fn why(&self) -> &'static str {
        self.draining.map_or("", |draining| draining.why)
    }

    pub(super) fn on_time(&mut self, now: Duration, has_calls: bool) -> Option<Due> {
        self.idle_since = if has_calls { None } else { Some(self.idle_since.unwrap_or(now)) };
        let Some(draining) = &mut self.draining else {
            let is_due = self.next_deadline().is_some_and(|at| at <= now);
            let why = if self.age.is_some_and(|age| age <= now) { MAX_AGE } else { MAX_IDLE };
            return is_due.then_some(Due::Drain(why));
        };
        let is_over = self.grace.is_some_and(|grace| draining.since + grace <= now);
        if is_over || (draining.is_final && !has_calls) {
            return Some(Due::Close);
        }
        if !draining.is_final && draining.since + DRAIN_PING_TIMEOUT <= now {
            draining.is_final = true;
            return Some(Due::LastGoaway);
        }
        None
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let Some(draining) = self.draining else {
            let idle = self.idle.zip(self.idle_since).map(|(idle, since)| since + idle);
            return self.age.into_iter().chain(idle).min();
        };
        let ping = (!draining.is_final).then_some(draining.since + DRAIN_PING_TIMEOUT);
        let grace = self.grace.map(|grace| draining.since + grace);
        ping.into_iter().chain(grace).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lifetime(age: Option<u64>, grace: Option<u64>, idle: Option<u64>) -> Lifetime {
        Lifetime::new(&Behaviour {
            max_connection_age_ms: age,
            max_connection_age_grace_ms: grace,
            max_connection_idle_ms: idle,
            ..Behaviour::default()
        })
    }

    #[test]
    fn age_drains_and_its_grace_closes_although_calls_are_open() {
        let mut lifetime = lifetime(Some(5_000), Some(2_000), None);
        assert_eq!(lifetime.on_time(at(4), true), None);
        assert_eq!(lifetime.next_deadline(), Some(at(5)));
        assert_eq!(lifetime.on_time(at(5), true), Some(Due::Drain(MAX_AGE)));
        assert!(lifetime.begin_draining(at(5), MAX_AGE) && !lifetime.begin_draining(at(5), "another"));
        assert_eq!(lifetime.why(), MAX_AGE);
        assert!(lifetime.on_drain_seen() && !lifetime.on_drain_seen());
        assert_eq!(lifetime.on_time(at(6), true), None);
        assert_eq!(lifetime.next_deadline(), Some(at(7)));
        assert_eq!(lifetime.on_time(at(7), true), Some(Due::Close));
    }

    #[test]
    fn without_grace_the_last_call_closes() {
        let mut lifetime = lifetime(None, None, None);
        lifetime.begin_draining(at(1), "a reason");
        assert_eq!(lifetime.on_time(at(2), false), None, "the client has not seen it");
        assert_eq!(lifetime.on_time(at(6), true), Some(Due::LastGoaway));
        assert_eq!(lifetime.on_time(at(100), true), None);
        assert_eq!(lifetime.on_time(at(101), false), Some(Due::Close));
    }

    /// [CONN-114]
    #[test]
    fn idleness_counts_from_the_last_call() {
        let mut lifetime = lifetime(None, None, Some(3_000));
        assert_eq!(lifetime.next_deadline(), Some(at(3)));
        assert_eq!(lifetime.on_time(at(2), true), None);
        assert_eq!(lifetime.next_deadline(), None);
        assert_eq!(lifetime.on_time(at(9), false), None);
        assert_eq!(lifetime.next_deadline(), Some(at(12)));
        assert_eq!(lifetime.on_time(at(12), false), Some(Due::Drain(MAX_IDLE)));
    }
}
