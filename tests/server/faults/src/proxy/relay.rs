//! One connection through the proxy: two streams of bytes, each with its delay and its pace.

use std::cell::RefCell;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Cut, Fate, LinkCounts, Shared};

const CHUNK_BYTES: usize = 16 << 10;
/// Chunks under way in one direction; more wait in the sender's socket, as in a long wire.
const CHUNKS_UNDER_WAY: usize = 256;
/// A slow wire writes this often rather than once a second.
const TICK: Duration = Duration::from_millis(20);

/// How long a client may take to leave after the end was said.
const LINGER: Duration = Duration::from_secs(1);

/// Relays until a side ends it or the fate of the connection is another.
pub(super) async fn run(
    mut client: TcpStream,
    shared: &Shared,
    mut fate: watch::Receiver<Fate>,
    counts: &RefCell<LinkCounts>,
) {
    let first = *fate.borrow_and_update();
    let mut server = None;
    if first == Fate::Relayed {
        let Ok(connected) = TcpStream::connect(shared.to).await else { return abort(&client) };
        let _ = (client.set_nodelay(true), connected.set_nodelay(true));
        let server = server.insert(connected);
        let ended = tokio::select! {
            biased;
            _ = fate.wait_for(|fate| *fate != Fate::Relayed) => None,
            ended = relay(&mut client, server, shared, counts) => Some(ended),
        };
        if let Some(was_in_order) = ended {
            if !was_in_order {
                abort(&client);
                abort(server);
            }
            return;
        }
    }
    end(client, server, fate, counts).await;
}

/// What becomes of a connection that is not relayed any more.
async fn end(
    mut client: TcpStream,
    server: Option<TcpStream>,
    mut fate: watch::Receiver<Fate>,
    counts: &RefCell<LinkCounts>,
) {
    let cut = tokio::select! {
        biased;
        cut = fate.wait_for(|fate| matches!(fate, Fate::Cut(_))) => cut.map(|cut| *cut).ok(),
        // The server's socket stays open beside it, unread, until the client has left.
        () = swallow(&mut client, counts) => None,
    };
    match cut {
        Some(Fate::Cut(Cut::Rst)) => {
            abort(&client);
            server.iter().for_each(abort);
        }
        Some(Fate::Cut(Cut::Fin)) => {
            let _ = client.shutdown().await;
            // Closed with bytes unread, the socket would be reset after all.
            let _ = tokio::time::timeout(LINGER, swallow(&mut client, counts)).await;
        }
        _ => {}
    }
}

/// Reads until the client leaves.
async fn swallow(client: &mut TcpStream, counts: &RefCell<LinkCounts>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        counts.borrow_mut().from_client += length as u64;
    }
}

/// Relays both ways until both have ended; whether both ended in order.
async fn relay(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared, counts: &RefCell<LinkCounts>) -> bool {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let outward = flow(from_client, to_server, shared, |read, written| {
        let mut counts = counts.borrow_mut();
        counts.from_client += read;
        counts.to_server += written;
    });
    let inward = flow(from_server, to_client, shared, |read, written| {
        let mut counts = counts.borrow_mut();
        counts.from_server += read;
        counts.to_client += written;
    });
    tokio::try_join!(outward, inward).is_ok()
}

/// One direction: bytes read, kept for the delay, and written at the pace. `count` takes bytes read and bytes written.
async fn flow(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    count: impl Fn(u64, u64),
) -> std::io::Result<()> {
    let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_UNDER_WAY);
    let reading = async {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = from.read(&mut chunk).await?;
            if length == 0 {
                drop(sender);
                return Ok::<(), std::io::Error>(());
            }
            chunk.truncate(length);
            count(length as u64, 0);
            if sender.send((Instant::now(), chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((read_at, chunk)) = under_way.recv().await {
            tokio::time::sleep_until(read_at + shared.pace.get().delay).await;
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let now = part(rest, shared);
                to.write_all(&rest[..now]).await?;
                count(0, now as u64);
                rest = &rest[now..];
                if let Some(rate) = shared.pace.get().bytes_per_second {
                    tokio::time::sleep(Duration::from_secs_f64(now as f64 / rate.max(1) as f64)).await;
                }
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(|_| ())
}

/// How much of this may be written at once.
fn part(rest: &[u8], shared: &Shared) -> usize {
    let Some(rate) = shared.pace.get().bytes_per_second else { return rest.len() };
    let in_a_tick = rate as f64 * TICK.as_secs_f64();
    rest.len().min((in_a_tick as usize).max(1))
}

/// Its socket will be reset instead of closed.
fn abort(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}
