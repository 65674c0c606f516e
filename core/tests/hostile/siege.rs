//! What must hold whatever a server does: the call ends as it should, others go on, memory stays bounded, nothing hangs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linkspan_core::{CallError, CallOptions, Channel, Code, OptionValue, Timeout};
use tokio::task::JoinHandle;

use crate::MEMORY;
use crate::attacker::{Attacker, answer};
use crate::peer::client::{Unary, call, call_with, channel_with, response};
use crate::peer::run;
use crate::peer::server::{Connection, Server};

/// What a client may hold at once because of one server, above what it held before: a connection's buffers and windows, and the frames
/// of one turn, at worst a few hundred bytes for each that takes ten on the wire. Each flood here would be several times as much if it
/// were kept.
pub(crate) const BOUND: usize = 16 << 20;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on, and so do the other calls on it.
    GoesOn,
    /// It goes on; the stream alone was reset with this error.
    Reset(u32),
    /// The client ended it with this GOAWAY. The next call goes over another one.
    GoAway(u32),
    /// It is over, in whatever way. The next call goes over another one.
    Over,
}

/// One test at a time: what is counted is what the whole process holds.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test that may let memory grow by so many bytes at most.
pub(crate) fn bounded(bound: usize, test: impl Future<Output = ()>) {
    let _alone = alone();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    run(test);
    let most = MEMORY.peak_usage().saturating_sub(before);
    assert!(most < bound, "{most} bytes were held at once; {bound} are allowed");
}

/// One connection, dialed when a call wants it, and each call tried once more at most.
pub(crate) fn target(server: &Server) -> Channel {
    target_with(server, &[])
}

pub(crate) fn target_with(server: &Server, set: &[(&str, OptionValue)]) -> Channel {
    let plain = [("linkspan.preset", "grpc".into()), ("grpc.testing.fixed_reconnect_backoff_ms", 1.into())];
    channel_with(&server.address(), &[&plain, set].concat())
}

/// Ends a call that nothing else ends.
pub(crate) fn call_until_deadline(channel: &Channel) -> JoinHandle<Unary> {
    let timeout = Timeout::After(Duration::from_secs(1));
    call_with(channel, "hello", CallOptions { timeout, ..CallOptions::default() })
}

/// The status of a call that has ended.
pub(crate) async fn code_of(call: JoinHandle<Unary>) -> (Code, String) {
    match call.await.expect("no panic") {
        Ok(_) => (Code::Ok, String::new()),
        Err(CallError::Rpc(failure)) => {
            let text = failure.status().message().to_owned();
            assert!(!text.contains("panic"), "{text}");
            (failure.code(), text)
        }
        Err(CallError::Refused(error)) => panic!("the call was refused: {error}"),
    }
}

/// Somebody else's call to a server that behaves, on another channel of the same engine.
struct Bystander {
    _channel: Channel,
    call: JoinHandle<Unary>,
    connection: Connection,
    server: Server,
}

impl Bystander {
    async fn new() -> Self {
        let server = Server::start();
        let channel = target(&server);
        let call = call(&channel);
        let connection = server.accept().await;
        Self { _channel: channel, call, connection, server }
    }

    async fn serve(mut self) {
        self.connection.request().await.answer(b"unharmed");
        assert_eq!(response(self.call).await.message, "unharmed");
        drop(self.server);
    }
}

/// A call and a sibling on one connection; the server does `attack` to the call's stream.
///
/// The call must end with `code`, and the connection as `fate` says: a sibling on a connection that goes on is served, and so is the
/// next call wherever it goes.
pub(crate) async fn endure(code: Code, fate: Fate, attack: impl AsyncFnOnce(&mut Attacker, u32)) {
    let bystander = Bystander::new().await;
    let server = Server::start();
    let channel = target(&server);
    let victim = if code == Code::DeadlineExceeded { call_until_deadline(&channel) } else { call(&channel) };
    let mut attacker = Attacker::greet(&server).await;
    let stream = attacker.request().await;
    let sibling = call(&channel);
    let beside = attacker.request().await;

    attack(&mut attacker, stream).await;
    let (ended, text) = code_while_heard(victim, &mut attacker).await;
    assert_eq!(ended, code, "{text}");

    match fate {
        Fate::GoesOn | Fate::Reset(_) => {
            attacker.say(&answer(beside, b"beside")).await;
            assert_eq!(response(sibling).await.message, "beside");
            let next = call(&channel);
            let next_stream = attacker.request().await;
            attacker.say(&answer(next_stream, b"next")).await;
            assert_eq!(response(next).await.message, "next");
            attacker.settle().await;
            assert_eq!(attacker.heard.goaway, None);
            if let Fate::Reset(error) = fate {
                assert_eq!(attacker.heard.resets.get(&stream), Some(&error));
            }
        }
        Fate::GoAway(_) | Fate::Over => {
            let goaway = attacker.closed_by_client().await;
            if let Fate::GoAway(error) = fate {
                assert_eq!(goaway, Some(error));
            }
            let (code, text) = code_of(sibling).await;
            assert!(matches!(code, Code::Internal | Code::Unavailable), "{code:?}: {text}");
            is_served_anew(&server, &channel).await;
        }
    }
    bystander.serve().await;
}

/// How a call ends while this side hears on, so that it never holds the client up.
pub(crate) async fn code_while_heard(call: JoinHandle<Unary>, attacker: &mut Attacker) -> (Code, String) {
    let hearing = async {
        attacker.hear(|_| false).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = code_of(call) => ended,
        () = hearing => unreachable!("nothing comes of a pending future"),
    }
}

/// The next call goes over a new connection.
pub(crate) async fn is_served_anew(server: &Server, channel: &Channel) {
    let next = call(channel);
    let mut connection = server.accept().await;
    connection.request().await.answer(b"next");
    assert_eq!(response(next).await.message, "next");
}

/// Tests named after what a server says about the call's stream, with the code of the call and the fate of the connection.
macro_rules! attacks {
    ($($(#[$about:meta])* $name:ident: $code:ident, $fate:expr, $bytes:expr;)*) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            use $crate::siege::{BOUND, Fate::*, bounded, endure};
            let bytes: fn(u32) -> Vec<u8> = $bytes;
            bounded(BOUND, endure(linkspan_core::Code::$code, $fate, async |attacker, stream| {
                attacker.say(&bytes(stream)).await;
            }));
        }
    )*};
}
pub(crate) use attacks;
