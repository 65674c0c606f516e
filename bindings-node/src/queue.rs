//! One queue per JavaScript environment, the bell that announces its events, and the end of both.
//!
//! The engine's threads touch an environment in one place only: [`Bell::ring`]. It sits behind a lock together with
//! the thread-safe function, and the environment's cleanup hook takes the function away before Node frees it.
//! Everything else in here belongs to the JavaScript thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use linkspan_core::{Batch, Channel, Code, Completion, CompletionQueue, Error, Metadata};
use napi::bindgen_prelude::{Array, Float64ArraySlice, Function, Uint8ArraySlice};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;

use crate::call::{Method, Open, Sending};
use crate::channel;
use crate::errors::{self, Result};
use crate::events::{Buffers, Encoder, MORE};
use crate::log::{Line, Listener};
use crate::metadata::HeaderSets;

/// So few completions are most often all there is for a while.
const FEW: usize = 8;

/// How many completions wait in the engine before it takes no more calls of this environment.
const CAPACITY: usize = 65_536;

/// Weak: it never holds the event loop open. No arguments: it only says that there is something to take.
type Doorbell = ThreadsafeFunction<(), (), (), Status, false, true>;

pub(crate) struct Bell {
    /// None once the environment has ended; from then on no thread may touch it.
    doorbell: Mutex<Option<Doorbell>>,
    /// Set from a ring until JavaScript need not look again: one wake-up is enough.
    rung: AtomicBool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        let doorbell = self.doorbell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(doorbell) = &*doorbell {
            // A refusal means that the environment is closing, and then nobody is left to be told.
            doorbell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn silence(&self) {
        let doorbell = self.doorbell.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Released outside the lock: Node may run code of its own here.
        drop(doorbell);
    }
}

/// What the native objects of one environment share.
pub(crate) struct Environment {
    completions: Arc<CompletionQueue>,
    bell: Arc<Bell>,
    /// Taken from the engine, not yet handed to JavaScript because its buffers were full.
    pending: RefCell<VecDeque<Completion>>,
    /// By slot. A slot is in use from the start until its last event was handed over.
    open: RefCell<Vec<Option<Open>>>,
    /// The channels JavaScript holds, so that they can be closed when it ends. By id.
    channels: RefCell<BTreeMap<u64, Channel>>,
    methods: RefCell<Vec<Method>>,
    header_sets: RefCell<HeaderSets>,
    encoder: RefCell<Encoder>,
    /// While JavaScript starts many calls.
    cork: RefCell<Option<Batch>>,
    listener: RefCell<Option<Listener>>,
}

impl Environment {
    fn new(doorbell: Doorbell) -> Self {
        let completions = CompletionQueue::new(CAPACITY);
        let bell = Arc::new(Bell { doorbell: Mutex::new(Some(doorbell)), rung: AtomicBool::new(false) });
        let ringer = Arc::clone(&bell);
        completions.set_bell(Some(Box::new(move || ringer.ring())));
        Self {
            completions,
            bell,
            pending: RefCell::default(),
            open: RefCell::default(),
            channels: RefCell::default(),
            methods: RefCell::default(),
            header_sets: RefCell::default(),
            encoder: RefCell::default(),
            cork: RefCell::default(),
            listener: RefCell::default(),
        }
    }

    pub(crate) fn completions(&self) -> &Arc<CompletionQueue> {
        &self.completions
    }

    pub(crate) fn method(&self, number: u32) -> Result<Method> {
        self.methods.borrow().get(number as usize).cloned().ok_or_else(|| unknown("method", number))
    }

    pub(crate) fn header_set(&self, block: String) -> std::result::Result<Metadata, Error> {
        self.header_sets.borrow_mut().metadata(block)
    }

    pub(crate) fn open(&self, slot: u32, opened: Open) {
        let mut open = self.open.borrow_mut();
        let slot = slot as usize;
        if open.len() <= slot {
            open.resize_with(slot + 1, || None);
        }
        open[slot] = Some(opened);
    }

