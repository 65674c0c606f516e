//! A server that follows a script, whatever the client says.

use std::io;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::script::{Script, Step};
use crate::runtime::Driver as _;
use crate::runtime::simulated::{Listener, SimulatedDriver, SimulatedSocket};

pub(super) async fn serve(driver: SimulatedDriver, listener: Listener, script: Rc<Script>) {
    loop {
        let socket = listener.accept().await;
        let (server, script) = (driver.clone(), Rc::clone(&script));
        driver.spawn(async move {
            // Its end is the client's will, or the script's.
            let _ = follow(&server, socket, &script).await;
        });
    }
}

async fn follow(driver: &SimulatedDriver, mut socket: SimulatedSocket, script: &Script) -> io::Result<()> {
    let mut client = Client::default();
    socket.write_all(script.greeting()).await?;
    while let Some(step) = script.next() {
        match step {
            Step::Send(bytes) => socket.write_all(&bytes).await?,
            Step::AwaitRequest => client.read_request(&mut socket).await?,
            Step::Pause(length) => driver.sleep(length).await,
            Step::Close => return socket.shutdown().await,
        }
    }
    loop {
        client.read(&mut socket).await?;
    }
}

/// What came from the client and was not looked at.
#[derive(Default)]
struct Client {
    unread: Vec<u8>,
    preface_is_past: bool,
}

const PREFACE: usize = 24;
const HEADER: usize = 9;
const HEADERS: u8 = 1;

impl Client {
    /// Reads until a HEADERS frame has come. To a CONNECT, which has none, no request follows.
    async fn read_request(&mut self, socket: &mut SimulatedSocket) -> io::Result<()> {
        loop {
            if !self.preface_is_past && self.unread.len() >= PREFACE {
                self.unread.drain(..PREFACE);
                self.preface_is_past = true;
            }
            while self.preface_is_past
                && let Some(head) = self.unread.first_chunk::<HEADER>()
            {
                let length = HEADER + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                let kind = head[3];
                if self.unread.len() < length {
                    break;
                }
                self.unread.drain(..length);
                if kind == HEADERS {
                    return Ok(());
                }
            }
            self.read(socket).await?;
        }
    }

    async fn read(&mut self, socket: &mut SimulatedSocket) -> io::Result<()> {
        match socket.read_buf(&mut self.unread).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
