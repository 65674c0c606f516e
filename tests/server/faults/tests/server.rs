//! The server over real sockets: a library's client is served, and what only a socket shows.

#![allow(clippy::disallowed_methods, reason = "a test is a host with a runtime of its own")]

use std::time::Duration;

use bytes::Bytes;
use linkspan_faults::server::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far beyond what any test takes, so that only a hang meets it.
const GUARD: Duration = Duration::from_secs(60);

fn run(test: impl AsyncFnOnce(Server)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let guarded =
        async { tokio::time::timeout(GUARD, async { test(Server::start(0, "me").expect("a port")).await }).await };
    tokio::task::LocalSet::new().block_on(&runtime, guarded).expect("the test waits for something that does not come");
}

async fn obeyed(server: &Server, command: Value) -> Value {
    server.obey(command).await.expect("obeyed")
}

type Caller = h2::client::SendRequest<Bytes>;

async fn connect(server: &Server) -> (Caller, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let socket = TcpStream::connect(server.address()).await.expect("connected");
    let (caller, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    (caller, tokio::task::spawn_local(connection))
}

/// UnaryCall with SimpleRequest { response_size: `size` }: the bytes of the response and its grpc-status.
async fn unary(caller: &Caller, size: u8) -> Result<(usize, String), h2::Error> {
    let mut caller = caller.clone().ready().await?;
    let request = http::Request::post("http://me/grpc.testing.TestService/UnaryCall").body(()).expect("a request");
    let (response, mut body) = caller.send_request(request, false)?;
    body.send_data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 0x10, size]), true)?;
    let mut body = response.await?.into_body();
    let mut length = 0;
    while let Some(chunk) = body.data().await {
        length += chunk?.len();
    }
    let trailers = body.trailers().await?.expect("trailers");
    Ok((length, trailers["grpc-status"].to_str().expect("text").to_owned()))
}

#[test]
fn a_librarys_client_is_served() {
    run(async |server| {
        let (caller, _connection) = connect(&server).await;
        for size in [0, 1, 100] {
            let (length, status) = unary(&caller, size).await.expect("a response");
            assert!(length >= usize::from(size) + 5);
            assert_eq!(status, "0");
        }
        assert_eq!(obeyed(&server, json!({ "ask": "counts" })).await["calls"], json!({ "UnaryCall": 3 }));
    });
}

#[test]
fn a_refused_stream_and_a_goaway_reach_a_librarys_client() {
    run(async |server| {
        let (caller, connection) = connect(&server).await;
        let refusal = json!({ "at": "start", "then": { "reset": 7 }, "first": 1 });
        obeyed(&server, json!({ "set": { "calls": [refusal] } })).await;
        let refused = unary(&caller, 1).await.expect_err("a refusal");
        assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM));
        assert_eq!(unary(&caller, 1).await.expect("a response").1, "0");
        let told = obeyed(&server, json!({ "do": "goaway", "code": 11, "debug": "calm", "closes": true })).await;
        assert_eq!(told["connections"], 1);
        let ended = connection.await.expect("no panic").expect_err("GOAWAY");
        assert_eq!(ended.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    });
}

#[test]
fn a_shutdown_lets_calls_end_and_the_port_is_taken_again() {
    run(async |server| {
        let (caller, _connection) = connect(&server).await;
        obeyed(&server, json!({ "set": { "answer_after_ms": 50 } })).await;
        let (shut_down, called) = tokio::join!(
            async {
                while obeyed(&server, json!({ "ask": "counts" })).await["open_calls"] == 0 {
                    tokio::task::yield_now().await;
                }
                obeyed(&server, json!({ "shutdown": 30_000 })).await
            },
            unary(&caller, 1),
        );
        assert_eq!((shut_down, called.expect("a response").1), (json!({}), "0".to_owned()));
        TcpStream::connect(server.address()).await.expect_err("nobody listens");
        let counts = obeyed(&server, json!({ "ask": "counts" })).await;
        assert_eq!(counts["connections"][0]["goaways"], json!([[0, "graceful"], [0, "graceful"]]));
        obeyed(&server, json!({ "listen": true })).await;
        assert_eq!(unary(&connect(&server).await.0, 1).await.expect("a response").1, "0");
    });
}

#[test]
fn a_shutdown_ends_by_force_who_does_not_leave() {
    run(async |server| {
        obeyed(&server, json!({ "set": { "answer_after_ms": 3_600_000 } })).await;
        let (caller, _connection) = connect(&server).await;
        let called = tokio::task::spawn_local(async move { unary(&caller, 1).await });
        while obeyed(&server, json!({ "ask": "counts" })).await["open_calls"] == 0 {
            tokio::task::yield_now().await;
        }
        obeyed(&server, json!({ "shutdown": 10 })).await;
        called.await.expect("no panic").expect_err("the connection was reset");
    });
}

/// What is read from a new connection until its end, and how it ended.
async fn arrival(server: &Server, arrival: &str) -> std::io::Result<usize> {
    obeyed(server, json!({ "set": { "arrival": arrival } })).await;
    let mut socket = TcpStream::connect(server.address()).await?;
    let _ = socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    if arrival == "ignore" {
        socket.shutdown().await?;
    }
    socket.read_to_end(&mut Vec::new()).await
}

#[test]
fn a_new_connection_may_be_closed_reset_or_ignored() {
    run(async |server| {
        assert_eq!(arrival(&server, "close").await.expect("an end in order"), 0);
        let reset = arrival(&server, "abort").await.expect_err("a reset");
        assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(arrival(&server, "ignore").await.expect("an end in order"), 0);
        let counts = obeyed(&server, json!({ "ask": "counts" })).await;
        let ends: Vec<_> = (0..2).map(|id| counts["connections"][id]["ended_by"].clone()).collect();
        assert_eq!(ends, ["closed by the server", "aborted by the server"]);
        assert!(counts["connections"][2]["bytes_read"].as_u64() > Some(24), "{counts}");
    });
}

#[test]
fn a_connection_that_does_not_read_fills_up() {
    run(async |server| {
        let mut socket = TcpStream::connect(server.address()).await.expect("connected");
        // The server's SETTINGS: it has the connection.
        socket.read_exact(&mut [0; 9]).await.expect("SETTINGS");
        obeyed(&server, json!({ "do": "stall", "reads": false, "connection": 0 })).await;
        // Once it has obeyed, what is written stays in the kernel's buffers until no more fits.
        let chunk = vec![0; 1 << 20];
        let full =
            async { while tokio::time::timeout(Duration::from_secs(1), socket.write_all(&chunk)).await.is_ok() {} };
        full.await;
        let read = obeyed(&server, json!({ "ask": "counts" })).await["connections"][0]["bytes_read"].clone();
        assert!(read.as_u64() < Some(1 << 20), "{read}");
    });
}

#[test]
fn a_command_that_means_nothing_is_an_error() {
    run(async |server| {
        for command in
            [json!(5), json!({ "do": "dance" }), json!({ "set": { "age": 5 } }), json!({ "do": "bytes", "hex": "0" })]
        {
            server.obey(command.clone()).await.expect_err(&command.to_string());
        }
    });
}
