//! Tells what happens in each case of a file, for comparison with the other languages:
//! `cargo run -p linkspan-core --example parity -- FILE`.
//!
//! A line is `case TAB target TAB method TAB timeout_ms TAB request_hex TAB options TAB how`; the answer is one JSON object a line.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its reader")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use linkspan_core::{
    CallHandle, CallRequest, Channel, ChannelOptions, Code, Credentials, Event, Metadata, OptionValue, Reply, Roots,
    Sent, Timeout, TlsOptions, UnaryEnd,
};
use tokio::sync::oneshot;

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
    how: How<'a>,
}

impl<'a> Case<'a> {
    fn parse(line: &'a str) -> Result<Self, Box<dyn Error>> {
        let mut columns = line.split('\t');
        let mut column = || columns.next().ok_or("too few columns");
        let mut case = Self {
            name: column()?,
            target: column()?,
            method: column()?,
            timeout: match column()? {
                "-" => Timeout::ChannelDefault,
                milliseconds => Timeout::After(Duration::from_millis(milliseconds.parse()?)),
            },
            request: parse_hex(column()?)?,
            options: column()?.split_ascii_whitespace().map(parse_option).collect::<Result<_, _>>()?,
            how: How::parse(column()?)?,
        };
        if let Some(size) = case.how.request_size {
            case.request = vec![0; size];
        }
        Ok(case)
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
        for _ in 0..self.how.earlier {
            let _ = self.ended(&channel).await;
        }
        // They go on beside the call that is told.
        let _beside: Vec<_> = (0..self.how.beside).map(|_| self.start(&channel, Timeout::None)).collect();
        if let Some(file) = self.how.start_once {
            exists(file).await;
        }
        let mut answer = match self.ended(&channel).await {
            Ok(UnaryEnd { end, .. }) if end.status.is_ok() => Answer::failed("", "OK".to_owned(), ""),
            Err(error) => Answer::failed("call", format!("{:?}", error.kind()), error.message()),
            Ok(UnaryEnd { end, .. }) => Answer {
                unprocessed: Some(end.sent != Sent::Processed),
                peer: end.peer.as_deref().unwrap_or_default().to_owned(),
                ..Answer::failed("status", end.status.code().to_string(), end.status.message())
            },
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
        Channel::new(address, &self.how.credentials()?, &options)
    }

    /// The call's end, after what is to happen meanwhile.
    async fn ended(&self, channel: &Channel) -> Result<UnaryEnd, linkspan_core::Error> {
        let (call, ended) = self.start(channel, self.timeout)?;
        let (cancel, close) = (self.how.cancel_once.map(exists), self.how.close_once.map(exists));
        if let Some(cancel) = cancel {
            cancel.await;
            call.cancel(Code::Cancelled, "cancelled by the caller");
        }
        if let Some(close) = close {
            close.await;
            channel.close(Some(Duration::ZERO));
        }
        Ok(ended.await.expect("a call ends"))
    }

    fn start(
        &self,
        channel: &Channel,
        timeout: Timeout,
    ) -> Result<(CallHandle, oneshot::Receiver<UnaryEnd>), linkspan_core::Error> {
        let mut metadata = Metadata::new();
        for _ in 0..self.how.metadata {
            metadata.append("k", "v")?;
        }
        let request = CallRequest {
            metadata,
            timeout,
            wait_for_ready: self.how.wait_for_ready.then_some(true),
            message: Some(self.request.clone().into()),
            ..CallRequest::new(self.method)
        };
        let (sender, ended) = oneshot::channel();
        let sender = std::sync::Mutex::new(Some(sender));
        let reply = Reply::callback(move |event| {
            if let (Event::Unary(end), Some(sender)) = (event, sender.lock().expect("no panic").take()) {
                let _ = sender.send(*end);
            }
        });
        Ok((channel.start_unary(request, reply)?, ended))
    }
}

/// What is done beside one plain call, in words with blanks between them.
#[derive(Default)]
struct How<'a> {
    /// Files with PEM; TLS with the first.
    roots: Option<&'a str>,
    certificate: Option<&'a str>,
    key: Option<&'a str>,
    wait_for_ready: bool,
    /// So many entries of metadata.
    metadata: usize,
    /// So many zero bytes as the request.
    request_size: Option<usize>,
    /// So many such calls before, one after the other.
    earlier: usize,
    /// So many such calls before, without a deadline, that are not waited for.
    beside: usize,
    /// The call begins once this file is there.
    start_once: Option<&'a str>,
    /// The call is cancelled, or the channel closed, once this file is there.
    cancel_once: Option<&'a str>,
    close_once: Option<&'a str>,
}

impl<'a> How<'a> {
    fn parse(words: &'a str) -> Result<Self, Box<dyn Error>> {
        let mut how = Self::default();
        for word in words.split_ascii_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("roots", path) => how.roots = Some(path),
                ("certificate", path) => how.certificate = Some(path),
                ("key", path) => how.key = Some(path),
                ("wait_for_ready", _) => how.wait_for_ready = true,
                ("metadata", count) => how.metadata = count.parse()?,
                ("request_size", size) => how.request_size = Some(size.parse()?),
                ("earlier", count) => how.earlier = count.parse()?,
                ("beside", count) => how.beside = count.parse()?,
                ("start_once", path) => how.start_once = Some(path),
                ("cancel_once", path) => how.cancel_once = Some(path),
                ("close_once", path) => how.close_once = Some(path),
                _ => return Err(format!("an unknown word, {word:?}").into()),
            }
        }
        Ok(how)
    }

    fn credentials(&self) -> Result<Credentials, linkspan_core::Error> {
        let Some(roots) = self.roots else { return Ok(Credentials::insecure()) };
        let read = |path: &str| std::fs::read(path).expect("a file of the case");
        Credentials::tls(TlsOptions {
            roots: Roots::Pem(read(roots)),
            certificate_pem: self.certificate.map(read),
            key_pem: self.key.map(read),
            ..TlsOptions::default()
        })
    }
}

/// Waits for a file.
async fn exists(path: &str) {
    while !Path::new(path).exists() {
        #[expect(clippy::disallowed_methods, reason = "a program may use its own runtime's timer")]
        tokio::time::sleep(Duration::from_millis(1)).await;
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
    /// Whether the call may be made again safely; not known where it did not end with a status.
    unprocessed: Option<bool>,
    peer: String,
    final_state: &'static str,
    events: Vec<String>,
}

impl Answer {
    fn failed(error_at: &'static str, kind_or_code: String, text: &str) -> Self {
        let (text, peer) = (text.to_owned(), String::new());
        Self { error_at, kind_or_code, text, unprocessed: None, peer, final_state: "", events: Vec::new() }
    }

    fn json(&self, case: &str) -> String {
        let events: Vec<_> = self.events.iter().map(|event| quoted(event)).collect();
        format!(
            "{{\"case\":{},\"error_at\":{},\"kind_or_code\":{},\"text\":{},\"unprocessed\":{},\"peer\":{},\"final_state\":{},\"events\":[{}]}}",
            quoted(case),
            quoted(self.error_at),
            quoted(&self.kind_or_code),
            quoted(&self.text),
            self.unprocessed.map_or("null".to_owned(), |flag| flag.to_string()),
            quoted(&self.peer),
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
