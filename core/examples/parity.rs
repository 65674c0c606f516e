//! Tells what happens in each case of a file, for comparison with the other languages:
//! `cargo run -p linkspan-core --example parity -- FILE`.
//!
//! A line is `case TAB target TAB method TAB timeout_ms TAB request_hex TAB options`; the answer is one JSON object a line.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its reader")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use linkspan_core::{CallError, CallOptions, Channel, ChannelOptions, Credentials, OptionValue, Timeout};

const HANG_GUARD: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: parity FILE");
        return ExitCode::from(2);
    };
    #[expect(clippy::disallowed_methods, reason = "a program may use its own runtime's timer")]
    let done = tokio::time::timeout(HANG_GUARD, answer_all(&file)).await;
    match done {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(cause)) => eprintln!("parity: {cause}"),
        Err(_) => eprintln!("parity: still not done after {} s", HANG_GUARD.as_secs()),
    }
    ExitCode::FAILURE
}

async fn answer_all(file: &str) -> Result<(), Box<dyn Error>> {
    for line in std::fs::read_to_string(file)?.lines().filter(|line| !line.is_empty()) {
        let case = Case::parse(line).map_err(|what| format!("{what} in {line:?}"))?;
        println!("{}", case.answer().await.json(case.name));
    }
    Ok(())
}

struct Case<'a> {
    name: &'a str,
    target: &'a str,
    method: &'a str,
    timeout: Timeout,
    request: Vec<u8>,
    options: Vec<(&'a str, OptionValue)>,
}

impl<'a> Case<'a> {
    fn parse(line: &'a str) -> Result<Self, Box<dyn Error>> {
        let mut columns = line.split('\t');
        let mut column = || columns.next().ok_or("too few columns");
        Ok(Self {
            name: column()?,
            target: column()?,
            method: column()?,
            timeout: match column()? {
                "-" => Timeout::ChannelDefault,
                milliseconds => Timeout::After(Duration::from_millis(milliseconds.parse()?)),
            },
            request: parse_hex(column()?)?,
            options: column()?.split_ascii_whitespace().map(parse_option).collect::<Result<_, _>>()?,
        })
    }

    async fn answer(&self) -> Answer {
        let (address, is_closed) = match self.target.strip_prefix("@closed ") {
            Some(address) => (address, true),
            None => (self.target, false),
        };
        let channel = match self.channel(address) {
            Ok(channel) => channel,
            Err(error) => return Answer::failed("create", format!("{:?}", error.kind()), error.message()),
        };
        if is_closed {
            channel.close(None);
        }
        let options = CallOptions { timeout: self.timeout, ..CallOptions::default() };
        let mut answer = match channel.unary(self.method, self.request.clone(), options).await {
            Ok(_) => Answer::failed("", "OK".to_owned(), ""),
            Err(CallError::Refused(error)) => Answer::failed("call", format!("{:?}", error.kind()), error.message()),
            Err(CallError::Rpc(failure)) => {
                Answer::failed("status", failure.code().to_string(), failure.status().message())
            }
        };
        answer.final_state = channel.state(false).name();
        answer.events = channel.events(0).iter().map(ToString::to_string).collect();
        channel.close(None);
        answer
    }

    fn channel(&self, address: &str) -> Result<Channel, linkspan_core::Error> {
        let mut options = ChannelOptions::new();
        for (key, value) in &self.options {
            options.set(key, value.clone())?;
        }
        // Set last, because the first setting of a key holds and a case may have its own.
        options.set("linkspan.preset", "resilient")?;
        Channel::new(address, &Credentials::insecure(), &options)
    }
}

fn parse_hex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>().ok_or("not hex")?;
    if !digits.len().is_multiple_of(2) {
        return Err("half a byte".into());
    }
    Ok(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// `key=TYPE:VALUE`
fn parse_option(text: &str) -> Result<(&str, OptionValue), Box<dyn Error>> {
    let (key, typed) = text.split_once('=').ok_or("an option without '='")?;
    let value = match typed.split_once(':').ok_or("an option without a type")? {
        ("i", number) => OptionValue::Int(number.parse()?),
        ("b", flag) => OptionValue::Bool(matches!(flag, "1" | "true")),
        ("s", text) => OptionValue::Text(text.to_owned()),
        ("f", number) => OptionValue::Float(number.parse()?),
        (other, _) => return Err(format!("an option of the type {other:?}").into()),
    };
    Ok((key, value))
}

struct Answer {
    error_at: &'static str,
    kind_or_code: String,
    text: String,
    final_state: &'static str,
    events: Vec<String>,
}

impl Answer {
    fn failed(error_at: &'static str, kind_or_code: String, text: &str) -> Self {
        Self { error_at, kind_or_code, text: text.to_owned(), final_state: "", events: Vec::new() }
    }

    fn json(&self, case: &str) -> String {
        let events: Vec<_> = self.events.iter().map(|event| quoted(event)).collect();
        format!(
            "{{\"case\":{},\"error_at\":{},\"kind_or_code\":{},\"text\":{},\"final_state\":{},\"events\":[{}]}}",
            quoted(case),
            quoted(self.error_at),
            quoted(&self.kind_or_code),
            quoted(&self.text),
            quoted(self.final_state),
            events.join(","),
        )
    }
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
