//! Names that no resolver has seen: they are looked up each time they are dialed.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::dial::tcp;
use super::socket::TokioSocket;
use crate::runtime::{SocketOptions, names};

/// An address that says nothing for this long is joined by the next ([CONN-62]).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Looks a host up and dials what is found, in order, until one takes the connection. What fails or is slow is followed by the next; the
/// first to open wins and the others are dropped. An error tells of every address.
pub(super) async fn dial(host: &str, port: u16, options: SocketOptions) -> io::Result<TokioSocket> {
    let found = names::look_up(host, port).await.map_err(|cause| not_found(host, &cause))?;
    first_of(found, options).await
}

async fn first_of(found: Vec<SocketAddr>, options: SocketOptions) -> io::Result<TokioSocket> {
    let mut attempts = Attempts { waiting: found.into(), running: Vec::new(), failed: Vec::new(), options };
    while attempts.start_next() {
        tokio::select! {
            biased;
            opened = attempts.one_ends() => {
                if let Some(socket) = opened {
                    return Ok(socket);
                }
            }
            () = delay(), if !attempts.waiting.is_empty() => {}
        }
    }
    Err(io::Error::other(attempts.failed.join("; ")))
}

fn not_found(host: &str, cause: &io::Error) -> io::Error {
    io::Error::other(match host.split_once('%') {
        Some((_, zone)) => format!("{cause}; is there a network interface {zone:?}?"),
        None => cause.to_string(),
    })
}

async fn delay() {
    #[expect(clippy::disallowed_methods, reason = "this is the driver")]
    tokio::time::sleep(ATTEMPT_DELAY).await;
}

struct Attempts {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, Opening)>,
    /// The addresses that failed, and how.
    failed: Vec<String>,
    options: SocketOptions,
}

type Opening = Pin<Box<dyn Future<Output = io::Result<TokioSocket>>>>;

impl Attempts {
    /// Whether there is anything to wait for.
    fn start_next(&mut self) -> bool {
        if let Some(address) = self.waiting.pop_front() {
            self.running.push((address, Box::pin(tcp(address, self.options))));
        }
        !self.running.is_empty()
    }

    /// The socket of the attempt that ends next; `None` if it failed.
    async fn one_ends(&mut self) -> Option<TokioSocket> {
        poll_fn(|cx| {
            for at in 0..self.running.len() {
                let (address, opening) = &mut self.running[at];
                if let Poll::Ready(outcome) = opening.as_mut().poll(cx) {
                    let address = *address;
                    drop(self.running.swap_remove(at));
                    let note = |cause| self.failed.push(format!("{address}: {cause}"));
                    return Poll::Ready(outcome.map_err(note).ok());
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::Socket as _;
    use crate::runtime::tokio::TokioDriver;

    /// Runs this on a loop of its own.
    fn on_loop<T: Send + 'static, F: Future<Output = T>>(body: impl FnOnce() -> F + Send + 'static) -> T {
        let (sender, outcome) = mpsc::sync_channel(1);
        let thread = TokioDriver::run_on_thread("test", move |_| async move {
            sender.send(body().await).expect("waited for");
        });
        thread.expect("a thread").join().expect("no panic");
        outcome.recv().expect("told")
    }

    fn loopback(last: u8, port: u16) -> SocketAddr {
        (Ipv4Addr::new(127, 0, 0, last), port).into()
    }

    async fn first_of(addresses: Vec<SocketAddr>) -> Result<Option<SocketAddr>, String> {
        let opened = super::first_of(addresses, SocketOptions::default()).await;
        opened.map(|socket| socket.local_address()).map_err(|cause| cause.to_string())
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next() {
        let server = TcpListener::bind(loopback(1, 0)).expect("a port");
        let port = server.local_addr().expect("bound").port();
        // Nobody listens on the port at the other address of this machine.
        let opened = on_loop(move || first_of(vec![loopback(2, port), loopback(1, port)]));
        assert!(opened.expect("one takes it").is_some());
    }

    #[test]
    fn when_every_address_refuses_each_is_told() {
        let server = TcpListener::bind(loopback(1, 0)).expect("a port");
        let port = server.local_addr().expect("bound").port();
        let told = on_loop(move || first_of(vec![loopback(2, port), loopback(3, port)])).expect_err("nobody is there");
        assert!(told.starts_with(&format!("127.0.0.2:{port}: Connection refused")), "{told}");
        assert!(told.contains(&format!("; 127.0.0.3:{port}: Connection refused")), "{told}");
    }

    /// [NAME-10]
    #[test]
    fn an_interface_that_is_not_there_is_asked_for() {
        let dialed = on_loop(|| async { dial("fe80::1%nosuch0", 1, SocketOptions::default()).await.map(drop) });
        let told = dialed.expect_err("no such interface").to_string();
        assert!(told.contains("is there a network interface \"nosuch0\"?"), "{told}");
    }
}
