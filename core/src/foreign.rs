//! Code that is not ours, called so that a panic in it ends there.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a host's function. Whether it returned; `false` when it panicked.
///
/// Nothing of ours is half-done while it runs, so there is nothing its unwinding could leave broken.
pub(crate) fn contain(foreign: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(foreign)).is_ok()
}
