//! Healthy instances of a service, by blocking queries to a Consul agent. The target names both: `consul://127.0.0.1:8500/web?dc=east`; without an
//! agent it is the one of this machine. What stands behind `?` is handed on to the agent.
//!
//! A query waits at the agent until something has changed since the index of the answer before, so a change is known at once and nobody polls.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use linkspan_core::{Resolver, ResolverAddress, ResolverFactory, ResolverSender, ResolverTarget, ResolverUpdate};
use serde_json::Value;

/// How long the agent may hold a query back.
const WAIT: &str = "30s";
/// It may add a sixteenth, and the answer has to arrive; after so many looks without a byte the agent is taken for dead.
const LOOKS: u32 = 100;
/// How often is looked whether anybody still listens.
const LOOK: Duration = Duration::from_millis(400);
/// What changes all the time, or an agent that does not wait, is asked for no more often than this.
const LEAST: Duration = Duration::from_millis(500);
/// Thousands of instances are less.
const MOST_BYTES: usize = 16 << 20;
/// Between queries that fail, twice as long each time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

pub(crate) struct ConsulResolver;

impl ResolverFactory for ConsulResolver {
    fn start(&self, target: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        let agent = if target.authority().is_empty() { "127.0.0.1:8500" } else { target.authority() };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if target.endpoint().is_empty() || !target.endpoint().bytes().all(is_plain) {
            return Err(format!(
                "a service's name has letters, digits, '.', '_' and '-', and not {:?}",
                target.endpoint()
            ));
        }
        let query = Query {
            agent: agent.to_owned(),
            service: target.endpoint().to_owned(),
            parameters: target.query().to_owned(),
        };
        let (ask, asked) = mpsc::sync_channel(1);
        let watcher = thread::Builder::new().name("consul-resolver".into());
        watcher.spawn(move || watch(&query, &results, &asked)).map_err(|cause| format!("no thread: {cause}"))?;
        Ok(Box::new(Watched { ask }))
    }
}

/// Dropped when the channel has no use for it any more, which ends the thread's pause, too.
struct Watched {
    ask: SyncSender<()>,
}

impl Resolver for Watched {
    /// A query that waits sees every change anyway; one that failed is made again now.
    fn resolve_now(&mut self) {
        // One wish waits already when there is no room for another.
        let _ = self.ask.try_send(());
    }
}

fn watch(query: &Query, results: &ResolverSender, asked: &Receiver<()>) {
    let (mut index, mut pause) = (0, PAUSES.0);
    while !results.is_closed() {
        let began = Instant::now();
        match query.send(index, results) {
            Ok(answer) => {
                // An index that went back is of an agent that began anew, and zero would not wait.
                index = if answer.index < index { 0 } else { answer.index.max(1) };
                pause = PAUSES.0;
                match endpoints(&answer.body) {
                    Ok(update) => results.update(update),
                    Err(why) => results.error(format!("{} says what is no list of instances: {why}", query.agent)),
                };
                // A wish changes nothing: there is an answer of just now.
                thread::sleep(LEAST.saturating_sub(began.elapsed()));
            }
            Err(cause) => {
                results.error(format!("{}: {cause}", query.agent));
                if asked.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// What the agent is asked.
struct Query {
    agent: String,
    service: String,
    parameters: String,
}

struct Answer {
    index: u64,
    body: Vec<u8>,
}

impl Query {
    /// Waits for an answer newer than `index`; 0 waits for none.
    fn send(&self, index: u64, results: &ResolverSender) -> io::Result<Answer> {
        let address = self.agent.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        let waits = if index == 0 { String::new() } else { format!("&index={index}&wait={WAIT}") };
        let more = if self.parameters.is_empty() { String::new() } else { format!("&{}", self.parameters) };
        // HTTP/1.0, so that the answer ends with the connection and comes in one piece.
        let (service, agent) = (&self.service, &self.agent);
        let head = format!("GET /v1/health/service/{service}?passing{waits}{more} HTTP/1.0\r\nHost: {agent}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        read_answer(&read_all(&mut stream, results)?)
    }
}

/// Reads to the end, as long as somebody listens.
fn read_all(stream: &mut TcpStream, results: &ResolverSender) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(LOOK))?;
    let (mut all, mut piece, mut looks) = (Vec::new(), [0; 4096], 0);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(all),
            Ok(length) if all.len() + length > MOST_BYTES => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("its answer is longer than {MOST_BYTES} bytes"),
                ));
            }
            Ok(length) => {
                all.extend_from_slice(&piece[..length]);
                looks = 0;
            }
            Err(cause) if matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                looks += 1;
                if results.is_closed() || looks > LOOKS {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
                }
            }
            Err(cause) => return Err(cause),
        }
    }
}

fn read_answer(all: &[u8]) -> io::Result<Answer> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| wrong("no HTTP answer"))?;
    let head = std::str::from_utf8(&all[..end]).map_err(|_| wrong("no HTTP answer"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(wrong(&format!("it answered {status:?}")));
    }
    let index =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("x-consul-index"));
    let index = index.and_then(|(_, value)| value.trim().parse().ok()).ok_or_else(|| wrong("no X-Consul-Index"))?;
    Ok(Answer { index, body: all[end + 4..].to_vec() })
}

/// One endpoint for each instance: its own address, else its node's.
fn endpoints(body: &[u8]) -> Result<ResolverUpdate, String> {
    let list: Vec<Value> = serde_json::from_slice(body).map_err(|wrong| wrong.to_string())?;
    let address = |instance: &Value| -> Result<ResolverAddress, String> {
        let own = instance["Service"]["Address"].as_str().filter(|address| !address.is_empty());
        let host = own.or_else(|| instance["Node"]["Address"].as_str()).ok_or("an instance without an address")?;
        let port = instance["Service"]["Port"].as_u64().ok_or("an instance without a port")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{host}:{port}").parse().map_err(|wrong: linkspan_core::Error| wrong.to_string())
    };
    Ok(ResolverUpdate::of_each(list.iter().map(address).collect::<Result<Vec<_>, _>>()?))
}
