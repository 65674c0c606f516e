//! Which changes of a channel's state may be published.

use crate::state::State;

/// The states to publish so that a channel gets from `from` to `to` by legal steps only ([CONN-3]); empty when it is there.
///
/// A channel that finds itself connected, or failed, straight out of IDLE shows CONNECTING in between.
pub(crate) fn steps(from: State, to: State) -> &'static [State] {
    use State::{Connecting, Idle, Ready, Shutdown, TransientFailure};
    match (from, to) {
        (Shutdown, _) => &[],
        (Idle, Ready) => &[Connecting, Ready],
        (Idle, TransientFailure) => &[Connecting, TransientFailure],
        (Idle, Idle) | (Connecting, Connecting) | (Ready, Ready) | (TransientFailure, TransientFailure) => &[],
        (_, Idle) => &[Idle],
        (_, Connecting) => &[Connecting],
        (_, Ready) => &[Ready],
        (_, TransientFailure) => &[TransientFailure],
        (_, Shutdown) => &[Shutdown],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [CONN-3]
    #[test]
    fn idle_never_jumps_over_connecting() {
        assert_eq!(steps(State::Idle, State::Ready), [State::Connecting, State::Ready]);
        assert_eq!(steps(State::Idle, State::TransientFailure), [State::Connecting, State::TransientFailure]);
    }

    /// [CONN-2]
    #[test]
    fn shutdown_is_final() {
        for to in State::ALL {
            assert!(steps(State::Shutdown, to).is_empty(), "{to}");
        }
    }

    #[test]
    fn every_other_change_ends_where_it_should_and_no_change_shows_nothing() {
        for from in State::ALL {
            for to in State::ALL {
                if from == State::Shutdown {
                    continue;
                }
                let wanted = if from == to { None } else { Some(&to) };
                assert_eq!(steps(from, to).last(), wanted, "{from} to {to}");
            }
        }
    }
}
