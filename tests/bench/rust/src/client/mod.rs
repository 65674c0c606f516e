//! A client's side of the protocol: where the server is, what the runner wants, what came of it.

mod measure;
pub mod workloads;

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use measure::{CpuTime, Window, resident_bytes};

/// Where the server is.
#[derive(Clone, Debug)]
pub struct Server {
    /// Echoes.
    pub echo: String,
    /// Sends a stream of messages.
    pub stream: String,
    /// Echoes under TLS.
    pub tls: String,
    /// The PEM of who issued its certificate.
    pub ca: PathBuf,
}

/// What the runner wants.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// A name of the table in `tests/bench/README.md`.
    pub workload: String,
    /// Callers at once.
    #[serde(default = "one")]
    pub in_flight: usize,
    /// Bytes of a message.
    #[serde(default = "sixty_four")]
    pub size: usize,
    /// Messages of a stream.
    #[serde(default)]
    pub messages: u64,
    /// Channels to open.
    #[serde(default)]
    pub channels: usize,
    /// After so many seconds of silence the channels are pinged, where that is said.
    pub keepalive_s: Option<f64>,
    /// Addresses of the channel.
    #[serde(default)]
    pub addresses: usize,
    /// How long to run before looking.
    #[serde(default)]
    pub warmup_s: f64,
    /// How long to look.
    #[serde(default)]
    pub seconds: f64,
}

fn one() -> usize {
    1
}

fn sixty_four() -> usize {
    64
}

/// What came of a command.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// What was completed in the window.
    pub operations: u64,
    /// The window's length.
    pub wall_s: f64,
    /// The process's time in its own code.
    pub user_s: f64,
    /// The process's time in the system.
    pub system_s: f64,
    /// The growth of the resident set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// How long the channels took to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_s: Option<f64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// This client does not do that.
    Unsupported(String),
    /// Something was wrong.
    Error(String),
}

impl From<String> for NoAnswer {
    fn from(text: String) -> Self {
        Self::Error(text)
    }
}

/// What a failed client says.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The arguments of a client's own, and the server's addresses.
///
/// # Errors
/// An address is missing.
pub fn arguments() -> Result<(Vec<String>, Server), Failure> {
    let mut own = Vec::new();
    let mut found = std::collections::BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if ["--echo", "--stream", "--tls", "--ca"].contains(&argument.as_str()) {
            let value = arguments.next().ok_or_else(|| format!("{argument} has no value"))?;
            found.insert(argument, value);
        } else {
            own.push(argument);
        }
    }
    let mut take = |name: &str| found.remove(name).ok_or_else(|| format!("{name} is missing"));
    let server =
        Server { echo: take("--echo")?, stream: take("--stream")?, tls: take("--tls")?, ca: take("--ca")?.into() };
    Ok((own, server))
}

/// Says what this client is and obeys until the runner has gone.
///
/// # Errors
/// Standard input or output broke, or a command is no command.
pub fn obey(
    client: &str,
    version: &str,
    mut command: impl FnMut(Command) -> Result<Answer, NoAnswer>,
) -> Result<(), Failure> {
    say(&serde_json::json!({"client": client, "version": version}))?;
    for line in io::stdin().lock().lines() {
        match command(serde_json::from_str(&line?)?) {
            Ok(answer) => say(&answer)?,
            Err(none) => say(&none)?,
        }
    }
    Ok(())
}

fn say(what: &impl Serialize) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, what)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}
