//! A DNS server with one name, over UDP and TCP (RFC 1035 §4).

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

use crate::peer::beside;

pub(crate) const NAME: &str = "svc.test";

/// RFC 1035 §4.1.1.
pub(crate) const NO_ERROR: u8 = 0;
pub(crate) const SERVER_FAILURE: u8 = 2;
pub(crate) const NO_SUCH_NAME: u8 = 3;

/// The name whose texts have its service config.
const CONFIG_NAME: &str = "_grpc_config.svc.test";

/// What the name is; other names are not there.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) code: u8,
    pub(crate) addresses: Vec<IpAddr>,
    /// The text that has its service config, or the code of a failure.
    pub(crate) config: Result<String, u8>,
    pub(crate) seconds: u32,
    /// Over UDP only a part fits, and there is more over TCP.
    pub(crate) is_truncated: bool,
}

impl Records {
    pub(crate) fn of(addresses: impl IntoIterator<Item = IpAddr>, seconds: u32) -> Self {
        Self {
            code: NO_ERROR,
            addresses: addresses.into_iter().collect(),
            config: Err(NO_SUCH_NAME),
            seconds,
            is_truncated: false,
        }
    }

    pub(crate) fn none(code: u8) -> Self {
        Self { code, ..Self::of([], 0) }
    }

    /// The same, with this text or failure for its service config.
    pub(crate) fn with_config(self, config: Result<String, u8>) -> Self {
        Self { config, ..self }
    }

    fn addresses_of(&self, kind: u16) -> Vec<Vec<u8>> {
        let octets = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => (kind == IPV4).then(|| ip.octets().to_vec()),
            IpAddr::V6(ip) => (kind == IPV6).then(|| ip.octets().to_vec()),
        };
        self.addresses.iter().filter_map(octets).collect()
    }
}

/// Serves for as long as the test runs.
pub(crate) struct NameServer {
    address: SocketAddr,
    served: Rc<Served>,
}

struct Served {
    records: RefCell<Records>,
    /// How often the name's IPv4 address was asked for, over UDP and TCP.
    asked: watch::Sender<[usize; 2]>,
    /// How often its service config was.
    asked_for_config: Cell<[usize; 2]>,
}

impl NameServer {
    pub(crate) async fn start(records: Records) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            // The port of one may be taken for the other.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().expect("bound");
        let served = Rc::new(Served {
            records: RefCell::new(records),
            asked: watch::Sender::default(),
            asked_for_config: Cell::default(),
        });
        beside(serve_udp(udp, Rc::clone(&served)));
        beside(serve_tcp(tcp, Rc::clone(&served)));
        Self { address, served }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn change(&self, records: Records) {
        *self.served.records.borrow_mut() = records;
    }

    /// How often the name was asked for, over UDP and TCP.
    pub(crate) fn asked(&self) -> [usize; 2] {
        *self.served.asked.borrow()
    }

    /// How often the name's service config was asked for, over UDP and TCP.
    pub(crate) fn asked_for_config(&self) -> [usize; 2] {
        self.served.asked_for_config.get()
    }

    pub(crate) async fn is_asked_over_udp(&self, times: usize) {
        let mut asked = self.served.asked.subscribe();
        asked.wait_for(|[udp, _]| *udp >= times).await.expect("it serves");
    }
}

async fn serve_udp(socket: UdpSocket, served: Rc<Served>) {
    let mut packet = [0; 4_096];
    loop {
        let (length, asker) = socket.recv_from(&mut packet).await.expect("a query");
        socket.send_to(&served.answer(&packet[..length], false), asker).await.expect("sent");
    }
}

async fn serve_tcp(listener: TcpListener, served: Rc<Served>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        beside(serve_connection(stream, Rc::clone(&served)));
    }
}

async fn serve_connection(mut stream: TcpStream, served: Rc<Served>) {
    while let Ok(length) = stream.read_u16().await {
        let mut packet = vec![0; length.into()];
        stream.read_exact(&mut packet).await.expect("a query");
        let answer = served.answer(&packet, true);
        stream.write_u16(u16::try_from(answer.len()).expect("short")).await.expect("sent");
        stream.write_all(&answer).await.expect("sent");
    }
}

const HEADER_BYTES: usize = 12;
const IPV4: u16 = 1;
const IPV6: u16 = 28;
const TEXT: u16 = 16;

/// The longest string of a text (RFC 1035 §3.3).
const STRING_BYTES: usize = 255;

impl Served {
    fn answer(&self, query: &[u8], is_tcp: bool) -> Vec<u8> {
        let (name, end) = name_of(query);
        let kind = u16::from_be_bytes([query[end], query[end + 1]]);
        let records = self.records.borrow().clone();
        let (code, data) = match name.as_str() {
            NAME => (records.code, records.addresses_of(kind)),
            CONFIG_NAME => match records.config.as_deref() {
                Ok(text) if kind == TEXT => (NO_ERROR, vec![strings(text)]),
                Ok(_) => (NO_ERROR, Vec::new()),
                Err(code) => (*code, Vec::new()),
            },
            _ => (NO_SUCH_NAME, Vec::new()),
        };
        if name == NAME && kind == IPV4 {
            self.asked.send_modify(|asked| asked[usize::from(is_tcp)] += 1);
        }
        if name == CONFIG_NAME {
            let mut asked = self.asked_for_config.get();
            asked[usize::from(is_tcp)] += 1;
            self.asked_for_config.set(asked);
        }
        let is_cut = records.is_truncated && !is_tcp;
        let found = if is_cut { Vec::new() } else { data };
        let count = u8::try_from(found.len()).expect("few");
        // A response to a recursive query, with one question.
        let flags = [0x81 | if is_cut { 2 } else { 0 }, 0x80 | code];
        let mut answer = [&query[..2], &flags, &[0, 1, 0, count, 0, 0, 0, 0]].concat();
        answer.extend(&query[HEADER_BYTES..end + 4]);
        for data in found {
            // The question's name, its type, class IN.
            answer.extend([0xc0, 12, 0, u8::try_from(kind).expect("small"), 0, 1]);
            answer.extend(records.seconds.to_be_bytes());
            answer.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
            answer.extend(data);
        }
        answer
    }
}

/// A text, cut into its strings.
fn strings(text: &str) -> Vec<u8> {
    let string = |piece: &[u8]| [&[u8::try_from(piece.len()).expect("cut")], piece].concat();
    text.as_bytes().chunks(STRING_BYTES).flat_map(string).collect()
}

/// The question's name, and where it ends.
fn name_of(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), HEADER_BYTES);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}
