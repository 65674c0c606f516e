//! `round_robin`: calls to each endpoint in turn ([LB-25] to [LB-32]).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::config::BalancingConfig;
use super::petiole::{Petiole, Ready, Spread};
use super::tally::Tally;
use super::{PickArgs, PickResult, Picker, SubchannelId, SubchannelIds};
use crate::time::Time;

/// The policy.
pub(crate) type RoundRobin = Petiole<InTurn>;

impl RoundRobin {
    /// `unit` is a random fraction: where clients begin must differ, or all of them begin with the same server ([LB-28]).
    pub(crate) fn round_robin(ids: SubchannelIds, attempt_delay: Duration, unit: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of 2^16")]
        let first = (unit * 65_536.0) as usize;
        Self::new(InTurn { next: Rc::new(Cell::new(first)) }, ids, attempt_delay)
    }
}

/// One after the other.
#[derive(Debug)]
pub(crate) struct InTurn {
    /// Whose turn is next; goes on from picker to picker.
    next: Rc<Cell<usize>>,
}

impl Spread for InTurn {
    type Kept = ();

    fn on_listed(&self, _: &Tally) {}

    fn picker(&mut self, _: Time, ready: &[Ready]) -> Rc<dyn Picker> {
        let ready = ready.iter().map(|endpoint| endpoint.id).collect();
        Rc::new(InTurnPicker { ready, next: Rc::clone(&self.next) })
    }

    fn on_config(&mut self, config: &BalancingConfig) -> bool {
        *config == BalancingConfig::RoundRobin
    }
}

#[derive(Debug)]
struct InTurnPicker {
    ready: Box<[SubchannelId]>,
    next: Rc<Cell<usize>>,
}

impl Picker for InTurnPicker {
    fn pick(&self, call: &PickArgs<'_>) -> PickResult {
        for _ in 1..self.ready.len() {
            let id = self.in_turn();
            if call.would_go_to(id) {
                return PickResult::Complete(id);
            }
        }
        PickResult::Complete(self.in_turn())
    }
}

impl InTurnPicker {
    fn in_turn(&self) -> SubchannelId {
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        self.ready[turn % self.ready.len()]
    }
}

#[cfg(test)]
mod tests;
