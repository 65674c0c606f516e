//! Calls at a steady rate through whatever happens and tells of every call, as tests/python/caller.py does; and of the log:
//! `cargo run -p linkspan-core --example caller -- --target TARGET [--channels N] [--rate CALLS/S] [--deadline-ms N]
//! [--option KEY=VALUE]... [--holds-streams true] [--stream-deadline-ms N] [--tls-files FOLDER]`.
//!
//! One JSON line for each call that has ended, each state change and each line of the log. It ends when its standard input closes; a line
//! there has the addresses, separated by commas, that the target `told:` has from now on.

#![allow(clippy::print_stdout, reason = "a program talks to its reader")]
#![allow(clippy::disallowed_methods, reason = "a program may use its own runtime, clock and threads")]

mod told;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linkspan_core::{
    CallError, CallOptions, Channel, ChannelOptions, Credentials, Metadata, OptionValue, Roots, Timeout, TlsOptions,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use told::Told;

const CALL: &str = "/grpc.testing.TestService/UnaryCall";
const STREAM: &str = "/grpc.testing.TestService/FullDuplexCall";
/// SimpleRequest { response_size: 16, fill_server_id: true }
const REQUEST: &[u8] = &[0x10, 16, 0x48, 1];
const LOOK_AT_EVENTS: Duration = Duration::from_millis(50);
const BETWEEN_STREAMS: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    linkspan_core::set_log_level(Some(linkspan_core::LogLevel::Debug));
    linkspan_core::set_logger(Some(Box::new(|level, room, text| {
        let text = quoted(&format!("{level:?} {room}: {text}"));
        println!("{{\"kind\":\"log\",\"t\":{},\"text\":{text}}}", milliseconds());
    })));
    let mut asked = Asked::read(std::env::args().skip(1))?;
    let told = Told::default();
    asked.options.add_resolver("told", Arc::new(told.clone()))?;
    tokio::task::LocalSet::new().run_until(run(asked, told)).await
}

async fn run(asked: Asked, told: Told) -> Result<(), Box<dyn Error>> {
    let credentials = asked.credentials()?;
    let make = |_| Channel::new(&asked.target, &credentials, &asked.options);
    let channels = (0..asked.channels).map(make).collect::<Result<Vec<_>, _>>()?;
    let mut beside = JoinSet::new();
    for (number, channel) in channels.iter().enumerate() {
        beside.spawn_local(keep_telling(number, channel.clone()));
        if asked.holds_streams {
            beside.spawn_local(hold(channel.clone(), asked.stream_deadline));
        }
    }
    call_until(input_closes(told), &asked, &channels).await;
    // Time for what tells of events to come round once more.
    tokio::time::sleep(2 * LOOK_AT_EVENTS).await;
    beside.shutdown().await;
    // From here on the log is silent: what it says while the process ends would be cut off anywhere.
    linkspan_core::set_logger(None);
    let attempts: u64 = channels.iter().map(|channel| channel.metrics().connect_attempts).sum();
    println!("{{\"kind\":\"done\",\"connect_attempts\":{attempts}}}");
    Ok(())
}

