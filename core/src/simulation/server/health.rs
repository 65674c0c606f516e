//! What a server tells of its health to whoever watches it.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use http::HeaderMap;
use tokio::sync::watch;

use super::answering::{end, head, send};

/// What it tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Tells {
    /// It has no such service: UNIMPLEMENTED.
    #[default]
    Never,
    /// This status.
    Status(u8),
    /// Nothing, and streams stay open.
    Nothing,
    /// Streams end with this code.
    End(u8),
    /// This status, and then streams end.
    StatusAndEnd(u8),
}

const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;

/// Answers a Watch, now and whenever something else is told.
pub(super) async fn watch(mut tells: watch::Receiver<Tells>, mut respond: SendResponse<Bytes>) {
    let trailers_only = |code| {
        let mut response = head();
        response.headers_mut().extend(end(code, None));
        response
    };
    if let Tells::Never | Tells::End(_) = *tells.borrow() {
        let code = if let Tells::End(code) = *tells.borrow() { code } else { UNIMPLEMENTED };
        let _ = respond.send_response(trailers_only(code), true);
        return;
    }
    let Ok(mut sender) = respond.send_response(head(), false) else { return };
    loop {
        let trailers: Option<HeaderMap> = match *tells.borrow_and_update() {
            Tells::Never => Some(end(UNIMPLEMENTED, None)),
            Tells::End(code) => Some(end(code, None)),
            Tells::Nothing => None,
            Tells::Status(number) => {
                send(&mut sender, &Bytes::copy_from_slice(&[8, number]));
                None
            }
            Tells::StatusAndEnd(number) => {
                send(&mut sender, &Bytes::copy_from_slice(&[8, number]));
                Some(end(UNAVAILABLE, None))
            }
        };
        if let Some(trailers) = trailers {
            let _ = sender.send_trailers(trailers);
            return;
        }
        tokio::select! {
            biased;
            _ = poll_fn(|cx| sender.poll_reset(cx)) => return,
            changed = tells.changed() => if changed.is_err() { return },
        }
    }
}
