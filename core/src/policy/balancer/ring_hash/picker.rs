//! Picks: from the call's place on the ring on, the first endpoint that will do ([LB-63] to [LB-65]).

use std::cell::Cell;
use std::hash::Hasher;
use std::rc::Rc;

use twox_hash::XxHash64;

use super::ring::{Ring, SEED};
use crate::metadata::Metadata;
use crate::policy::balancer::{Lack, PickArgs, PickResult, Picker, SubchannelId};

/// An endpoint as it was when the picker was made.
#[derive(Debug)]
pub(super) enum Seen {
    Ready(SubchannelId),
    /// Set this to have it connected.
    Idle(Rc<Cell<bool>>),
    Connecting,
    Failed(Lack),
}

#[derive(Debug)]
pub(super) struct RingPicker {
    ring: Rc<Ring>,
    /// The members of the ring.
    endpoints: Box<[Seen]>,
    /// The name of the header by which calls find their place.
    header: Option<Rc<str>>,
    is_connecting: bool,
}

impl RingPicker {
    pub(super) fn new(ring: Rc<Ring>, endpoints: Box<[Seen]>, header: Option<Rc<str>>) -> Self {
        let is_connecting = endpoints.iter().any(|endpoint| matches!(endpoint, Seen::Connecting));
        Self { ring, endpoints, header, is_connecting }
    }

    /// [LB-64]. A call that asks again is told the same: who has a hash waits for its endpoint.
    fn by_hash(&self, hash: u64, call: &PickArgs<'_>) -> PickResult {
        let mut first_lack = None;
        for endpoint in self.endpoints_from(hash) {
            match endpoint {
                Seen::Ready(id) => return PickResult::Complete(*id),
                Seen::Idle(wish) => {
                    ask(wish, call);
                    return PickResult::Queue;
                }
                Seen::Connecting => return PickResult::Queue,
                Seen::Failed(lack) => _ = first_lack.get_or_insert(*lack),
            }
        }
        failed(first_lack)
    }

    /// [LB-65]
    fn by_chance(&self, call: &PickArgs<'_>) -> PickResult {
        let mut is_under_way = self.is_connecting;
        let (mut first_lack, mut first_ready) = (None, None);
        for endpoint in self.endpoints_from(random_hash(call)) {
            match endpoint {
                Seen::Ready(id) if call.would_go_to(*id) => return PickResult::Complete(*id),
                Seen::Ready(id) => _ = first_ready.get_or_insert(*id),
                // Another one is connected only for a call that found none.
                Seen::Idle(_) if first_ready.is_some() => {}
                Seen::Idle(wish) if !is_under_way => {
                    ask(wish, call);
                    is_under_way = true;
                }
                Seen::Idle(_) | Seen::Connecting => {}
                Seen::Failed(lack) => _ = first_lack.get_or_insert(*lack),
            }
        }
        match first_ready {
            Some(id) => PickResult::Complete(id),
            None if is_under_way => PickResult::Queue,
            None => failed(first_lack),
        }
    }

    fn endpoints_from(&self, hash: u64) -> impl Iterator<Item = &Seen> {
        self.ring.members_from(hash).filter_map(|member| self.endpoints.get(member))
    }
}

impl Picker for RingPicker {
    fn pick(&self, call: &PickArgs<'_>) -> PickResult {
        let Some(header) = &self.header else { return PickResult::Fail(Lack::RequestHash) };
        match hash_of(header, call.metadata) {
            Some(hash) => self.by_hash(hash, call),
            None => self.by_chance(call),
        }
    }
}

/// [LB-8]
fn ask(wish: &Cell<bool>, call: &PickArgs<'_>) {
    wish.set(true);
    (call.connection_wanted)();
}

fn failed(first_lack: Option<Lack>) -> PickResult {
    PickResult::Fail(match first_lack {
        Some(Lack::Health) => Lack::Health,
        _ => Lack::RingMember,
    })
}

/// [LB-63]: of the header's values, joined by commas; `None` when there is nothing to hash.
fn hash_of(header: &str, metadata: &Metadata) -> Option<u64> {
    let mut values = metadata.iter().filter(|(key, _)| *key == header).map(|(_, value)| value);
    let first = values.next()?;
    let mut is_empty = first.is_empty();
    let mut hasher = XxHash64::with_seed(SEED);
    hasher.write(first);
    for value in values {
        hasher.write(b",");
        hasher.write(value);
        is_empty = false;
    }
    (!is_empty).then(|| hasher.finish())
}

fn random_hash(call: &PickArgs<'_>) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of 2^64")]
    let hash = ((call.random_unit)() * 2.0_f64.powi(64)) as u64;
    hash
}

#[cfg(test)]
mod tests;
