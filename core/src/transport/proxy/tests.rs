use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::address::{Address, ProxyAuthorization};
use crate::observe::counters::ChannelCounters;
use crate::observe::log::names::ChannelName;
use crate::runtime::simulated::SimulatedDriver;
use crate::runtime::{Driver, SocketOptions};
use crate::transport::dial::{ConnectionOptions, DialSettings, dial, first_step};

const OK: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn tunnel(authorization: Option<&str>) -> Tunnel {
    Tunnel {
        proxy: ([10, 0, 0, 9], 3128).into(),
        destination: "svc.example:443".into(),
        authorization: authorization.map(|value| ProxyAuthorization(value.into())),
    }
}

/// A proxy that takes one request and answers with these pieces, each after a pause, and then closes or stays silent.
async fn serve(
    driver: SimulatedDriver,
    mut socket: <SimulatedDriver as Driver>::Socket,
    pieces: Vec<Vec<u8>>,
    closes: bool,
) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert!(socket.read_buf(&mut request).await.expect("a client") > 0, "the client closed");
    }
    for piece in pieces {
        driver.sleep_until(driver.now() + Duration::from_millis(50)).await;
        // The client may have gone.
        let _ = socket.write_all(&piece).await;
    }
    if !closes {
        std::future::pending::<()>().await;
    }
    request
}

/// Runs `client` in a world with a proxy that answers in these pieces.
fn with_proxy<T: 'static, F: Future<Output = T> + 'static>(
    pieces: Vec<Vec<u8>>,
    closes: bool,
    client: impl FnOnce(SimulatedDriver) -> F + 'static,
) -> T {
    let made = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&made);
    let outcome = SimulatedDriver::run(1, |driver| async move {
        let listener = driver.network().listen(&Address::Inet(tunnel(None).proxy));
        let proxy = driver.clone();
        driver.spawn(async move {
            let socket = listener.accept().await;
            serve(proxy, socket, pieces, closes).await;
        });
        let value = client(driver).await;
        *slot.borrow_mut() = Some(value);
    });
    outcome.expect("an end");
    made.take().expect("made")
}

/// Asks a proxy that answers in these pieces, and reads what the tunnel has until it ends.
fn asked(authorization: Option<&'static str>, pieces: &[&str]) -> Result<String, String> {
    let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    with_proxy(pieces, true, move |driver| async move {
        let tunnel = tunnel(authorization);
        let address = Address::Tunnel(Box::new(tunnel.clone()));
        let socket = driver.connect(&address, SocketOptions::default()).await.expect("open");
        let mut stream = connect(socket, &tunnel).await?;
        let mut read = String::new();
        // One byte at a time, so that what came early is not read at once.
        while let Ok(byte) = stream.read_u8().await {
            read.push(char::from(byte));
        }
        Ok(read)
    })
}

