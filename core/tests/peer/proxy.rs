//! An HTTP proxy: it takes CONNECT, and carries bytes between the client and wherever the test says the destination is.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::beside;

/// A listening proxy. Clients are served for as long as the test runs.
pub(crate) struct Proxy {
    address: String,
    heads: mpsc::Receiver<String>,
}

/// What a proxy does.
#[derive(Default)]
pub(crate) struct Rules {
    /// Destinations as clients name them, and where they are; others are where their name says.
    pub(crate) destinations: Vec<(String, String)>,
    /// `user:password`, without which nobody gets through.
    pub(crate) credentials: Option<&'static str>,
    /// What everybody is answered instead of a tunnel.
    pub(crate) refusal: Option<&'static str>,
}

impl Proxy {
    pub(crate) async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (sender, heads) = mpsc::channel(100);
        let rules = Rc::new(rules);
        beside(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a client");
                beside(serve(client, Rc::clone(&rules), sender.clone()));
            }
        });
        Self { address, heads }
    }

    /// A proxy that knows this destination to be at this address.
    pub(crate) async fn to(destination: &str, address: &str) -> Self {
        Self::start(Rules { destinations: vec![(destination.into(), address.into())], ..Rules::default() }).await
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> String {
        self.heads.recv().await.expect("the proxy serves")
    }

    /// Whether a request has come that [`Proxy::request`] has not told.
    pub(crate) fn has_waiting_request(&self) -> bool {
        !self.heads.is_empty()
    }
}

async fn serve(mut client: TcpStream, rules: Rc<Rules>, heads: mpsc::Sender<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // A client that goes away is no concern of the proxy's.
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("ASCII");
    let destination =
        head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).expect("CONNECT").to_owned();
    let has_right = rules.credentials.is_none_or(|credentials| {
        let wanted = format!("\r\nProxy-Authorization: Basic {}\r\n", STANDARD.encode(credentials));
        head.contains(&wanted)
    });
    heads.try_send(head).expect("the test reads along");
    let refusal = if has_right { rules.refusal } else { Some("407 Proxy Authentication Required") };
    if let Some(refusal) = refusal {
        let _ = client.write_all(format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        return;
    }
    let known = rules.destinations.iter().find(|(name, _)| *name == destination);
    let address = known.map_or(&destination, |(_, address)| address);
    let mut server = TcpStream::connect(address).await.expect("the test has a server");
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.expect("the client waits");
    // One of both closes; that is the end of the tunnel.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
