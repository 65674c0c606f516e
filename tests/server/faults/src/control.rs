//! The control connection: commands on standard input, one JSON object a line; an answer line on standard output for each.

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

/// What became of a command: facts for the test, or what was wrong with it.
pub type Answer = Result<Value, String>;

/// Says where the program listens, then obeys until standard input ends.
///
/// # Errors
/// Standard output is closed.
pub async fn obey(address: SocketAddr, mut command: impl AsyncFnMut(Value) -> Answer) -> io::Result<()> {
    say(&format!("LISTENING {address}"))?;
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let answer = match serde_json::from_str(&line) {
            Ok(wanted) => command(wanted).await,
            Err(cause) => Err(cause.to_string()),
        };
        say(&answer.unwrap_or_else(|error| json!({ "error": error })).to_string())?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// Standard input can only be waited for by a thread.
fn lines() -> tokio::sync::mpsc::Receiver<String> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
