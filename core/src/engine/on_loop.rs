//! Tasks of the host's own on an engine's loop: their calls cross no thread, so nobody is woken and nothing is handed over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::channel::ChannelCore;
use super::face::{CallError, CallOptions, UnaryResponse};
use super::handle::{Channel, Engine};
use super::submit::{Submission, SubmitQueue};
use crate::call::{CallSpec, UnaryEnd};
use crate::error::{Error, ErrorKind};
use crate::state::State;

/// A host's task, made once the loop has it: what it holds need not be `Send`.
pub(super) type MakeTask = Box<dyn FnOnce(OnLoop) -> LocalTask<()> + Send>;

/// A future that stays on its loop.
pub(super) type LocalTask<T> = Pin<Box<dyn Future<Output = T>>>;

/// The loop as its guests need it; hides which driver moves it.
pub(super) trait Host {
    /// Whether it serves this engine.
    fn serves(&self, queue: &Arc<SubmitQueue>) -> bool;

    /// Runs one more guest.
    fn spawn(self: Rc<Self>, task: LocalTask<()>);

    /// The channel's loop side; `None` once it is closed.
    fn open(&self, core: &Arc<ChannelCore>) -> Option<Rc<dyn Calls>>;
}

/// A channel's calls, on its own loop.
pub(super) trait Calls {
    fn unary(&self, spec: CallSpec, message: Bytes) -> LocalTask<UnaryEnd>;
}

impl Engine {
    /// Runs a task on this engine's loop, starting the loop's thread when there is none. Calls made there through
    /// [`OnLoop::channel`] cost no hand-over between threads, a third of a call with few in flight.
    ///
    /// The loop also moves every connection, so the task must not block: what it awaits must not depend on a runtime of the
    /// host's. A panic ends the task alone. The thread stays until the task ends; a shutdown whose grace is over drops it.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when the engine is shut down, [`ErrorKind::Limit`] when too much waits for it,
    /// [`ErrorKind::System`] when the system refuses a thread.
    ///
    /// ```no_run
    /// # use linkspan_core::{CallOptions, Channel, ChannelOptions, Credentials, Engine};
    /// # fn main() -> Result<(), linkspan_core::Error> {
    /// let channel = Channel::new("localhost:50051", &Credentials::insecure(), &ChannelOptions::new())?;
    /// Engine::shared().run_on_loop(move |on_loop| async move {
    ///     let Ok(channel) = on_loop.channel(&channel) else { return };
    ///     for _ in 0..1_000 {
    ///         let _ = channel.unary("/package.Service/Method", "", CallOptions::default()).await;
    ///     }
    /// })
    /// # }
    /// ```
    pub fn run_on_loop<F>(&self, task: impl FnOnce(OnLoop) -> F + Send + 'static) -> Result<(), Error>
    where
        F: Future<Output = ()> + 'static,
    {
        let make: MakeTask = Box::new(move |on_loop| Box::pin(task(on_loop)));
        self.queue().start(|| Submission::Run(make))
    }
}

/// The loop a task runs on; given to it by [`Engine::run_on_loop`].
#[derive(Clone)]
pub struct OnLoop(Rc<dyn Host>);

impl OnLoop {
    pub(super) fn new(host: Rc<dyn Host>) -> Self {
        Self(host)
    }

    /// Runs one more task on this loop, with the rules of [`Engine::run_on_loop`]; dropped at once when the engine's grace is over.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        Rc::clone(&self.0).spawn(Box::pin(task));
    }

    /// A channel's calls on this loop.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] for a closed channel or a shut down engine, [`ErrorKind::State`] for one of another engine.
    pub fn channel(&self, channel: &Channel) -> Result<LoopChannel, Error> {
        if !self.0.serves(channel.core().queue()) {
            return Err(Error::new(
                ErrorKind::State,
                "the channel belongs to another engine; run the task on that one",
            ));
        }
        let calls = self.0.open(channel.core()).ok_or_else(Channel::closed)?;
        Ok(LoopChannel { channel: channel.clone(), calls })
    }
}

impl fmt::Debug for OnLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnLoop")
    }
}

/// A [`Channel`] on its own loop. It keeps the channel open, as a clone does.
#[derive(Clone)]
pub struct LoopChannel {
    channel: Channel,
    calls: Rc<dyn Calls>,
}

impl LoopChannel {
    /// A unary call.
    ///
    /// # Errors
    /// As [`Channel::unary`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn unary(
        &self,
        method: &str,
        message: impl Into<Bytes>,
        options: CallOptions,
    ) -> Result<UnaryResponse, CallError> {
        if self.channel.core().state() == State::Shutdown {
            return Err(Channel::closed().into());
        }
        let spec = CallSpec::new(options.request(method), self.channel.core().methods())?;
        UnaryResponse::of(self.calls.unary(spec, message.into()).await)
    }

    /// The channel, for everything else: its handle works on this loop as on any thread.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }
}

impl fmt::Debug for LoopChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopChannel").field("channel", &self.channel).finish_non_exhaustive()
    }
}
