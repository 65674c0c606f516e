//! What a forked child does at once, and the descriptors it must close for that.
//!
//! A socket the parent's engine opened is the child's too, and the same connection: what the child wrote or shut down there would
//! be the parent's, and as long as the child has it open, its server does not see that the parent closed it. So the child closes each
//! by `close` alone, and first of all. The list is kept without locks, because it is read in the first moment after a fork.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use once_cell::race::OnceBox;

use crate::generation;

/// Tells the engine that this process is a forked child. Call it in the child handler of `pthread_atfork`, once per fork and first:
/// the handles made before the fork then work with state of the child's own. It only writes atomics and closes the sockets the
/// parent's engines hold open, all of which is allowed in a signal handler.
///
/// What holds in the child:
/// - Nothing of the parent's engines is locked, waited for, written to, shut down or dropped; their memory stays as it is.
/// - A [`Channel`](crate::Channel) works as before and connects anew at its first use, on a thread of the child's. It is IDLE at
///   first, and its counters and events begin again. What was closed stays closed.
/// - A call that was running is CANCELLED with the text `Call cancelled in fork child`, see [`CallHandle::is_parents`]. Futures of
///   this crate say so when they are polled next; nobody polls them for it.
/// - A [`CompletionQueue`](crate::CompletionQueue) made before stays behind; [`Waited::Forked`](crate::Waited::Forked) says so.
///
/// A fork from inside a callback of the engine's is not supported.
///
/// [`CallHandle::is_parents`]: crate::CallHandle::is_parents
pub fn process_has_forked() {
    generation::begin();
    close_listed();
}

const BITS: usize = u64::BITS as usize;
const WORDS: usize = 64;

/// A part of the list: one bit per descriptor.
type Part = [AtomicU64; WORDS];

/// As many parts as there are numbers on Linux unless its administrator says otherwise; a socket with a higher one is left open in
/// a child.
const PARTS: usize = 1_048_576 / (BITS * WORDS);

static LIST: [OnceBox<Part>; PARTS] = [const { OnceBox::new() }; PARTS];

/// A descriptor on the list of what a forked child closes. To be dropped before the descriptor is closed: its number may be somebody
/// else's at once.
#[derive(Debug)]
pub(super) struct Listed {
    fd: RawFd,
    generation: u64,
}

impl Listed {
    pub(super) fn new(descriptor: &impl AsRawFd) -> Self {
        let listed = Self { fd: descriptor.as_raw_fd(), generation: generation::process_generation() };
        if let Some((part, word, bit)) = place(listed.fd) {
            let part = part.get_or_init(|| Box::new([const { AtomicU64::new(0) }; WORDS]));
            part[word].fetch_or(bit, Relaxed);
        }
        listed
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // In a forked child its number is not its own any more.
        if self.generation != generation::process_generation() {
            return;
        }
        if let Some((part, word, bit)) = place(self.fd)
            && let Some(part) = part.get()
        {
            part[word].fetch_and(!bit, Relaxed);
        }
    }
}

fn place(fd: RawFd) -> Option<(&'static OnceBox<Part>, usize, u64)> {
    let fd = usize::try_from(fd).ok()?;
    let part = LIST.get(fd / (BITS * WORDS))?;
    Some((part, fd / BITS % WORDS, 1 << (fd % BITS)))
}

fn close_listed() {
    for (number, part) in LIST.iter().enumerate() {
        let Some(part) = part.get() else { continue };
        for (word, bits) in part.iter().enumerate() {
            let mut bits = bits.swap(0, Relaxed);
            while bits != 0 {
                let fd = (number * WORDS + word) * BITS + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // Nobody is there to be told of a refusal, and the number is given up either way.
                let _ = RawFd::try_from(fd).map(nix::unistd::close);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_listed(fd: RawFd) -> bool {
        place(fd).is_some_and(|(part, word, bit)| part.get().is_some_and(|part| part[word].load(Relaxed) & bit != 0))
    }

    struct Numbered(RawFd);

    impl AsRawFd for Numbered {
        fn as_raw_fd(&self) -> RawFd {
            self.0
        }
    }

    #[test]
    fn a_descriptor_is_listed_until_it_is_dropped() {
        // Far from what the other tests of this process open.
        for fd in [500_000, 500_063, 500_064, 503_999, 1_048_575] {
            let listed = Listed::new(&Numbered(fd));
            assert!(is_listed(fd) && !is_listed(fd + 1), "{fd}");
            drop(listed);
            assert!(!is_listed(fd), "{fd}");
        }
    }

    #[test]
    fn a_number_outside_the_list_is_passed_over() {
        for fd in [-1, 1_048_576, RawFd::MAX] {
            drop(Listed::new(&Numbered(fd)));
            assert!(!is_listed(fd), "{fd}");
        }
    }
}
