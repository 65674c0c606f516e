//! What it takes to open a socket to an address.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use super::lookup;
use super::socket::TokioSocket;
use crate::address::Address;
use crate::runtime::SocketOptions;

/// Opens a socket to this address.
pub(super) async fn dial(address: Address, options: SocketOptions) -> io::Result<TokioSocket> {
    match address {
        Address::Inet(address) => tcp(address, options).await,
        Address::Tunnel(tunnel) => tcp(tunnel.proxy, options).await,
        Address::Unix(path) => local(SockAddr::unix(path)?).await,
        Address::UnixAbstract(name) => local(abstract_address(&name)?).await,
        Address::Vsock { cid, port } => local(vsock_address(cid, port)?).await,
        // Boxed, because it is rare and larger than all others together.
        Address::Unresolved { host, port } => Box::pin(lookup::dial(&host, port, options)).await,
    }
}

pub(super) async fn tcp(address: SocketAddr, options: SocketOptions) -> io::Result<TokioSocket> {
    let socket = open(Domain::for_address(address), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    let socket = TokioSocket::connect(socket, &address.into()).await?;
    set_user_timeout(&socket, options.tcp_user_timeout);
    Ok(socket)
}

async fn local(address: SockAddr) -> io::Result<TokioSocket> {
    TokioSocket::connect(open(address.domain(), None)?, &address).await
}

/// A NUL and the name. Where a path cannot begin with a NUL there are no such names.
fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    if cfg!(not(any(target_os = "linux", target_os = "android"))) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let name = [b"\0", name].concat();
    SockAddr::unix(OsStr::from_bytes(&name))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
fn vsock_address(cid: u32, port: u32) -> io::Result<SockAddr> {
    Ok(SockAddr::vsock(cid, port))
}
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn vsock_address(_: u32, _: u32) -> io::Result<SockAddr> {
    Err(io::ErrorKind::Unsupported.into())
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

    /// [NAME-24]
    #[test]
    fn abstract_names_and_vsock_ports_become_what_the_kernel_takes() {
        for name in [&b"name"[..], b"\0\xff", &[b'x'; 107]] {
            let address = abstract_address(name).expect("fits");
            assert!(address.domain() == Domain::UNIX && address.as_pathname().is_none());
            assert_eq!(address.as_abstract_namespace(), Some(name));
        }
        abstract_address(&[b'x'; 108]).expect_err("does not fit");
        let address = vsock_address(2, 50_051).expect("numbers");
        assert_eq!((address.domain(), address.as_vsock_address()), (Domain::VSOCK, Some((2, 50_051))));
    }
}
