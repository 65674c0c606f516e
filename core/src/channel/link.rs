//! The task of one connection: dials, then moves the connection until it ends, and always tells the control task.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::certificate_watch::Watch;
use super::mailbox::{Mail, Mailbox};
use crate::address::Address;
use crate::line::Line;
use crate::observe::counters::ChannelCounters;
use crate::observe::log::names::ConnectionName;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::DialStep;
use crate::policy::balancer::SubchannelId;
use crate::runtime::{Driver, Task, sleep_until};
use crate::time::{Time, earliest};
use crate::transport::connection::{Connection, Happened};
use crate::transport::dial::{DialSettings, dial};

/// How long a server may take to say why it takes nothing any more; usually it has said it before.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Which connection this is, and of which subchannel.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkId {
    pub(super) subchannel: SubchannelId,
    pub(super) connection: u64,
}

/// What is dialed, for whom and until when.
pub(super) struct Dial<T: Task> {
    pub(super) address: Address,
    /// Of the calls that wait for the connection.
    pub(super) line: Rc<Line>,
    pub(super) deadline: Time,
    /// Where the dial is, for whoever tells it.
    pub(super) step: Rc<Cell<DialStep>>,
    /// Who is to look at the certificates first.
    pub(super) watch: Option<Rc<Watch<T>>>,
}

/// Starts the task.
pub(super) fn spawn<D: Driver>(
    driver: &D,
    id: LinkId,
    order: Dial<D::Task>,
    settings: Rc<DialSettings>,
    mailbox: Rc<Mailbox>,
) -> D::Task {
    let Dial { address, line, deadline, step, watch } = order;
    let report = Report {
        id,
        mailbox,
        counters: Arc::clone(&settings.counters),
        name: OnceCell::new(),
        is_over: Cell::new(false),
    };
    let task_driver = driver.clone();
    let keepalive_time = settings.keepalive().map(|keepalive| keepalive.time);
    // Boxed with all it needs, because a dial is over soon and a connection stays: its task need not have room for both.
    let (dial_driver, counters) = (driver.clone(), Arc::clone(&settings.counters));
    let dialing = Box::pin(async move {
        let dialing = || dial(&dial_driver, id.connection, &address, &settings, &line, deadline, &step);
        // The watch looks after what is dialed, not after what is connected.
        match &watch {
            None => dialing().await,
            Some(watch) => Box::pin(dial_with(&dial_driver, watch, deadline, &counters, dialing)).await,
        }
    });
    driver.spawn(async move {
        let dialed = match dialing.await {
            Err(cause) => return report.over(cause),
            Ok(dialed) => dialed,
        };
        let mut moving = dialed.moving;
        let ending = dialed.connection.ending();
        report.connected(dialed.connection);
        let mut give_up_at = None;
        loop {
            let deadline = earliest([give_up_at, moving.next_deadline()]);
            let happened = tokio::select! {
                biased;
                happened = moving.next(&task_driver) => Some(happened),
                () = sleep_until(&task_driver, deadline) => None,
            };
            let Some(happened) = happened else {
                let now = task_driver.now();
                if give_up_at.is_some_and(|at| at <= now) {
                    break;
                }
                moving.on_time(now);
                continue;
            };
            match happened {
                Happened::SuccessorWanted(cause) => report.successor_wanted(cause),
                Happened::TooManyPings => report.too_many_pings(keepalive_time),
                Happened::Draining(cause) => report.draining(cause),
                Happened::CannotWrite(cause) => {
                    give_up_at = Some(task_driver.now() + LAST_WORDS);
                    report.draining(format!("the connection was lost: {cause}"));
                }
                Happened::DeadlineMoved => {}
                Happened::Ended => break,
            }
        }
        drop(moving);
        report.over(ending.words());
    })
}

/// Dials with what is in the files by now: a server may take nothing older. If that has changed when the dial fails, it may be why.
async fn dial_with<D: Driver, T>(
    driver: &D,
    watch: &Watch<D::Task>,
    deadline: Time,
    counters: &ChannelCounters,
    dialing: impl AsyncFn() -> Result<T, String>,
) -> Result<T, String> {
    watch.looked(driver).await;
    let version = watch.version();
    let dialed = dialing().await;
    if dialed.is_ok() {
        return dialed;
    }
    watch.looked(driver).await;
    if watch.version() == version || driver.now() >= deadline {
        return dialed;
    }
    counters.connect_attempts.one();
    dialing().await
}

/// Tells the control task what happened; when the task is dropped before its end, aborted or by a panic, it tells that.
struct Report {
    id: LinkId,
    mailbox: Rc<Mailbox>,
    counters: Arc<ChannelCounters>,
    /// Once it is connected.
    name: OnceCell<Rc<ConnectionName>>,
    is_over: Cell<bool>,
}

impl Report {
    fn connected(&self, connection: Connection) {
        let _ = self.name.set(Rc::clone(connection.name()));
        self.counters.connection_opened(self.id.connection, Arc::clone(connection.counters()));
        self.mailbox.post(Mail::Dialed(self.id.subchannel, self.id.connection, Ok(connection)));
    }

    fn successor_wanted(&self, cause: String) {
        self.mailbox.post(Mail::SuccessorWanted(self.id.subchannel, self.id.connection, cause));
    }

    fn draining(&self, cause: String) {
        self.mailbox.post(Mail::Draining(self.id.subchannel, self.id.connection, cause));
    }

    fn too_many_pings(&self, keepalive_time: Option<Duration>) {
        self.mailbox.post(Mail::TooManyPings(self.id.connection, keepalive_time));
    }

    fn over(&self, cause: String) {
        self.is_over.set(true);
        self.counters.connection_closed(self.id.connection);
        let LinkId { subchannel, connection } = self.id;
        self.mailbox.post(if let Some(name) = self.name.get() {
            // Told here, because the end of one that was replaced or was draining changes no state.
            log(LogLevel::Info, Room::Http, || format!("{name}: over: {cause}"));
            Mail::Ended(subchannel, connection, cause)
        } else {
            Mail::Dialed(subchannel, connection, Err(cause))
        });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.is_over.get() {
            self.over("given up".into());
        }
    }
}
