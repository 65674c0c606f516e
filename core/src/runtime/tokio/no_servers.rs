//! Stands for `servers.rs` in a build without the feature `hickory`: no target and no option brings anybody here.

use std::io;
use std::net::SocketAddr;

use crate::runtime::NameAnswer;

#[expect(clippy::unused_async, reason = "the other one waits for servers")]
pub(super) async fn look_up(host: &str, _: u16, _: Option<SocketAddr>) -> io::Result<NameAnswer> {
    Err(io::Error::other(format!("{host}: this build asks no DNS servers itself (feature \"hickory\")")))
}
