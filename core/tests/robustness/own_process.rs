//! Tests of what belongs to a whole process: its descriptors, its memory, its logger.

use std::process::Command;

/// Set in the process that runs one test alone.
const ALONE: &str = "LINKSPAN_TEST_ALONE";

/// Runs `body` in a process of its own. `test` is the path of the test that calls this; `limits` is for the shell that starts it.
pub(crate) fn alone(test: &str, limits: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let binary = std::env::current_exe().expect("this program");
    let output = Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
        .arg(binary)
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    // A name that no test has would pass with nothing run.
    assert!(output.status.success() && told.contains("1 passed"), "{told}{complaints}");
}