    pub(crate) fn enter(&self, channel: &Channel) {
        self.channels.borrow_mut().insert(channel.id(), channel.clone());
    }

    pub(crate) fn leave(&self, channel: &Channel) {
        self.channels.borrow_mut().remove(&channel.id());
    }

    pub(crate) fn cork(&self, batch: Batch) {
        *self.cork.borrow_mut() = Some(batch);
    }

    fn uncork(&self) {
        self.cork.borrow_mut().take();
    }

    fn listen(&self, listener: Option<Listener>) {
        let before = self.listener.replace(listener);
        if let Some(before) = before {
            before.end();
        }
    }

    fn with_open<T>(&self, slot: u32, otherwise: T, act: impl FnOnce(&mut Open) -> T) -> T {
        match self.open.borrow_mut().get_mut(slot as usize) {
            Some(Some(open)) => act(open),
            Some(None) | None => otherwise,
        }
    }

    /// Refills `pending` when it is empty. False when there is nothing at all.
    fn refill(&self, most: usize) -> bool {
        let mut pending = self.pending.borrow_mut();
        if !pending.is_empty() {
            return true;
        }
        // Cleared before looking, so that a completion that arrives after the look rings again.
        self.bell.rung.store(false, Ordering::SeqCst);
        let mut taken = Vec::new();
        if self.completions.drain(&mut taken, most) == 0 {
            return false;
        }
        // Behind many there are soon more: JavaScript looks again by itself, which costs less than a ring. Behind few it
        // would look in vain.
        if taken.len() > FEW {
            self.bell.rung.store(true, Ordering::SeqCst);
        }
        pending.extend(taken);
        true
    }

    fn encode(&self, env: Env, buffers: Buffers<'_, '_>) -> napi::Result<u32> {
        let mut pending = self.pending.borrow_mut();
        let mut open = self.open.borrow_mut();
        self.encoder.borrow_mut().encode(env, &mut pending, &mut open, buffers)
    }

    /// Whether JavaScript has to look again before the bell rings.
    fn has_more(&self) -> bool {
        !self.pending.borrow().is_empty() || self.bell.rung.load(Ordering::SeqCst)
    }

    /// Runs on the JavaScript thread when Node ends the environment: nothing of it may be touched afterwards.
    fn end(&self) {
        self.bell.silence();
        self.listen(None);
        self.uncork();
        self.completions.set_bell(None);
        self.completions.close();
        self.pending.borrow_mut().clear();
        for open in self.open.borrow_mut().drain(..).flatten() {
            open.abandon();
        }
        for (_, channel) in std::mem::take(&mut *self.channels.borrow_mut()) {
            channel::abandon(&channel);
        }
    }
}

/// JavaScript's handle of the environment.
#[napi]
pub struct Queue {
    environment: Rc<Environment>,
}

#[napi]
impl Queue {
    /// `doorbell` is called without arguments when there are events to drain.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, doorbell: Function<'_, (), ()>) -> Result<Self> {
        let doorbell: Doorbell =
            doorbell.build_threadsafe_function().weak::<true>().build().map_err(errors::from_napi)?;
        let environment = Rc::new(Environment::new(doorbell));
        // Registered after the thread-safe function made its own hook: hooks run in reverse, so ours comes first.
        env.add_env_cleanup_hook(Rc::clone(&environment), |environment| environment.end())
            .map_err(errors::from_napi)?;
        Ok(Self { environment })
    }

    /// Fills `header` and `slab` with the next events, `large` with the buffers of what does not belong in the slab,
    /// and answers how many events there are, plus `MORE` if it has to be called again. Otherwise the doorbell will ring.
    #[napi(catch_unwind)]
    pub fn drain(
        &self,
        env: Env,
        mut header: Float64ArraySlice<'_>,
        mut slab: Uint8ArraySlice<'_>,
        mut large: Array<'_>,
    ) -> Result<u32> {
        // SAFETY: no JavaScript runs during this call, and nothing else in here refers to this memory.
        let header = unsafe { header.as_mut() };
        // SAFETY: as above; lib/environment.cjs made the two arrays, each with memory of its own.
        let slab = unsafe { slab.as_mut() };
        let environment = &self.environment;
        if !environment.refill(header.len() / crate::events::FIELDS) {
            return Ok(0);
        }
        let events = environment.encode(env, (header, slab, &mut large)).map_err(errors::from_napi)?;
        Ok(if environment.has_more() { events + MORE } else { events })
    }

