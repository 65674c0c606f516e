//! `linkspan._linkspan`: the engine as Python objects.
//!
//! Private to the `linkspan` package, which gives these objects the shape users know. One function here converts,
//! calls core, converts back; what a call means to its caller is decided in core or, where grpcio's objects must be
//! matched, in the Python files. The engine's thread never runs Python code and never takes the interpreter's lock:
//! what it reports is stored by Rust and picked up by a Python thread or loop that was woken for it.

mod call;
mod callbacks;
mod channel;
mod credentials;
mod errors;
mod fork;
mod log;
mod metadata;
mod observe;
mod options;
mod plugins;
mod wake;

/// The native half of the package.
#[pyo3::pymodule(gil_used = false)]
mod _linkspan {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::fork::watch()
    }

    #[pymodule_export]
    use crate::call::active::ActiveCall;
    #[pymodule_export]
    use crate::call::looped::LoopCall;
    #[pymodule_export]
    use crate::call::outcome::Outcome;
    #[pymodule_export]
    use crate::call::request::Method;
    #[pymodule_export]
    use crate::callbacks::{next_due, push_due};
    #[pymodule_export]
    use crate::channel::Channel;
    #[pymodule_export]
    use crate::channel::Watch;
    #[pymodule_export]
    use crate::credentials::CallCredentials;
    #[pymodule_export]
    use crate::credentials::Credentials;
    #[pymodule_export]
    use crate::log::{log_to_python, next_log_lines};
    #[pymodule_export]
    use crate::observe::snapshot;
    #[pymodule_export]
    use crate::plugins::AuthRequest;
    #[pymodule_export]
    use crate::plugins::next_auth_request;
    #[pymodule_export]
    use crate::wake::LoopQueue;

    /// How many messages of a stream the engine may report before it is asked for more.
    #[pymodule_export]
    const FIRST_CREDIT: u32 = crate::call::receiving::FEWEST_MESSAGES;

    /// What is said of a call that was running when the process forked, in the child.
    #[pymodule_export]
    const CANCELLED_BY_FORK: &str = linkspan_core::CANCELLED_BY_FORK;

    /// Compared with the Python files at import.
    #[pymodule_export]
    const VERSION: &str = linkspan_core::VERSION;
}
