//! Both ends of a conversation under test: scripted servers, and what the tests ask of a channel.
//!
//! A test is a dialogue: the client does something, the server waits for it and answers. Nobody sleeps; whoever waits, waits for
//! an event, and [`run`] ends a test that hangs.

#![allow(clippy::disallowed_methods, reason = "a test is a host with a runtime of its own")]

pub(crate) mod client;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Far beyond what any test takes, so that only a hang meets it.
pub(crate) const GUARD: Duration = Duration::from_secs(180);

/// Runs a test on a runtime of its own, which ends everything the test started.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    let guarded = tasks.run_until(async { tokio::time::timeout(GUARD, test).await });
    runtime.block_on(guarded).expect("the test waits for something that does not come");
}

/// Starts a task that runs beside the test.
pub(crate) fn beside<T: 'static>(task: impl Future<Output = T> + 'static) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_local(task)
}

/// A folder of its own for one test, gone with it.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("linkspan-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What is left is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
