//! Log lines on stderr, where the environment asks for them.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::observe::log::filter::{Variable, Variables, Wanted};
use crate::observe::log::{line, write_to};
use crate::runtime::environment;
use crate::runtime::{stderr, time_of_day};

/// Looks at the environment, the first time; whoever makes an engine or options comes by here.
pub(crate) fn start() {
    static IS_STARTED: AtomicBool = AtomicBool::new(false);
    if IS_STARTED.load(SeqCst) || IS_STARTED.swap(true, SeqCst) {
        return;
    }
    let first_of = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| environment::logging(name).map(|text| Variable { name, text }))
    };
    let variables = Variables {
        linkspan_log: environment::logging("LINKSPAN_LOG"),
        verbosity: first_of(["GRPC_NODE_VERBOSITY", "GRPC_VERBOSITY"]),
        trace: first_of(["GRPC_NODE_TRACE", "GRPC_TRACE"]),
    };
    let Wanted { filter, notices } = variables.wanted();
    for notice in notices {
        stderr::write(&format!("linkspan: {notice}\n"));
    }
    if let Some(filter) = filter {
        write_to(filter, |level, room, text| {
            stderr::write(&line::written(time_of_day(), std::process::id(), level, room, text));
        });
    }
}
