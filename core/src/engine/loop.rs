//! The loop: takes submissions in batches, keeps the tables of channels, calls and watches, ends when nobody needs it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::channel::ChannelCore;
use super::handle::next_id;
use super::on_loop::{Calls, Host, LocalTask, OnLoop};
use super::outbox::{LoopSlot, Outbox};
use super::slot::Counted;
use super::snapshot::{Asked, Collecting, MovesLoop};
use super::submit::{StreamCall, Submission, SubmitQueue, UnaryCall, Watch};
use crate::call::inbox::{Cancel, Inbox};
use crate::call::{CallSpec, UnaryEnd, streaming, unary};
use crate::channel::certificate_watch::Watches;
use crate::channel::gate::Gate;
use crate::channel::slot::Turn;
use crate::channel::{Ended, LocalChannel};
use crate::foreign::contain;
use crate::observe::log::{LogLevel, Room, log};
use crate::runtime::{Driver, Task, sleep_until};
use crate::state::State;

/// How long the thread stays after its last channel, so that a program that makes channels one after the other keeps it.
const LINGER: Duration = Duration::from_secs(1);

/// How long connections may take to say goodbye after their channel's grace is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves the queue until nobody needs it any more.
pub(super) async fn run<D: Driver>(driver: D, queue: Arc<SubmitQueue>) {
    let serving = Serving { queue: &queue, is_over: Cell::new(false) };
    let _moves = MovesLoop::begin();
    if let Some(hook) = &queue.options().thread_start {
        contain(|| hook());
    }
    let tables = Rc::new(Loop {
        driver: driver.clone(),
        queue: Arc::clone(&queue),
        channels: RefCell::default(),
        running: Rc::default(),
        outbox: Rc::default(),
        gate: Rc::default(),
        watches: Rc::default(),
    });
    driver.spawn(Rc::clone(&tables.outbox).run());
    let mut batch = Vec::new();
    let mut idle_since = None;
    loop {
        if tables.running.has_panicked.take() {
            log(LogLevel::Error, Room::Engine, || {
                "a channel's control task panicked; the engine shuts down".to_owned()
            });
            queue.shut_down(Some(Duration::ZERO));
        }
        tables.running.is_forsaken.set(tables.channels.borrow().is_empty());
        let is_idle = tables.is_idle();
        let now = driver.now();
        let stop_at = if is_idle { Some(*idle_since.get_or_insert(now) + LINGER) } else { None };
        if !is_idle {
            idle_since = None;
        }
        if is_idle {
            // A call is out of the tables before its completion is out of the box.
            tables.outbox.flush();
        }
        if let Some(stop_at) = stop_at
            && (stop_at <= now || queue.is_shut_down())
            && queue.try_stop()
        {
            break;
        }
        tokio::select! {
            biased;
            () = poll_fn(|cx| queue.poll_batch(cx, &mut batch)) => {
                batch.drain(..).for_each(|submission| tables.on_submission(submission));
            }
            () = tables.running.something_ended.notified() => {}
            () = sleep_until(&driver, stop_at) => {}
        }
    }
    serving.is_over.set(true);
    if let Some(hook) = &queue.options().thread_stop {
        contain(|| hook());
    }
}

/// A loop that ends by a panic must not leave its callers waiting.
struct Serving<'a> {
    queue: &'a SubmitQueue,
    is_over: Cell<bool>,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if !self.is_over.get() {
            self.queue.stop_now();
        }
    }
}

struct Loop<D: Driver> {
    driver: D,
    queue: Arc<SubmitQueue>,
    /// Channels somebody holds a handle of.
    channels: RefCell<BTreeMap<u64, Entry<D>>>,
    running: Rc<Running>,
    outbox: Rc<Outbox>,
    /// Shared by all channels.
    gate: Rc<Gate>,
    /// Who looks after the files of their credentials.
    watches: Rc<Watches<D::Task>>,
}

struct Entry<D: Driver> {
    local: LocalChannel<D>,
    core: Weak<ChannelCore>,
}

