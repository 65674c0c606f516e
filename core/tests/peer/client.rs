//! What the tests ask of a channel.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{
    CallError, CallOptions, Channel, ChannelOptions, Code, Credentials, Event, OptionValue, Reply, RpcError, State,
    Timeout, UnaryResponse,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::beside;

pub(crate) const METHOD: &str = "/test.Service/Method";

pub(crate) fn options(set: &[(&str, OptionValue)]) -> ChannelOptions {
    let mut options = ChannelOptions::new();
    for (key, value) in set {
        options.set(key, value.clone()).expect("a good option");
    }
    options
}

pub(crate) fn channel(address: &str) -> Channel {
    channel_with(address, &[])
}

/// A plaintext channel to one or more addresses, separated by commas.
pub(crate) fn channel_with(addresses: &str, set: &[(&str, OptionValue)]) -> Channel {
    Channel::new(&format!("ipv4:{addresses}"), &Credentials::insecure(), &options(set)).expect("a channel")
}

/// A plaintext channel that keeps one connection, and goes IDLE when it is lost.
pub(crate) fn pick_first_channel(addresses: &str) -> Channel {
    channel_with(addresses, &[("linkspan.lb_policy", "pick_first".into())])
}

pub(crate) type Unary = Result<UnaryResponse, CallError>;

/// Starts a unary call beside the test.
pub(crate) fn call(channel: &Channel) -> JoinHandle<Unary> {
    call_with(channel, "hello", CallOptions::default())
}

pub(crate) fn call_with(
    channel: &Channel,
    message: impl Into<Bytes> + 'static,
    options: CallOptions,
) -> JoinHandle<Unary> {
    let channel = channel.clone();
    let mut call = Box::pin(async move { channel.unary(METHOD, message, options).await });
    // Polled once here, so that the call is on its way when this returns; the task polls it again with a waker.
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => beside(std::future::ready(outcome)),
        Poll::Pending => beside(call),
    }
}

/// A call that waits for a connection through failures.
pub(crate) fn patient_call(channel: &Channel) -> JoinHandle<Unary> {
    call_with(channel, "hello", CallOptions { wait_for_ready: Some(true), ..CallOptions::default() })
}

/// The response of a call that must end OK.
pub(crate) async fn response(call: JoinHandle<Unary>) -> UnaryResponse {
    call.await.expect("no panic").expect("OK")
}

/// The failure of a call that must end with this code.
pub(crate) async fn failure(call: JoinHandle<Unary>, code: Code) -> RpcError {
    let outcome = call.await.expect("no panic");
    let CallError::Rpc(failure) = outcome.expect_err("a failure") else { panic!("the call was refused") };
    assert_eq!(failure.code(), code, "{failure}");
    failure
}

/// Waits until the engine's clock has gone on by so much: a call without a server says so when its deadline passes.
pub(crate) async fn time_passes(length: Duration) {
    let nowhere = channel_with("127.0.0.1:1", &[]);
    let options = CallOptions { wait_for_ready: Some(true), timeout: Timeout::After(length), ..CallOptions::default() };
    failure(call_with(&nowhere, "", options), Code::DeadlineExceeded).await;
}

/// Waits until the channel is in this state.
pub(crate) async fn becomes(channel: &Channel, wanted: State) {
    loop {
        let state = channel.state(false);
        if state == wanted {
            return;
        }
        let (reply, mut events) = events();
        channel.watch(state, None, reply).expect("a watch");
        events.next().await;
    }
}

/// The channel's state changes so far: `FROM → TO: cause [address]`.
pub(crate) fn told(channel: &Channel) -> Vec<String> {
    channel.events(0).iter().map(ToString::to_string).collect()
}

/// A reply, and what comes through it.
pub(crate) fn events() -> (Reply, Events) {
    let (sender, receiver) = mpsc::channel(10_000);
    let reply = Reply::callback(move |event| sender.try_send(event).expect("the test reads along"));
    (reply, Events(receiver))
}

pub(crate) struct Events(mpsc::Receiver<Event>);

impl Events {
    pub(crate) async fn next(&mut self) -> Event {
        self.0.recv().await.expect("an event")
    }

    /// Whether an event waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until the engine has let the reply go; nothing may have come meanwhile. So nothing more will ever come.
    pub(crate) async fn are_over(mut self) {
        let more = self.0.recv().await;
        assert!(more.is_none(), "one more came: {more:?}");
    }
}
