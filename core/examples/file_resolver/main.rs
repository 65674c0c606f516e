//! Calls servers whose addresses are in a file, once a second, and follows the file:
//! `cargo run -p linkspan-core --example file_resolver -- /tmp/servers`, with `127.0.0.1:50051` in `/tmp/servers`.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]
#![allow(clippy::disallowed_methods, reason = "a program may use its own threads and timers")]

mod resolver;

use std::sync::Arc;
use std::time::Duration;

use linkspan_core::{CallOptions, Channel, ChannelOptions, Credentials};
use resolver::FileResolver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a file with addresses, one a line")?;
    let mut options = ChannelOptions::new();
    options.add_resolver("file", Arc::new(FileResolver))?;
    let channel = Channel::new(&format!("file:{path}"), &Credentials::insecure(), &options)?;
    loop {
        match channel.unary("/grpc.testing.TestService/EmptyCall", "", CallOptions::default()).await {
            Ok(response) => println!("{} answered", response.peer),
            Err(failure) => println!("{failure}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
