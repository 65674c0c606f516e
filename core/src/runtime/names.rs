//! Names the system looks up, away from the loops: `getaddrinfo` waits for as long as it likes and cannot be told to stop.
//!
//! All loops of a process share a few threads for it (`pool.rs`). So a name stuck in the system's resolver keeps one thread, whoever
//! asks for it and however often, and other names go on with the others. Threads never keep a loop or the process from ending.

mod pool;
pub(super) mod resolv_conf;
mod system;

use std::io;
use std::net::SocketAddr;

use crate::generation::PerProcess;
use pool::Pool;

/// The threads of this process: those of a forked child's parent are not there, and what their lock guards is left as it is.
static POOL: PerProcess<Pool<System>> = PerProcess::of_first(Pool::new(system::look_up));

type System = fn(&str) -> Found;

/// What is found for a name, in RFC 6724 order and without ports; or why nothing is.
type Found = Result<Box<[SocketAddr]>, String>;

/// Asks the system for a host. Who drops this waits no more, and what nobody waits for is not looked up.
pub(super) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let pool = POOL.get(|_| Pool::new(system::look_up));
    let found = pool.ask(host).await.map_err(io::Error::other)?;
    let with_port = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    Ok(found.into_iter().map(with_port).collect())
}