/// What tasks take themselves out of when they end.
#[derive(Default)]
struct Running {
    calls: RefCell<BTreeMap<u64, RunningCall>>,
    watches: RefCell<BTreeMap<u64, Rc<Notify>>>,
    /// Tasks of the host's.
    guests: RefCell<BTreeMap<u64, Box<dyn Task>>>,
    /// Set when the engine's grace is over: a task of the host's that comes later is dropped.
    takes_no_guests: Cell<bool>,
    /// Control tasks that have not let go yet, closed channels' too.
    controls: Cell<usize>,
    /// Set while no channel is held: only then can the end of a call be the end of the loop, and only then is it told.
    is_forsaken: Cell<bool>,
    something_ended: Notify,
    /// Set when a control task ended by a bug: what it held is in doubt, so the whole engine ends.
    has_panicked: Cell<bool>,
}

struct RunningCall {
    channel: u64,
    inbox: Rc<Inbox>,
}

impl<D: Driver> Loop<D> {
    fn is_idle(&self) -> bool {
        self.channels.borrow().is_empty()
            && self.running.controls.get() == 0
            && self.running.calls.borrow().is_empty()
            && self.running.guests.borrow().is_empty()
    }

    fn on_submission(self: &Rc<Self>, submission: Submission) {
        match submission {
            Submission::Connect(core) => {
                if let Some(local) = self.open(&core) {
                    local.wake("a connection was asked for");
                }
            }
            Submission::ResetBackoff(core) => {
                if let Some(local) = self.open(&core) {
                    local.reset_connect_backoff();
                }
            }
            Submission::Close { channel, grace } => self.close(channel.id(), grace),
            Submission::Forget { channel } => {
                let forgotten = self.channels.borrow_mut().remove(&channel);
                drop(forgotten);
            }
            Submission::Unary(call) => self.start_unary(*call),
            Submission::Stream(call) => self.start_stream(*call),
            Submission::Send { call, outgoing } => self.with_call(call, |inbox| inbox.send(outgoing)),
            Submission::Read { call, credit } => self.with_call(call, |inbox| inbox.read(credit)),
            Submission::Cancel { call, cancel } => self.with_call(call, |inbox| inbox.cancel(cancel)),
            Submission::Watch(watch) => self.start_watch(*watch),
            Submission::CancelWatch { watch } => {
                if let Some(cancelled) = self.running.watches.borrow().get(&watch) {
                    cancelled.notify_one();
                }
            }
            Submission::Shutdown { grace } => {
                let channels = std::mem::take(&mut *self.channels.borrow_mut());
                for (id, entry) in channels {
                    if let Some(core) = entry.core.upgrade() {
                        core.mark_closed();
                    }
                    self.close_entry(id, &entry, grace);
                }
                // Calls outlive the handles of their channels; the engine's end is theirs too.
                self.after(grace, |running| {
                    running.cancel_calls(|_| true);
                    running.takes_no_guests.set(true);
                    running.guests.borrow().values().for_each(|guest| guest.abort());
                });
            }
            Submission::Show(asked) => self.show(asked),
            Submission::Run(make) => {
                let on_loop = OnLoop::new(Rc::clone(self) as Rc<dyn Host>);
                // Made inside the task, so that a panic of the host's ends there.
                self.run_guest(async { make(on_loop).await });
            }
        }
    }

    /// The channels answer in their own turns.
    fn show(&self, Asked { channel, reply }: Asked) {
        let collecting = Collecting::new(self.driver.now().since_start(), reply);
        let channels = self.channels.borrow();
        let is_meant = |id: &u64| channel.is_none_or(|channel| channel == *id);
        for (_, entry) in channels.iter().filter(|(id, _)| is_meant(id)) {
            if let Some(core) = entry.core.upgrade() {
                collecting.ask(core, &entry.local);
            }
        }
    }

