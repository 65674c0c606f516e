//! The committed header is what the crate makes.

use std::path::Path;
use std::process::Command;

#[test]
fn the_committed_header_is_what_the_generator_makes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/header.sh");
    let output = Command::new(script).arg("--check").output().expect("the script runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}
