//! The proxy between a client and a server that are plain sockets.

#![allow(clippy::disallowed_methods, reason = "a test is a host with a runtime of its own")]

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use linkspan_faults::proxy::Proxy;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far beyond what any test takes, so that only a hang meets it.
const GUARD: Duration = Duration::from_secs(60);

struct World {
    server: TcpListener,
    proxy: Proxy,
}

fn run(test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let guarded = async {
        tokio::time::timeout(GUARD, async {
            let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let proxy = Proxy::start(0, server.local_addr().expect("an address")).await.expect("a port");
            test(World { server, proxy }).await;
        })
        .await
    };
    tokio::task::LocalSet::new().block_on(&runtime, guarded).expect("the test waits for something that does not come");
}

impl World {
    async fn obeyed(&self, command: Value) -> Value {
        self.proxy.obey(command).await.expect("obeyed")
    }

    /// A connection through the proxy: the client's end and the server's.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.address()).await.expect("connected");
        let (server, _) = self.server.accept().await.expect("a connection");
        (client, server)
    }

    async fn connections(&self) -> Value {
        self.obeyed(json!({ "ask": "counts" })).await["connections"].clone()
    }
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.expect("written");
    let mut read = vec![0; bytes.len()];
    to.read_exact(&mut read).await.expect("read");
    assert_eq!(read, bytes);
}

#[test]
fn bytes_pass_both_ways_and_an_end_in_order_too() {
    run(async |world| {
        let (mut client, mut server) = world.connect().await;
        pass(&mut client, &mut server, b"there").await;
        pass(&mut server, &mut client, b"and back").await;
        client.shutdown().await.expect("the end said");
        assert_eq!(server.read(&mut [0]).await.expect("an end in order"), 0);
        pass(&mut server, &mut client, b"still").await;
        drop(server);
        assert_eq!(client.read(&mut [0]).await.expect("an end in order"), 0);
        let counted = world.connections().await[0].clone();
        assert_eq!((&counted["from_client"], &counted["to_server"]), (&json!(5), &json!(5)));
        assert_eq!((&counted["from_server"], &counted["to_client"]), (&json!(13), &json!(13)));
    });
}

#[test]
fn a_reset_passes_as_a_reset() {
    run(async |world| {
        let (mut client, server) = world.connect().await;
        server.set_zero_linger().expect("set");
        drop(server);
        assert_eq!(client.read(&mut [0]).await.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_black_hole_takes_everything_and_gives_nothing() {
    run(async |world| {
        let (mut client, mut server) = world.connect().await;
        world.obeyed(json!({ "do": "black_hole" })).await;
        let (mut second, mut its_server) = world.connect().await;
        pass(&mut second, &mut its_server, b"new connections are none of it").await;
        // More than the kernel would keep: somebody takes it.
        client.write_all(&vec![0; 32 << 20]).await.expect("taken");
        // Its end is not told either.
        drop(server.write_all(b"lost").await);
        server.shutdown().await.expect("the end said");
        while world.connections().await[0]["from_client"] != json!(32 << 20) {
            tokio::task::yield_now().await;
        }
        let told = tokio::time::timeout(Duration::from_millis(200), client.read(&mut [0])).await;
        told.expect_err("the client hears nothing");
        assert_eq!(world.connections().await[0]["to_server"], 0);
        drop(client);
        while world.connections().await[0]["ended_ms"].is_null() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_black_hole_for_new_connections_ends_with_heal() {
    run(async |world| {
        world.obeyed(json!({ "do": "black_hole", "new": true })).await;
        let mut client = TcpStream::connect(world.proxy.address()).await.expect("accepted");
        client.write_all(b"lost").await.expect("taken");
        while world.connections().await[0]["from_client"] != 4 {
            tokio::task::yield_now().await;
        }
        world.obeyed(json!({ "do": "heal" })).await;
        let (mut second, mut server) = world.connect().await;
        pass(&mut second, &mut server, b"healed").await;
        assert_eq!(world.connections().await[0]["to_server"], 0);
    });
}

#[test]
fn connections_are_cut_in_order_or_by_a_reset() {
    run(async |world| {
        for how in ["fin", "rst"] {
            let (mut client, mut server) = world.connect().await;
            pass(&mut client, &mut server, b"here").await;
            world.obeyed(json!({ "do": "cut", "how": how })).await;
            let ended = client.read(&mut [0]).await;
            match how {
                "fin" => assert_eq!(ended.expect("an end in order"), 0),
                _ => assert_eq!(ended.expect_err("a reset").kind(), ErrorKind::ConnectionReset),
            }
            drop(client);
            let _ = server.read(&mut [0]).await;
        }
    });
}

#[test]
fn new_connections_are_refused_by_the_kernel_or_reset_and_counted() {
    run(async |world| {
        let address = world.proxy.address();
        world.obeyed(json!({ "do": "refuse", "how": "closed" })).await;
        assert_eq!(TcpStream::connect(address).await.expect_err("refused").kind(), ErrorKind::ConnectionRefused);
        world.obeyed(json!({ "do": "refuse", "how": "reset" })).await;
        let mut client = TcpStream::connect(address).await.expect("accepted");
        assert_eq!(client.read(&mut [0]).await.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
        assert_eq!(world.connections().await[0]["was_reset"], true);
        world.obeyed(json!({ "do": "heal" })).await;
        let (mut client, mut server) = world.connect().await;
        pass(&mut client, &mut server, b"healed").await;
    });
}

/// A wait has a lower bound that no slow machine breaks.
#[test]
fn a_delay_holds_every_byte_back_and_a_throttle_spreads_them() {
    run(async |world| {
        let (mut client, mut server) = world.connect().await;
        world.obeyed(json!({ "do": "delay", "ms": 50 })).await;
        let started = Instant::now();
        pass(&mut client, &mut server, b"slow").await;
        pass(&mut server, &mut client, b"slow").await;
        assert!(started.elapsed() >= Duration::from_millis(100));
        world.obeyed(json!({ "do": "heal" })).await;

        world.obeyed(json!({ "do": "throttle", "bytes_per_second": 10_000 })).await;
        let started = Instant::now();
        pass(&mut client, &mut server, &[7; 2_000]).await;
        // The last part waits for nothing.
        assert!(started.elapsed() >= Duration::from_millis(170));
    });
}

#[test]
fn a_command_that_means_nothing_is_an_error() {
    run(async |world| {
        for command in [json!(5), json!({ "do": "dance" }), json!({ "do": "cut", "how": "gently" })] {
            world.proxy.obey(command.clone()).await.expect_err(&command.to_string());
        }
    });
}