/// [CONN-175], [CONN-176]
#[test]
fn the_request_names_the_destination_and_nothing_else_but_what_the_proxy_asks_for() {
    assert_eq!(request(&tunnel(None)), "CONNECT svc.example:443 HTTP/1.1\r\nHost: svc.example:443\r\n\r\n");
    assert_eq!(
        request(&tunnel(Some("Basic dTpw"))),
        "CONNECT svc.example:443 HTTP/1.1\r\nHost: svc.example:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    );
}

/// [CONN-176]
#[test]
fn bytes_after_a_success_are_the_tunnels_however_they_come() {
    let glued = format!("{OK}early");
    let letters: Vec<String> = format!("{OK}early and late").chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    for (pieces, read) in [
        (&[OK][..], ""),
        (&[&glued], "early"),
        (&[&glued, " and late"], "early and late"),
        (&[OK, "late"], "late"),
        (&letters, "early and late"),
        (&["HTTP/1.1 100 Continue\r\n\r\n", &glued], "early"),
        (&["HTTP/1.0 204 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"], "5\r\n"),
    ] {
        assert_eq!(asked(None, pieces), Ok(read.to_owned()), "{pieces:?}");
    }
}

/// [CONN-172], [CONN-176]
#[test]
fn any_other_answer_is_told_with_its_reason_and_what_a_407_wants() {
    let wanted = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
    for (authorization, answer, told) in [
        (None, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "the proxy refused CONNECT: 403 Forbidden"),
        (None, "HTTP/1.1 502\r\n\r\n", "the proxy refused CONNECT: 502"),
        (None, "HTTP/1.1 301 Moved\r\nLocation: x\r\n\r\n", "the proxy refused CONNECT: 301 Moved"),
        (
            None,
            wanted,
            "the proxy refused CONNECT: 407 Proxy Authentication Required; it asks for user and password, put them into its URL: \"http://user:password@host:port\"",
        ),
        (
            Some("Basic c2VjcmV0"),
            "HTTP/1.0 401 Unauthorized\r\n\r\n",
            "the proxy refused CONNECT: 401 Unauthorized; it did not accept the user and password of its URL",
        ),
        (None, "HTTP/1.0 401 Unauthorized\r\n\r\n", "the proxy refused CONNECT: 401 Unauthorized"),
        (
            Some("Basic c2VjcmV0"),
            wanted,
            "the proxy refused CONNECT: 407 Proxy Authentication Required; it did not accept the user and password of its URL",
        ),
    ] {
        assert_eq!(asked(authorization, &[answer]), Err(told.to_owned()));
    }
}

#[test]
fn a_proxy_that_closes_before_its_answer_has_ended_fails_the_attempt() {
    let told = Err("the proxy closed the connection before it had answered CONNECT".to_owned());
    for pieces in [&[][..], &["HTT"], &["HTTP/1.1 200 OK\r\n"], &["HTTP/1.1 100 Continue\r\n\r\n"]] {
        assert_eq!(asked(None, pieces), told, "{pieces:?}");
    }
}

/// What a dial tells that has five seconds, and how long it took.
fn dialed(pieces: Vec<Vec<u8>>) -> (String, Duration) {
    with_proxy(pieces, false, |driver| async move {
        let address = Address::Tunnel(Box::new(tunnel(None)));
        dial_for_five_seconds(&driver, &address).await
    })
}

async fn dial_for_five_seconds(driver: &SimulatedDriver, address: &Address) -> (String, Duration) {
    let options = ConnectionOptions {
        local: None,
        tls: None,
        server_name: "svc.example".into(),
        socket: SocketOptions::default(),
        stream_window: 1 << 16,
        max_stream_window: 1 << 16,
        connection_window: 1 << 16,
        max_requests: None,
        keepalive: None,
        liveness: None,
    };
    let name = Arc::new(ChannelName { id: 1, target: "proxied".into() });
    let settings = DialSettings::new(name, Arc::new(options), Arc::new(ChannelCounters::default()));
    let started = driver.now();
    let (deadline, step) = (started + Duration::from_secs(5), Cell::new(first_step(address)));
    let outcome = dial(driver, 1, address, &settings, &Rc::default(), deadline, &step).await;
    (outcome.err().expect("no server is there"), driver.now().since(started))
}

/// [CONN-41]
#[test]
fn a_proxy_that_is_slow_or_never_ends_its_answer_is_given_up_at_the_attempts_deadline() {
    let told = "timed out after 5.0 s waiting for the proxy's answer to CONNECT";
    let drip: Vec<Vec<u8>> = format!("{OK}{}", "x".repeat(500)).bytes().map(|byte| vec![byte]).collect();
    for pieces in [vec![], vec![b"HTTP/1.1 200 OK\r\n".to_vec()], drip[..20].to_vec()] {
        assert_eq!(dialed(pieces), (told.to_owned(), Duration::from_secs(5)));
    }
    // Behind a tunnel that is open the server is waited for.
    let told = "timed out after 5.0 s waiting for the server's HTTP/2 SETTINGS";
    assert_eq!(dialed(vec![OK.into()]), (told.to_owned(), Duration::from_secs(5)));
}

#[test]
fn what_is_no_proxy_and_what_never_comes_to_an_end_fail_at_once() {
    let endless = b"X-Header: x\r\n".repeat(2_000);
    for (answer, told) in [
        (b"\0\0\0\x04\0\0\0\0\0".to_vec(), "is not HTTP/1: \"\\x00\\x00\\x00\\x04\\x00\\x00\\x00\\x00\\x00\""),
        (b"220 mail.example ESMTP\r\n".to_vec(), "is not HTTP/1: \"220 mail.example ESMTP\""),
        ([b"HTTP/1.1 200 OK\r\n", &endless[..]].concat(), "is longer than 16384 bytes or 256 lines"),
    ] {
        let (failure, took) = dialed(vec![answer]);
        assert_eq!(failure, format!("the proxy's answer to CONNECT {told}"));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told_to_be_the_proxy() {
    let told = Rc::new(Cell::new(None));
    let slot = Rc::clone(&told);
    let outcome = SimulatedDriver::run(1, |driver| async move {
        let address = Address::Tunnel(Box::new(tunnel(None)));
        slot.set(Some(dial_for_five_seconds(&driver, &address).await.0));
    });
    outcome.expect("an end");
    assert_eq!(told.take().as_deref(), Some("the proxy cannot be reached: connection refused"));
}
