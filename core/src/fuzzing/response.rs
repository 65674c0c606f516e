//! A server that sends anything, to the whole engine: a channel connects and calls in virtual time, and every call must end.

mod call;
mod script;
mod server;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::input::Input;
use crate::address::Address;
use crate::channel::options::{ChannelOptions, OptionValue, Preset};
use crate::engine::completion::Reply;
use crate::engine::{Channel, Engine, EngineOptions, by_hand};
use crate::runtime::Driver as _;
use crate::runtime::simulated::{Path, Side, SimulatedDriver};
use crate::state::State;
use crate::transport::credentials::Credentials;
use call::Call;
use script::Script;

/// Where the server listens, and where the proxy does, which is the same script.
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 50_051);
const PROXY: ([u8; 4], u16) = ([10, 0, 0, 2], 3_128);

/// More steps than this are another script's.
const MOST_BYTES: usize = 64 << 10;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(1);

/// What the first bytes decide.
#[derive(Clone, Copy, Debug)]
struct Plan {
    is_greeted: bool,
    has_proxy: bool,
    /// Messages above 1,000 bytes are refused.
    has_limit: bool,
    /// Header blocks above 1,000 bytes are refused.
    has_header_limit: bool,
    waits_for_ready: bool,
    preset: Preset,
    /// What arrives at once.
    largest_piece: usize,
    /// Each bit is a call: a stream, or unary.
    streams: u8,
    calls: u8,
}

impl Plan {
    fn read(input: &mut Input<'_>) -> Self {
        let (flags, pieces, calls) = (input.byte(), input.byte(), input.byte());
        Self {
            is_greeted: flags & 1 == 0,
            has_proxy: flags & 2 != 0,
            has_limit: flags & 4 != 0,
            has_header_limit: flags & 8 != 0,
            waits_for_ready: flags & 16 != 0,
            preset: if flags & 32 == 0 { Preset::Resilient } else { Preset::Grpc },
            largest_piece: if pieces == 0 { 16 << 10 } else { usize::from(pieces) },
            streams: calls >> 4,
            calls: 1 + calls % 4,
        }
    }

    fn options(self) -> ChannelOptions {
        let mut options = ChannelOptions::new();
        options.set_preset(self.preset);
        let mut set = |is_set: bool, key: &str, value: OptionValue| {
            if is_set {
                options.set(key, value).expect(key);
            }
        };
        set(self.has_limit, "grpc.max_receive_message_length", 1_000.into());
        set(self.has_header_limit, "grpc.max_metadata_size", 1_000.into());
        set(self.has_proxy, "grpc.http_proxy", "http://10.0.0.2:3128".into());
        // The environment's has no say.
        set(!self.has_proxy, "grpc.enable_http_proxy", false.into());
        options
    }
}

/// Three bytes, which the `Plan` reads, and the steps of a server, which the `Script` does. They go on where they were when the client
/// connects again, and at their end the server is silent.
///
/// Whatever it sends, nothing panics, each call ends once and in time, and a closed channel leaves nothing behind ([CONN-155]).
pub fn response(data: &[u8]) {
    let mut input = Input(&data[..data.len().min(MOST_BYTES)]);
    let plan = Plan::read(&mut input);
    let script = Rc::new(Script::new(input.0, plan.is_greeted));
    let is_over = Rc::new(Cell::new(false));
    let told = Rc::clone(&is_over);
    let outcome = SimulatedDriver::run(u64::from(data.first().copied().unwrap_or(0)), |driver| async move {
        story(&driver, plan, &script).await;
        told.set(true);
    });
    assert!(is_over.get(), "it never came to an end: {outcome:?}");
}

async fn story(driver: &SimulatedDriver, plan: Plan, script: &Rc<Script>) {
    for place in [SERVER, PROXY] {
        let address = Address::Inet(SocketAddr::from(place));
        let path = Path { largest_piece: plan.largest_piece, ..Path::default() };
        driver.network().set_path(&address, path);
        driver.spawn(server::serve(driver.clone(), driver.network().listen(&address), Rc::clone(script)));
    }
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let serving = by_hand::serve(driver.on(Side::Engine), &engine);
    let loop_is_over = Rc::new(Cell::new(false));
    let told = Rc::clone(&loop_is_over);
    driver.spawn(async move {
        serving.await;
        told.set(true);
    });

    let target = format!("ipv4:{}", SocketAddr::from(SERVER));
    let channel = Channel::on(&engine, &target, &Credentials::insecure(), &plan.options()).expect("a channel");
    // Makes the loop know it, so that it does not end before the first call.
    channel.watch(State::Idle, None, Reply::callback(|_| {})).expect("taken");
    let started = driver.now();
    let calls =
        (0..plan.calls).map(|number| Call::start(&channel, plan.streams & (1 << number) != 0, plan.waits_for_ready));
    let calls: Vec<Call> = calls.collect();
    for call in &calls {
        call.must_end(driver, started + TIMEOUT).await;
    }
    channel.close(Some(GRACE));
    // Goodbyes take a second, and the loop waits one more for a next channel.
    driver.sleep(GRACE + Duration::from_millis(2_500)).await;

    for call in &calls {
        assert_eq!(call.ends(), 1, "a call ended again");
    }
    check_leaks(driver, &channel, loop_is_over.get());
}

/// [CONN-155]
fn check_leaks(driver: &SimulatedDriver, channel: &Channel, loop_is_over: bool) {
    assert!(loop_is_over, "the loop does not end although the channel is closed");
    let alive = driver.alive(Side::Engine);
    assert_eq!(alive.panics() + driver.alive(Side::Others).panics(), 0, "tasks panicked");
    let metrics = channel.metrics();
    // The loop's own task, which gives completions out, is dropped with the loop.
    let left = [
        ("tasks", alive.tasks().saturating_sub(1)),
        ("timers", alive.timers()),
        ("sockets", driver.network().engine_sockets()),
        ("calls", usize::try_from(metrics.calls_in_flight + metrics.calls_queued).unwrap_or(usize::MAX)),
        ("connections", metrics.connections.len()),
    ];
    for (what, count) in left {
        assert_eq!(count, 0, "{what} are left");
    }
}
