//! What it takes to open a socket to an address.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use super::socket::TokioSocket;
use crate::address::Address;
use crate::runtime::SocketOptions;

/// Opens a socket to this address.
pub(super) async fn dial(address: Address, options: SocketOptions) -> io::Result<TokioSocket> {
    match address {
        Address::Inet(address) => {
            let socket = open(Domain::for_address(address), Some(Protocol::TCP))?;
            socket.set_tcp_nodelay(true)?;
            let socket = TokioSocket::connect(socket, &address.into()).await?;
            set_user_timeout(&socket, options.tcp_user_timeout);
            Ok(socket)
        }
        Address::Unix(path) => {
            let socket = open(Domain::UNIX, None)?;
            TokioSocket::connect(socket, &SockAddr::unix(path)?).await
        }
    }
}

/// [CONN-105]. A kernel that knows no such option does without.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(socket: &impl AsFd, timeout: Option<Duration>) {
    if timeout.is_some() {
        let _ = SockRef::from(socket).set_tcp_user_timeout(timeout);
    }
}
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_: &impl AsFd, _: Option<Duration>) {}

/// A socket that does not block and that no program started from here inherits.
fn open(domain: Domain, protocol: Option<Protocol>) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Driver;
    use crate::runtime::tokio::TokioDriver;
    use std::sync::mpsc;

    /// TCP_NODELAY and TCP_USER_TIMEOUT of a socket opened with these options, as the kernel has them.
    fn opened_with(options: SocketOptions) -> (bool, Option<Duration>) {
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = Address::Inet(server.local_addr().expect("bound"));
        let (sender, opened) = mpsc::sync_channel(1);
        let thread = TokioDriver::run_on_thread("test", move |driver| async move {
            let socket = driver.connect(&address, options).await.expect("a server listens");
            let socket = SockRef::from(&socket);
            let seen = (socket.tcp_nodelay().expect("told"), socket.tcp_user_timeout().expect("told"));
            sender.send(seen).expect("waited for");
        });
        thread.expect("a thread").join().expect("no panic");
        opened.recv().expect("told")
    }

    /// [CONN-105], [CONN-106], [CONN-44]
    #[test]
    fn a_socket_sends_at_once_and_has_the_user_timeout_that_was_asked_for() {
        assert_eq!(opened_with(SocketOptions::default()), (true, None));
        let timeout = Some(Duration::from_millis(12_345));
        assert_eq!(opened_with(SocketOptions { tcp_user_timeout: timeout }), (true, timeout));
    }
}
