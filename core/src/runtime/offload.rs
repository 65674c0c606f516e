//! Work that blocks, such as reading a file: each piece on a thread of its own, so that one that hangs holds nothing else up, and no end
//! of an engine waits for it.

use std::io;
use std::thread;

use tokio::sync::oneshot;

use crate::foreign;

/// Does the work on another thread. Dropping the future lets the work go on, for nobody.
///
/// # Errors
/// There is no thread for it, or it panicked.
pub(super) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, done) = oneshot::channel();
    thread::Builder::new().name("linkspan-files".to_owned()).spawn(move || {
        // A host's handlers run on the host's own threads. Fails only for a bad argument, which a full set is not.
        let _ = nix::sys::signal::SigSet::all().thread_block();
        foreign::contain(|| {
            // Who has gone does not mind.
            let _ = sender.send(work());
        });
    })?;
    done.await.map_err(|_| io::Error::other("the work panicked"))
}
