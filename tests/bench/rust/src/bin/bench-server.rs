//! The echo server every client is measured against. It prints its addresses and serves until its standard input closes.

use std::error::Error;
use std::io::{Read, Write};

use linkspan_bench::server::{Mode, certificate, serve};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (acceptor, pem) = certificate()?;
    let folder = tempfile::tempdir()?;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem)?;

    let listen = || TcpListener::bind(("127.0.0.1", 0));
    let (echo, stream, tls) = (listen().await?, listen().await?, listen().await?);
    let addresses = serde_json::json!({
        "echo": echo.local_addr()?.to_string(),
        "stream": stream.local_addr()?.to_string(),
        "tls": tls.local_addr()?.to_string(),
        "ca": ca,
    });
    let mut output = std::io::stdout();
    writeln!(output, "{addresses}")?;
    output.flush()?;

    tokio::select! {
        served = serve(echo, Mode::Echo, None) => served?,
        served = serve(stream, Mode::Stream, None) => served?,
        served = serve(tls, Mode::Echo, Some(acceptor)) => served?,
        () = input_closes() => {}
    }
    Ok(())
}

/// The runner that started it has gone.
async fn input_closes() {
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    #[expect(
        clippy::disallowed_methods,
        reason = "a program of its own, and standard input can only be waited for by a thread"
    )]
    std::thread::spawn(move || {
        let mut input = [0; 64];
        while std::io::stdin().read(&mut input).is_ok_and(|count| count > 0) {}
        let _ = gone.send(());
    });
    let _ = is_gone.await;
}
