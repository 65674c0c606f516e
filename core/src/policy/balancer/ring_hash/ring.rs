//! The ring: each endpoint has many places on it, so that most keys keep their endpoint as others come and go ([LB-60] to [LB-62]).

use std::fmt::Write;

use twox_hash::XxHash64;

/// XXH64 without a seed, so that every client makes the same ring ([LB-60]).
pub(super) const SEED: u64 = 0;

/// How many places a ring has, at least and at most. It may have fewer or more than that by some, so that all endpoints get what they are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingSizes {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl RingSizes {
    pub(super) fn capped(self, cap: u32) -> Self {
        Self { min: self.min.min(cap), max: self.max.min(cap) }
    }
}

/// Who gets places.
#[derive(Debug)]
pub(super) struct Member {
    /// What its places follow from.
    pub(super) key: String,
    /// A member of twice the weight gets twice the places.
    pub(super) weight: u32,
}

/// A ring.
#[derive(Debug, Default)]
pub(super) struct Ring(Box<[Place]>);

#[derive(Debug)]
struct Place {
    hash: u64,
    /// Which of the members has it.
    member: u32,
}

impl Ring {
    /// [LB-61]. In doubles and in this order, as other implementations do, so that rounding gives the same places.
    pub(super) fn new(members: &[Member], sizes: RingSizes) -> Self {
        let total: f64 = members.iter().map(|member| f64::from(member.weight)).sum();
        let share = |member: &Member| f64::from(member.weight) / total;
        let least = members.iter().map(share).fold(1.0, f64::min);
        let scale = ((least * f64::from(sizes.min)).ceil() / least).min(f64::from(sizes.max));
        let mut places = Vec::new();
        let (mut count, mut target) = (0.0, 0.0);
        for (number, member) in (0..).zip(members) {
            target += scale * share(member);
            let mut text = format!("{}_", member.key);
            let length = text.len();
            let mut entry = 0_u32;
            while count < target {
                text.truncate(length);
                // Writing to a string does not fail.
                let _ = write!(text, "{entry}");
                places.push(Place { hash: XxHash64::oneshot(SEED, text.as_bytes()), member: number });
                (count, entry) = (count + 1.0, entry + 1);
            }
        }
        places.sort_unstable_by_key(|place| (place.hash, place.member));
        Self(places.into())
    }

    /// Whose the places are from this hash on, all around the ring.
    pub(super) fn members_from(&self, hash: u64) -> impl Iterator<Item = usize> {
        // [LB-62]
        let first = self.0.partition_point(|place| place.hash < hash);
        let (before, from) = self.0.split_at(first);
        from.iter().chain(before).map(|place| place.member as usize)
    }
}

#[cfg(test)]
mod tests;
