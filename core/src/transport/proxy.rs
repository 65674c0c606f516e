//! CONNECT: a proxy is asked for a way to the destination; what follows its answer is the destination's ([CONN-176], RFC 9110 §9.3.6).

pub(crate) mod answer;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::rewound::Rewound;
use crate::address::Tunnel;
use crate::runtime::Socket;
use answer::{Answer, Reading};

/// How much is read at once.
const PIECE: usize = 1_024;

/// Asks the proxy at the other end of a fresh socket for a way to the tunnel's destination.
///
/// # Errors
/// A text for people, without the proxy's address and the destination: both are in the tunnel's.
pub(super) async fn connect<S: Socket>(mut socket: S, tunnel: &Tunnel) -> Result<Rewound<S>, String> {
    let lost = |cause| format!("the connection to the proxy was lost: {cause}");
    socket.write_all(request(tunnel).as_bytes()).await.map_err(lost)?;
    socket.flush().await.map_err(lost)?;
    let (mut reading, mut received) = (Reading::default(), BytesMut::new());
    let answer = loop {
        if let Some(answer) = reading.read(&mut received)? {
            break answer;
        }
        received.reserve(PIECE);
        if socket.read_buf(&mut received).await.map_err(lost)? == 0 {
            return Err("the proxy closed the connection before it had answered CONNECT".into());
        }
    };
    match answer.status {
        200..=299 => Ok(Rewound::new(socket, received.freeze())),
        _ => Err(refusal(&answer, tunnel)),
    }
}

fn request(tunnel: &Tunnel) -> String {
    let destination = &tunnel.destination;
    let authorization = match &tunnel.authorization {
        Some(value) => format!("Proxy-Authorization: {}\r\n", value.0),
        None => String::new(),
    };
    format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n{authorization}\r\n")
}

fn refusal(answer: &Answer, tunnel: &Tunnel) -> String {
    let hint = match (answer.status, &tunnel.authorization) {
        (407, None) => "; it asks for user and password, put them into its URL: \"http://user:password@host:port\"",
        // 401 is the server's word for it, and tinyproxy's.
        (401 | 407, Some(_)) => "; it did not accept the user and password of its URL",
        _ => "",
    };
    let reason = if answer.reason.is_empty() { String::new() } else { format!(" {}", answer.reason) };
    format!("the proxy refused CONNECT: {}{reason}{hint}", answer.status)
}

#[cfg(test)]
mod tests;