    /// Wakes the engine for what was started since `NativeChannel::cork`.
    #[napi(catch_unwind)]
    pub fn uncork(&self) {
        self.environment.uncork();
    }

    /// A number for a method path and the authority to call it under, to be used in a `CallTerms`.
    #[napi(catch_unwind)]
    pub fn method(&self, path: String, authority: Option<String>) -> u32 {
        let mut methods = self.environment.methods.borrow_mut();
        methods.push(Method { path: Arc::from(path), authority: authority.map(Arc::from) });
        #[expect(clippy::cast_possible_truncation, reason = "lib/environment.cjs forgets them long before")]
        let number = (methods.len() - 1) as u32;
        number
    }

    #[napi(catch_unwind)]
    pub fn forget_methods(&self) {
        self.environment.methods.borrow_mut().clear();
    }

    /// Copies the message and gives it to the engine; answers with a `Sending` number. `flags` are those of the call that are about a message.
    #[napi(catch_unwind)]
    pub fn send(&self, slot: u32, message: &[u8], flags: u32) -> u32 {
        let message = Bytes::copy_from_slice(message);
        self.environment.with_open(slot, Sending::Ended, |open| open.send(message, flags)) as u32
    }

    #[napi(catch_unwind)]
    pub fn half_close(&self, slot: u32) {
        self.environment.with_open(slot, (), |open| {
            if let Open::Call { handle, .. } = open {
                // An error says that the call has ended or is half-closed already: nothing is left to do.
                let _ = handle.half_close();
            }
        });
    }

    /// Allows that many more Message events.
    #[napi(catch_unwind)]
    pub fn read(&self, slot: u32, credit: u32) {
        self.environment.with_open(slot, (), |open| {
            if let Open::Call { handle, .. } = open {
                handle.read(credit);
            }
        });
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self, slot: u32, code: u32, details: String) -> bool {
        self.environment.with_open(slot, false, |open| match open {
            Open::Call { handle, .. } => handle.cancel(Code::from_number(i64::from(code)), &details),
            Open::Watch(watch) => {
                watch.cancel();
                true
            }
        })
    }

    /// The doorbell rings also when there are log lines up to this level to take; with none, no more.
    #[napi(catch_unwind)]
    pub fn set_log_level(&self, level: Option<String>) -> Result<()> {
        let bell = &self.environment.bell;
        let listener = level.map(|level| Listener::start(Arc::clone(bell), &level)).transpose()?;
        self.environment.listen(listener);
        Ok(())
    }

    /// The log lines that wait, oldest first.
    #[napi(catch_unwind)]
    pub fn log_lines(&self) -> Vec<Line> {
        self.environment.listener.borrow().as_ref().map(Listener::take).unwrap_or_default()
    }

    /// How many calls and watches have an event to come. For tests that look for what was left behind.
    #[napi(catch_unwind)]
    pub fn open_count(&self) -> u32 {
        let open = self.environment.open.borrow().iter().flatten().count();
        u32::try_from(open).unwrap_or(u32::MAX)
    }

    /// How many channels this environment holds.
    #[napi(catch_unwind)]
    pub fn channel_count(&self) -> u32 {
        u32::try_from(self.environment.channels.borrow().len()).unwrap_or(u32::MAX)
    }
}

impl Queue {
    pub(crate) fn environment(&self) -> Rc<Environment> {
        Rc::clone(&self.environment)
    }
}

fn unknown(what: &str, number: u32) -> napi::Error<errors::ErrorCode> {
    let error = Error::new(linkspan_core::ErrorKind::Internal, format!("there is no {what} with number {number}"));
    errors::to_js(&error)
}
