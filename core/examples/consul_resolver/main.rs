//! Calls a service that a Consul agent knows, once a second:
//! `cargo run -p linkspan-core --example consul_resolver -- consul://127.0.0.1:8500/web`.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]
#![allow(clippy::disallowed_methods, reason = "a program may use its own threads and timers")]

mod resolver;

use std::sync::Arc;
use std::time::Duration;

use linkspan_core::{CallOptions, Channel, ChannelOptions, Credentials, Engine};
use resolver::ConsulResolver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "consul:///web".to_owned());
    // For every channel of this process that has such a target.
    Engine::shared().register_resolver("consul", Arc::new(ConsulResolver))?;
    let mut options = ChannelOptions::new();
    options.set("linkspan.lb_policy", "round_robin")?;
    let channel = Channel::new(&target, &Credentials::insecure(), &options)?;
    loop {
        match channel.unary("/grpc.testing.TestService/EmptyCall", "", CallOptions::default()).await {
            Ok(response) => println!("{} answered", response.peer),
            Err(failure) => println!("{failure}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
