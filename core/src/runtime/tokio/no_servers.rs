//! Stands for `servers.rs` in a build without the feature `hickory`: no target brings anybody here, and of the options only the one that wants
//! service configs, which goes on without.

use std::io;
use std::net::SocketAddr;

use crate::runtime::{NameAnswer, TextAnswer};

#[expect(clippy::unused_async, reason = "the other one waits for servers")]
pub(super) async fn look_up(_: &str, _: u16, _: Option<SocketAddr>) -> io::Result<NameAnswer> {
    Err(asks_none())
}

#[expect(clippy::unused_async, reason = "the other one waits for servers")]
pub(super) async fn look_up_texts(_: &str, _: Option<SocketAddr>) -> io::Result<TextAnswer> {
    Err(asks_none())
}

fn asks_none() -> io::Error {
    io::Error::other("this build asks no DNS servers itself (feature \"hickory\")")
}
