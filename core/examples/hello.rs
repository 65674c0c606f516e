//! One unary call and one stream, with nothing but bytes: `cargo run -p linkspan-core --example hello -- 127.0.0.1:50051`.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use linkspan_core::{CallOptions, Channel, ChannelOptions, Credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "localhost:50051".to_owned());
    let channel = Channel::new(&target, &Credentials::insecure(), &ChannelOptions::new())?;

    let response = channel.unary("/grpc.testing.TestService/EmptyCall", "", CallOptions::default()).await?;
    println!("{} answered with {} bytes", response.peer, response.message.len());

    let mut call = channel.stream("/grpc.testing.TestService/FullDuplexCall", CallOptions::default())?;
    call.close_send();
    while let Some(message) = call.message().await? {
        println!("a message of {} bytes", message.len());
    }

    for event in channel.events(0) {
        println!("{event}");
    }
    Ok(())
}
