//! The worlds that are run, and that they are the same each time.

use super::story;
use crate::runtime::environment;
use crate::simulation::world::World;

/// A plain `cargo test` runs so many worlds; `make test` runs more, optimized.
const SEEDS: u64 = 100;

/// Runs every so many-th of the worlds; each part on a thread of its own.
fn part(first: u64) {
    const PARTS: usize = 2;
    if let Some(seed) = environment::simulation_seed() {
        if seed % PARTS as u64 == first {
            World::run(seed, story).must_be_right();
        }
        return;
    }
    let seeds = (first..environment::simulation_seeds().unwrap_or(SEEDS)).step_by(PARTS);
    let wrong: Vec<_> = seeds.map(|seed| World::run(seed, story)).filter(|outcome| !outcome.is_right()).collect();
    wrong.iter().skip(1).for_each(|outcome| eprintln!("also {}", outcome.summary()));
    if let Some(outcome) = wrong.first() {
        outcome.must_be_right();
    }
}

#[test]
fn even_seeds_keep_every_invariant() {
    part(0);
}

#[test]
fn odd_seeds_keep_every_invariant() {
    part(1);
}

#[test]
fn a_seed_makes_the_same_world_twice_to_the_last_event() {
    for seed in 1_000..1_010 {
        let [first, second] = [(), ()].map(|()| World::run(seed, story).fingerprint);
        assert_eq!(first, second, "seed {seed}");
    }
}
