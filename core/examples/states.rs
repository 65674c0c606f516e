//! Follows a channel until it is READY or has not changed for ten seconds: `cargo run -p linkspan-core --example states -- HOST:PORT`.
//!
//! A watch tells *that* the state changed and may skip states in between; the event ring has every change with its cause.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use linkspan_core::{Channel, ChannelOptions, CompletionQueue, Credentials, Event, Reply, State};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "localhost:50051".to_owned());
    let channel = Channel::new(&target, &Credentials::insecure(), &ChannelOptions::new())?;
    let queue = CompletionQueue::new(16);

    // Asking for a connection answers with the state before.
    let mut state = channel.state(true);
    println!("{target} is {state}");
    let mut last_event = 0;
    while state != State::Ready {
        channel.watch(state, Some(Duration::from_secs(10)), Reply::queue(&queue, 0))?;
        let mut completions = Vec::new();
        queue.wait(&mut completions, 1, None);
        for event in channel.events(last_event) {
            println!("{event}");
            last_event = event.seq;
        }
        match completions.pop().map(|completion| completion.event) {
            Some(Event::Connectivity { state: now, timed_out: false }) => state = now,
            _ => break,
        }
    }
    println!("{target} is {}", channel.state(false));
    Ok(())
}
