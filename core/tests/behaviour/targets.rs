//! Where each kind of target leads, and what the server is told of it.

use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener as StdUnixListener, UnixStream as StdUnixStream};

use linkspan_core::{Channel, ChannelOptions, Code, Credentials};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::peer::client::{call, failure, response};
use crate::peer::run;
use crate::peer::server::{Connection, Server};

pub(crate) fn channel_to(target: &str) -> Channel {
    Channel::new(target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel")
}

/// A listener with a name in the abstract namespace that nobody else has.
pub(crate) fn listen_abstractly(name: &[u8]) -> UnixListener {
    let address = UnixAddress::from_abstract_name(name).expect("a name");
    let listener = StdUnixListener::bind_addr(&address).expect("nobody has it");
    listener.set_nonblocking(true).expect("a socket");
    UnixListener::from_std(listener).expect("a runtime")
}

fn skipped(what: &str) {
    // Past the test harness, which keeps what a test that passes prints, and on a line of its own.
    let _ = write!(std::io::stderr(), "\nskipped: {what}\n");
}

/// [NAME-5], [NAME-24], [NAME-33]
#[test]
fn an_abstract_name_of_any_bytes_carries_calls() {
    run(async {
        let process = std::process::id();
        let listener = listen_abstractly(format!("linkspan/{process}\0 \u{ff}").as_bytes());
        let target = format!("unix-abstract:linkspan/{process}%00%20%C3%BF");
        let channel = channel_to(&target);
        let call = call(&channel);
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), "localhost");
        request.answer(b"over a name");
        let response = response(call).await;
        assert_eq!(response.message, "over a name");
        assert_eq!(&*response.peer, target);
    });
}

/// [NAME-24]
#[test]
fn an_abstract_name_that_nobody_has_is_told() {
    run(async {
        let target = format!("unix-abstract:linkspan/{}/nobody", std::process::id());
        let failure = failure(call(&channel_to(&target)), Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.contains(&target) && text.contains("Connection refused"), "{text}");
    });
}

/// [NAME-24], [NAME-31]
#[test]
fn a_name_is_passed_through_and_every_address_it_has_is_dialed() {
    run(async {
        let server = Server::start();
        let port = server.address().rsplit(':').next().expect("a port").to_owned();
        // Often ::1 as well, where nobody listens.
        let channel = channel_to(&format!("passthrough:///localhost:{port}"));
        let call = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority").as_str(), format!("localhost:{port}"));
        request.answer(b"");
        assert_eq!(&*response(call).await.peer, format!("localhost:{port}"));
        assert_eq!(channel.metrics().connect_failures, 0);
    });
}

/// [NAME-21]: it is an address that cannot be connected, not a name that cannot be resolved.
#[test]
fn a_name_that_is_passed_through_and_does_not_exist_fails_to_connect() {
    run(async {
        let channel = channel_to("passthrough:///nobody.invalid:1");
        let failure = failure(call(&channel), Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("failed to connect to all addresses") && text.contains("nobody.invalid:1"), "{text}");
        assert_eq!(channel.metrics().connect_failures, 1);
    });
}

/// [NAME-10]
#[test]
fn a_zone_may_be_an_interfaces_name() {
    let Some((ip, number, name)) = link_local() else {
        return skipped("no network interface here has a link-local address");
    };
    run(async {
        let listener = TcpListener::bind(SocketAddrV6::new(ip, 0, 0, number)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        for target in [
            format!("ipv6:[{ip}%25{name}]:{port}"),
            format!("dns:///[{ip}%{name}]:{port}"),
            format!("[{ip}%{number}]:{port}"),
        ] {
            let call = call(&channel_to(&target));
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
            let request = connection.request().await;
            assert_eq!(request.head.uri.authority().expect("an authority").as_str(), format!("[{ip}]:{port}"));
            request.answer(b"");
            response(call).await;
        }
    });
}

/// The first link-local address of this machine, and the interface it belongs to.
fn link_local() -> Option<(Ipv6Addr, u32, String)> {
    let list = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    list.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ip = Ipv6Addr::from(u128::from_str_radix(fields.first()?, 16).ok()?);
        let number = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        ip.is_unicast_link_local().then_some((ip, number, (*fields.get(5)?).to_owned()))
    })
}

/// [NAME-24], [NAME-33]
#[test]
fn a_vsock_carries_calls() {
    const OF_THIS_MACHINE: u32 = 1;
    const ANY_PORT: u32 = u32::MAX;
    let bound = Socket::new(Domain::VSOCK, Type::STREAM, None).and_then(|socket| {
        socket.bind(&SockAddr::vsock(OF_THIS_MACHINE, ANY_PORT))?;
        socket.listen(1)?;
        Ok(socket)
    });
    let listener = match bound {
        Ok(listener) => listener,
        Err(cause) => return skipped(&format!("this kernel has no vsock within the machine (CID 1): {cause}")),
    };
    let address = listener.local_addr().expect("bound").as_vsock_address();
    let target = format!("vsock:1:{}", address.expect("a vsock address").1);
    run(async {
        let call = call(&channel_to(&target));
        let accepting = tokio::task::spawn_blocking(move || listener.accept());
        let (stream, _) = accepting.await.expect("no panic").expect("a connection");
        stream.set_nonblocking(true).expect("a socket");
        let stream = UnixStream::from_std(StdUnixStream::from(stream)).expect("a runtime");
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), "localhost");
        request.answer(b"over vsock");
        let response = response(call).await;
        assert_eq!((&*response.message, &*response.peer), (&b"over vsock"[..], &*target));
    });
}

/// What Linux has no way to is told at once: the machine that asks for CID 4294967295 asks for no machine.
#[test]
fn a_vsock_that_leads_nowhere_is_told() {
    run(async {
        let failure = failure(call(&channel_to("vsock:4294967295:1")), Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.contains("vsock:4294967295:1: ") && text.contains("os error"), "{text}");
    });
}
