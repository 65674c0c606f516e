//! Servers of this machine's own that refuse, fail, say nothing, and answer.

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::*;
use crate::runtime::tokio::TokioDriver;

const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const REFUSED: u8 = 5;

/// A DNS server over UDP (RFC 1035 §4): every name has one answer; an address is one for type A alone.
struct Server {
    address: std::net::SocketAddr,
    asked: Receiver<String>,
}

impl Server {
    /// `answer` has a name and a type; `None` is silence.
    fn start(answer: impl Fn(&str, u16) -> Option<(u8, Option<[u8; 4]>)> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let (told, asked) = sync_channel(1_000);
        let serve = move || {
            let mut packet = [0; 4_096];
            while let Ok((length, asker)) = socket.recv_from(&mut packet) {
                let (name, end) = name_of(&packet[..length]);
                let kind = u16::from_be_bytes([packet[end], packet[end + 1]]);
                // The test may be over.
                let _ = told.send(name.clone());
                let Some((code, ip)) = answer(&name, kind) else { continue };
                let ip = ip.filter(|_| kind == 1);
                let head = [0x81, 0x80 | code, 0, 1, 0, u8::from(ip.is_some()), 0, 0, 0, 0];
                let mut answer = [&packet[..2], &head, &packet[12..end + 4]].concat();
                if let Some(ip) = ip {
                    // The question's name, its type, class IN, sixty seconds, four bytes.
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    answer.extend(ip);
                }
                socket.send_to(&answer, asker).expect("sent");
            }
        };
        thread::Builder::new().name("name-server".into()).spawn(serve).expect("a thread");
        Self { address, asked }
    }

    fn always(code: u8) -> Self {
        Self::start(move |_, _| Some((code, None)))
    }

    fn with(ip: [u8; 4]) -> Self {
        Self::start(move |_, _| Some((NO_ERROR, Some(ip))))
    }

    fn asked(&self) -> Vec<String> {
        let mut names: Vec<_> = self.asked.try_iter().collect();
        names.sort();
        names.dedup();
        names
    }
}

/// The question's name, and where it ends.
fn name_of(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// What the servers, asked in this order, are made to say.
fn look_up(servers: &[&Server], search: &str, host: &'static str) -> Result<Vec<IpAddr>, NetError> {
    let mut settings = Settings::parse(&format!("search {search}\noptions timeout:1 attempts:1")).expect("valid");
    settings.servers = servers.iter().map(|server| server.address).collect();
    let (sender, outcome) = sync_channel(1);
    let thread = TokioDriver::run_on_thread("test", move |_| async move {
        sender.send(super::look_up(&settings, host).await).expect("waited for");
    });
    thread.expect("a thread").join().expect("no panic");
    outcome.recv().expect("told").map(|found| found.addresses)
}

fn ip(last: u8) -> Vec<IpAddr> {
    vec![[10, 0, 0, last].into()]
}

#[test]
fn a_server_that_refuses_fails_or_says_nothing_is_followed_by_the_next() {
    for first in [Server::always(REFUSED), Server::always(SERVER_FAILURE), Server::start(|_, _| None)] {
        let second = Server::with([10, 0, 0, 2]);
        assert_eq!(look_up(&[&first, &second], "", "svc.test").expect("found"), ip(2));
        assert_eq!((first.asked(), second.asked()), (vec!["svc.test".to_owned()], vec!["svc.test".to_owned()]));
    }
}

#[test]
fn the_first_servers_word_holds_and_the_second_is_not_asked() {
    let (first, second) = (Server::with([10, 0, 0, 1]), Server::with([10, 0, 0, 2]));
    for _ in 0..5 {
        assert_eq!(look_up(&[&first, &second], "", "svc.test").expect("found"), ip(1));
    }
    for code in [NO_SUCH_NAME, NO_ERROR] {
        let failed = look_up(&[&Server::always(code), &second], "", "svc.test").expect_err("no such name");
        assert!(failed.is_no_records_found(), "{failed}");
    }
    assert!(second.asked().is_empty());
}

#[test]
fn a_name_with_an_underscore_is_a_name() {
    let server = Server::with([10, 0, 0, 1]);
    assert_eq!(look_up(&[&server], "", "my_svc.test").expect("found"), ip(1));
    assert_eq!(server.asked(), ["my_svc.test"]);
}

#[test]
fn domains_complete_a_name_in_order_until_one_is_there() {
    let server = Server::start(|name, _| match name {
        "web.broken.test" => Some((SERVER_FAILURE, None)),
        "web.b.test" => Some((NO_ERROR, Some([10, 0, 0, 7]))),
        _ => Some((NO_SUCH_NAME, None)),
    });
    assert_eq!(look_up(&[&server], "a.test broken.test b.test c.test", "web").expect("found"), ip(7));
    assert_eq!(server.asked(), ["web.a.test", "web.b.test", "web.broken.test"]);
}

#[test]
fn a_failure_tells_more_than_that_there_is_no_record() {
    let server = Server::start(|_, kind| Some((if kind == 1 { SERVER_FAILURE } else { NO_ERROR }, None)));
    let failed = look_up(&[&server], "", "svc.test").expect_err("no address");
    assert!(is_of_server(&failed), "{failed}");
    // The other family, and a name that is not there as it is.
    let server = Server::start(|name, kind| match (name, kind) {
        ("svc.test", _) => Some((NO_SUCH_NAME, None)),
        (_, 28) => Some((SERVER_FAILURE, None)),
        _ => Some((NO_ERROR, None)),
    });
    let failed = look_up(&[&server], "a.test", "svc.test").expect_err("no address");
    assert!(is_of_server(&failed), "{failed}");
}
