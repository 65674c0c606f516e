//! The seeds, which are in `core/fuzz/seeds` with a folder for each target, hold without a fuzzer too. What fuzzing has found is among them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
    entries.map(|entry| entry.expect("readable").file_name().into_string().expect("a text")).collect()
}

/// [WIRE-91], [WIRE-140], [NAME-59], [CONN-155], [CONN-176], [SC-08]
#[test]
fn what_must_hold_of_any_bytes_holds_of_every_seed() {
    for (name, target) in TARGETS {
        let folder = seeds().join(name);
        for seed in names(&folder) {
            let data = fs::read(folder.join(&seed)).expect("readable");
            // Tells which it was.
            println!("{name}/{seed}");
            target(&data);
        }
    }
}

#[test]
fn every_target_has_seeds_and_a_program() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&seeds()), targets);
    let programs = names(&seeds().with_file_name("fuzz_targets"));
    assert_eq!(programs, targets.iter().map(|name| format!("{name}.rs")).collect());
}