    /// The channel's loop side, made at first use; `None` once it is closed.
    fn open(&self, core: &Arc<ChannelCore>) -> Option<LocalChannel<D>> {
        if let Some(entry) = self.channels.borrow().get(&core.id()) {
            return Some(entry.local.clone());
        }
        if core.is_closed() {
            return None;
        }
        let running = Rc::clone(&self.running);
        running.controls.set(running.controls.get() + 1);
        let done = move |ended| {
            running.controls.set(running.controls.get() - 1);
            if ended == Ended::Panicked {
                running.has_panicked.set(true);
            }
            running.something_ended.notify_one();
        };
        let local = LocalChannel::open(
            &self.driver,
            Arc::clone(core.config()),
            Arc::clone(core.shown()),
            Rc::clone(&self.gate),
            Rc::clone(&self.watches),
            done,
        );
        self.running.is_forsaken.set(false);
        let entry = Entry { local: local.clone(), core: Arc::downgrade(core) };
        self.channels.borrow_mut().insert(core.id(), entry);
        Some(local)
    }

    fn close(&self, id: u64, grace: Option<Duration>) {
        let closed = self.channels.borrow_mut().remove(&id);
        match closed {
            Some(entry) => self.close_entry(id, &entry, grace),
            None => self.cancel_after(grace, id),
        }
    }

    fn close_entry(&self, id: u64, entry: &Entry<D>, grace: Option<Duration>) {
        entry.local.close(grace.map(|grace| grace.saturating_add(GOODBYE)));
        self.cancel_after(grace, id);
    }

    /// Cancels, when the grace is over, the calls of this channel that still run.
    fn cancel_after(&self, grace: Option<Duration>, id: u64) {
        self.after(grace, move |running| running.cancel_calls(|channel| channel == id));
    }

    fn after(&self, grace: Option<Duration>, end: impl FnOnce(&Running) + 'static) {
        let Some(grace) = grace else { return };
        let running = Rc::clone(&self.running);
        if grace.is_zero() {
            return end(&running);
        }
        let driver = self.driver.clone();
        let deadline = driver.now() + grace;
        self.driver.spawn(async move {
            driver.sleep_until(deadline).await;
            end(&running);
        });
    }

    /// Runs a task of the host's; dropped when the engine ends before it.
    fn run_guest(&self, task: impl Future<Output = ()> + 'static) {
        if self.running.takes_no_guests.get() {
            return;
        }
        let id = next_id();
        let leaving = LeaveGuest { running: Rc::clone(&self.running), id };
        let handle = self.driver.spawn(async move {
            let _leaving = leaving;
            task.await;
        });
        self.running.guests.borrow_mut().insert(id, Box::new(handle));
    }

    fn start_unary(&self, call: UnaryCall) {
        let UnaryCall { id, channel: core, mut spec, message, slot } = call;
        let Some(channel) = self.open(&core) else {
            return slot.refuse(core.config().dialect);
        };
        let slot = LoopSlot::new(slot, Rc::clone(&self.outbox));
        spec.id = id;
        let (inbox, running) = self.running.enter_call(id, core.id());
        self.driver.spawn(async move {
            let _running = running;
            slot.finish_unary(unary::run(&channel, &mut spec, message, &inbox).await);
        });
    }

    fn start_stream(&self, call: StreamCall) {
        let StreamCall { id, channel: core, mut spec, first, is_empty, credit, quota, slot } = call;
        let Some(channel) = self.open(&core) else {
            return slot.refuse(core.config().dialect);
        };
        let slot = LoopSlot::new(slot, Rc::clone(&self.outbox));
        spec.id = id;
        let (inbox, running) = self.running.enter_call(id, core.id());
        inbox.read(credit);
        if let Some(first) = first {
            inbox.send(first);
        }
        self.driver.spawn(async move {
            let _running = running;
            let end = streaming::run(&channel, &mut spec, is_empty, &inbox, &quota, &slot).await;
            slot.finish_stream(end);
        });
    }

    fn with_call(&self, id: u64, tell: impl FnOnce(&Inbox)) {
        // A call that has ended meanwhile needs nothing any more.
        if let Some(call) = self.running.calls.borrow().get(&id) {
            tell(&call.inbox);
        }
    }