/// Starts calls at their times, whatever became of those before, until `over`; then waits for those in flight.
async fn call_until(over: oneshot::Receiver<()>, asked: &Asked, channels: &[Channel]) {
    let mut in_flight = JoinSet::new();
    let started = tokio::time::Instant::now();
    let starting = async {
        for (number, channel) in channels.iter().cycle().enumerate() {
            if asked.rate <= 0.0 {
                return std::future::pending().await;
            }
            tokio::time::sleep_until(started + Duration::from_secs_f64(number as f64 / asked.rate)).await;
            in_flight.spawn_local(call(channel.clone(), number, asked.deadline));
            while in_flight.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        biased;
        _ = over => {}
        () = starting => {}
    }
    while in_flight.join_next().await.is_some() {}
}

async fn call(channel: Channel, number: usize, deadline: Duration) {
    let (started, watch) = (milliseconds(), Instant::now());
    let mut metadata = Metadata::new();
    // A key of letters and a value of digits are always good.
    let _ = metadata.append("x-call-id", format!("{}-{number}", std::process::id()));
    let options = CallOptions { timeout: Timeout::After(deadline), metadata, ..CallOptions::default() };
    let (code, text) = match channel.unary(CALL, REQUEST, options).await {
        Ok(_) => ("OK".to_owned(), String::new()),
        Err(CallError::Rpc(failure)) => (failure.code().to_string(), failure.status().message().to_owned()),
        Err(CallError::Refused(error)) => (format!("{:?}", error.kind()), error.message().to_owned()),
    };
    let ended = started + u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
    let text = quoted(&text);
    println!("{{\"kind\":\"call\",\"t\":{started},\"ended\":{ended},\"code\":\"{code}\",\"text\":{text}}}");
}

/// Keeps a stream open on which nothing is sent; tells when it ended and opens the next.
async fn hold(channel: Channel, timeout: Timeout) {
    loop {
        let text = match channel.stream(STREAM, CallOptions { timeout, ..CallOptions::default() }) {
            Ok(mut stream) => stream.message().await.err().map_or(String::new(), |failure| failure.to_string()),
            Err(error) => error.to_string(),
        };
        println!("{{\"kind\":\"stream\",\"ended\":{},\"text\":{}}}", milliseconds(), quoted(&text));
        tokio::time::sleep(BETWEEN_STREAMS).await;
    }
}

async fn keep_telling(number: usize, channel: Channel) {
    let mut seen = 0;
    loop {
        for event in channel.events(seen) {
            seen = event.seq;
            let (t, text) = (milliseconds(), quoted(&event.to_string()));
            println!("{{\"kind\":\"state\",\"t\":{t},\"channel\":{number},\"text\":{text}}}");
        }
        tokio::time::sleep(LOOK_AT_EVENTS).await;
    }
}

/// Standard input can only be waited for by a thread. A line that tells no addresses ends the program too.
fn input_closes(told: Told) -> oneshot::Receiver<()> {
    let (gone, is_gone) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().lines().try_for_each(|line| told.tell(&line.ok()?).ok());
        let _ = gone.send(());
    });
    is_gone
}

struct Asked {
    target: String,
    channels: usize,
    rate: f64,
    deadline: Duration,
    options: ChannelOptions,
    holds_streams: bool,
    stream_deadline: Timeout,
    /// With ca.crt, tls.crt and tls.key; without it there is no TLS.
    tls_files: Option<PathBuf>,
}

impl Asked {
    fn credentials(&self) -> Result<Credentials, linkspan_core::Error> {
        let Some(folder) = &self.tls_files else { return Ok(Credentials::insecure()) };
        Credentials::tls(TlsOptions {
            roots: Roots::File(folder.join("ca.crt")),
            certificate_file: Some(folder.join("tls.crt")),
            key_file: Some(folder.join("tls.key")),
            ..TlsOptions::default()
        })
    }

    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut asked = Self {
            target: String::new(),
            channels: 1,
            rate: 10.0,
            deadline: Duration::from_secs(2),
            options: ChannelOptions::new(),
            holds_streams: false,
            stream_deadline: Timeout::None,
            tls_files: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} without a value"))?;
            match name.as_str() {
                "--target" => asked.target = value,
                "--channels" => asked.channels = value.parse()?,
                "--rate" => asked.rate = value.parse()?,
                "--deadline-ms" => asked.deadline = Duration::from_millis(value.parse()?),
                "--option" => {
                    let (key, value) = value.split_once('=').ok_or("an option without '='")?;
                    let number = value.parse().map(OptionValue::Int);
                    asked.options.set(key, number.unwrap_or_else(|_| OptionValue::Text(value.to_owned())))?;
                }
                "--stream-deadline-ms" => {
                    asked.stream_deadline = Timeout::After(Duration::from_millis(value.parse()?));
                }
                "--tls-files" => asked.tls_files = Some(value.into()),
                "--holds-streams" => asked.holds_streams = value.parse()?,
                _ => return Err(format!("what is {name}?").into()),
            }
        }
        Ok(asked)
    }
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A JSON string, RFC 8259 §7.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => json.push(character),
        }
    }
    json + "\""
}
