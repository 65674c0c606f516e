//! A channel as JavaScript holds it. Dropping the JavaScript object drops the engine's handle: running calls finish,
//! then the connections close.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{Channel, Reply, State};
use napi_derive::napi;

use crate::call::{self, CallTerms, Open};
use crate::errors::{self, Result};
use crate::metrics::{Event, Metrics};
use crate::options::{self, Face, NativeCredentials, Setting};
use crate::queue::{Environment, Queue};

#[napi]
pub struct NativeChannel {
    environment: Rc<Environment>,
    channel: Channel,
}

#[napi]
impl NativeChannel {
    #[napi(constructor, catch_unwind)]
    pub fn new(
        queue: &Queue,
        target: String,
        credentials: &NativeCredentials,
        settings: Vec<Setting>,
        face: Face,
    ) -> Result<Self> {
        let options = options::channel_options(settings, &face)?;
        let channel = Channel::new(&target, credentials.core(), &options).map_err(|error| errors::to_js(&error))?;
        let environment = queue.environment();
        environment.enter(&channel);
        Ok(Self { environment, channel })
    }

    /// Starts a call of one message each way; its only event is the end.
    #[napi(catch_unwind)]
    pub fn start_unary(
        &self,
        slot: u32,
        method: u32,
        timeout: f64,
        flags: u32,
        metadata: Option<String>,
        message: &[u8],
    ) -> Result<()> {
        let mut request = CallTerms { method, timeout, flags, metadata }.request(&self.environment)?;
        request.message = Some(Bytes::copy_from_slice(message));
        request.last = true;
        let handle = self.channel.start_unary(request, self.reply(slot)).map_err(|error| errors::to_js(&error))?;
        self.environment.open(slot, Open::call(handle));
        Ok(())
    }

    /// Starts a call of any kind.
    #[allow(clippy::too_many_arguments, reason = "fields of an object would be looked up by name, each")]
    #[napi(catch_unwind)]
    pub fn start_stream(
        &self,
        slot: u32,
        method: u32,
        timeout: f64,
        flags: u32,
        metadata: Option<String>,
        message: Option<&[u8]>,
        read_credit: u32,
    ) -> Result<()> {
        let mut request = CallTerms { method, timeout, flags, metadata }.request(&self.environment)?;
        request.message = message.map(Bytes::copy_from_slice);
        request.read_credit = read_credit;
        let handle = self.channel.start_stream(request, self.reply(slot)).map_err(|error| errors::to_js(&error))?;
        self.environment.open(slot, Open::call(handle));
        Ok(())
    }

    /// What is started from now on wakes the engine once, at `Queue::uncork`.
    #[napi(catch_unwind)]
    pub fn cork(&self) {
        self.environment.cork(self.channel.batch());
    }

    /// One Connectivity event once the state differs from `last`, or after `timeout` milliseconds.
    #[napi(catch_unwind)]
    pub fn watch(&self, slot: u32, last: u32, timeout: f64) -> Result<()> {
        // A number that is no state differs from every state, and the event has to come at once: say "as it is not".
        let last = State::from_number(i64::from(last)).unwrap_or_else(|| other_than(self.channel.state(false)));
        let watch = self
            .channel
            .watch(last, call::duration(timeout), self.reply(slot))
            .map_err(|error| errors::to_js(&error))?;
        self.environment.open(slot, Open::Watch(watch));
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn state(&self, try_to_connect: bool) -> u32 {
        self.channel.state(try_to_connect) as u32
    }

    /// Calls on the wire go on; waiting and new ones are refused.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.channel.close(None);
    }

    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> f64 {
        crate::metrics::number(self.channel.id())
    }

    #[napi(getter, catch_unwind)]
    pub fn canonical_target(&self) -> &str {
        self.channel.canonical_target()
    }

    #[napi(getter, catch_unwind)]
    pub fn authority(&self) -> &str {
        self.channel.authority()
    }

    #[napi(catch_unwind)]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.channel)
    }

    /// The tree of this moment as JSON text. The engine's thread is waited for.
    #[napi(catch_unwind)]
    pub fn snapshot(&self) -> String {
        self.channel.snapshot().to_json()
    }

    /// The state changes that came after the one numbered `after`.
    #[napi(catch_unwind)]
    pub fn events(&self, after: f64) -> Vec<Event> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and a number before the first event means all of them"
        )]
        let events = self.channel.events(after as u64);
        events.iter().map(Event::of).collect()
    }
}

impl NativeChannel {
    fn reply(&self, slot: u32) -> Reply {
        Reply::queue(self.environment.completions(), u64::from(slot))
    }
}

impl Drop for NativeChannel {
    fn drop(&mut self) {
        self.environment.leave(&self.channel);
    }
}

/// Ends a channel together with its environment: calls are reset, connections closed.
pub(crate) fn abandon(channel: &Channel) {
    channel.close(Some(Duration::ZERO));
}

fn other_than(state: State) -> State {
    if state == State::Idle { State::Connecting } else { State::Idle }
}