    fn start_watch(&self, watch: Watch) {
        let Watch { id, channel: core, last, timeout, slot } = watch;
        let Some(channel) = self.open(&core) else {
            return slot.finish(State::Shutdown, false);
        };
        let deadline = timeout.map(|timeout| self.driver.now() + timeout);
        let cancelled = Rc::new(Notify::new());
        self.running.watches.borrow_mut().insert(id, Rc::clone(&cancelled));
        let (driver, running) = (self.driver.clone(), Rc::clone(&self.running));
        let snapshots = Rc::clone(channel.snapshots());
        // A watch must not keep a channel nobody else holds.
        drop(channel);
        self.driver.spawn(async move {
            let changed = async {
                let (mut snapshot, mut turn) = (snapshots.newest(), Turn::default());
                while snapshot.state == last {
                    match snapshots.newer_than(&snapshot, &mut turn).await {
                        Some(newer) => snapshot = newer,
                        None => return State::Shutdown,
                    }
                }
                snapshot.state
            };
            let (state, timed_out) = tokio::select! {
                biased;
                state = changed => (state, false),
                () = cancelled.notified() => (last, true),
                () = sleep_until(&driver, deadline) => (last, true),
            };
            running.watches.borrow_mut().remove(&id);
            slot.finish(state, timed_out);
        });
    }
}

impl<D: Driver> Host for Loop<D> {
    fn serves(&self, queue: &Arc<SubmitQueue>) -> bool {
        Arc::ptr_eq(&self.queue, queue)
    }

    fn spawn(self: Rc<Self>, task: LocalTask<()>) {
        self.run_guest(task);
    }

    fn open(&self, core: &Arc<ChannelCore>) -> Option<Rc<dyn Calls>> {
        // Opened now, it would never be closed.
        if self.queue.is_shut_down() {
            return None;
        }
        let channel = Self::open(self, core)?;
        Some(Rc::new(LocalCalls { channel, core: Arc::clone(core), running: Rc::clone(&self.running) }))
    }
}

/// The calls a host's own tasks make on one channel.
struct LocalCalls<D: Driver> {
    channel: LocalChannel<D>,
    core: Arc<ChannelCore>,
    running: Rc<Running>,
}

impl<D: Driver> Calls for LocalCalls<D> {
    fn unary(&self, mut spec: CallSpec, message: Bytes) -> LocalTask<UnaryEnd> {
        spec.id = next_id();
        let (inbox, running) = self.running.enter_call(spec.id, self.core.id());
        let counted = Counted::start(Arc::clone(self.core.shown()));
        let channel = self.channel.clone();
        Box::pin(async move {
            let _running = running;
            let end = unary::run(&channel, &mut spec, message, &inbox).await;
            counted.end(end.end.status.code());
            end
        })
    }
}

impl Running {
    fn enter_call(self: &Rc<Self>, id: u64, channel: u64) -> (Rc<Inbox>, LeaveCall) {
        let inbox = Rc::new(Inbox::default());
        self.calls.borrow_mut().insert(id, RunningCall { channel, inbox: Rc::clone(&inbox) });
        (inbox, LeaveCall { running: Rc::clone(self), id })
    }

    fn cancel_calls(&self, is_meant: impl Fn(u64) -> bool) {
        let calls = self.calls.borrow();
        calls.values().filter(|call| is_meant(call.channel)).for_each(|call| call.inbox.cancel(Cancel::ChannelClosed));
    }
}

/// Takes a call out of the table when its task ends, however that comes.
struct LeaveCall {
    running: Rc<Running>,
    id: u64,
}

impl Drop for LeaveCall {
    fn drop(&mut self) {
        self.running.calls.borrow_mut().remove(&self.id);
        if self.running.is_forsaken.get() {
            self.running.something_ended.notify_one();
        }
    }
}

/// Takes a host's task out of the table when it ends, however that comes.
struct LeaveGuest {
    running: Rc<Running>,
    id: u64,
}

impl Drop for LeaveGuest {
    fn drop(&mut self) {
        self.running.guests.borrow_mut().remove(&self.id);
        self.running.something_ended.notify_one();
    }
}
