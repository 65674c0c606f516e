//! Moves one connection: its socket, its actions and the time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::behaviour::Action;
use super::connection::{Connection, End};

/// How long the client's last bytes are read before a socket is closed: closed with bytes unread, it would reset the
/// connection and take what was written with it.
const LINGER: Duration = Duration::from_secs(1);

/// Serves until one side ends it; says who did, and how.
pub(super) async fn serve(
    mut socket: TcpStream,
    mut connection: Connection,
    mut actions: mpsc::Receiver<Action>,
) -> &'static str {
    let _ = socket.set_nodelay(true);
    let opened = Instant::now();
    let mut buffer = vec![0; 64 << 10];
    loop {
        connection.on_time(opened.elapsed());
        match connection.end {
            Some(End::Abort) => {
                let _ = socket.set_zero_linger();
                return "aborted by the server";
            }
            Some(End::Close) if connection.output().is_empty() => {
                close(socket, &mut buffer).await;
                return "closed by the server";
            }
            _ => {}
        }
        let deadline = connection.next_deadline(opened.elapsed());
        let (mut reader, mut writer) = socket.split();
        tokio::select! {
            biased;
            Some(action) = actions.recv() => connection.on_action(&action, opened.elapsed()),
            written = writer.write(connection.output()), if !connection.output().is_empty() => match written {
                Ok(length) => connection.on_written(length),
                Err(_) => return "aborted by the client",
            },
            read = reader.read(&mut buffer), if connection.reads => match read {
                Ok(0) => return "closed by the client",
                Ok(length) => connection.on_bytes(&buffer[..length], opened.elapsed()),
                Err(_) => return "aborted by the client",
            },
            () = tokio::time::sleep_until(opened + deadline.unwrap_or_default()), if deadline.is_some() => {}
        }
    }
}

async fn close(mut socket: TcpStream, buffer: &mut [u8]) {
    let _ = socket.shutdown().await;
    let to_the_end = async { while socket.read(buffer).await.is_ok_and(|length| length > 0) {} };
    let _ = tokio::time::timeout(LINGER, to_the_end).await;
}
