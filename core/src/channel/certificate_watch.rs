//! Looking at the files of TLS credentials: one task for each credentials object on a loop, while channels use it.
//!
//! It looks every so often and when somebody is about to connect. What it finds is taken only if a second look finds the same, so a
//! file that is being written, or one of two that belong together, is not taken for what it will be.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::mailbox::{Mail, Mailbox};
use crate::observe::log::{LogLevel, Room, log};
use crate::policy::expiry;
use crate::runtime::{Driver, Task, sleep_until};
use crate::time::{Time, earliest};
use crate::transport::tls::source::{Look, Source};

/// Between the two looks.
const SETTLE: Duration = Duration::from_millis(50);

/// A dial waits no longer for a look: a file system that hangs must not keep a channel from connecting with what it has.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a look at the files brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CertificateNews {
    /// Connections are made with other material from now on.
    Replaced {
        /// For people.
        words: String,
        /// When the certificate that was in use before expires; since 1970.
        old_ends: Option<Duration>,
    },
    /// Nothing has changed, though the files have.
    Refused {
        /// Why, for people.
        words: String,
    },
}

/// The watches of one loop.
pub(crate) struct Watches<T: Task>(RefCell<Vec<Weak<Watch<T>>>>);

impl<T: Task> Default for Watches<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// Looks after one credentials object. It ends with the last that holds it.
pub(super) struct Watch<T: Task> {
    shared: Rc<Shared>,
    task: T,
}

impl<T: Task> Drop for Watch<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    source: Arc<Source>,
    readers: RefCell<Vec<Reader>>,
    next_reader: Cell<u64>,
    /// Somebody asks for a look, or another interval.
    asked: Notify,
    /// How many looks have begun, and ended.
    begun: Cell<u64>,
    ended: Cell<u64>,
    looked: Notify,
}

/// A channel that is told.
struct Reader {
    number: u64,
    /// `None` looks only when somebody is about to connect.
    interval: Option<Duration>,
    mailbox: Weak<Mailbox>,
}

/// A channel's place at a watch.
pub(super) struct Visit<T: Task> {
    watch: Rc<Watch<T>>,
    number: u64,
}

impl<T: Task> Visit<T> {
    pub(super) fn watch(&self) -> &Rc<Watch<T>> {
        &self.watch
    }
}

impl<T: Task> Drop for Visit<T> {
    fn drop(&mut self) {
        self.watch.shared.readers.borrow_mut().retain(|reader| reader.number != self.number);
    }
}

impl<T: Task> Watches<T> {
    /// The watch of this source, begun now unless there is one.
    pub(super) fn visit<D: Driver<Task = T>>(
        &self,
        driver: &D,
        source: &Arc<Source>,
        interval: Option<Duration>,
        mailbox: &Rc<Mailbox>,
    ) -> Visit<T> {
        let mut watches = self.0.borrow_mut();
        watches.retain(|watch| watch.strong_count() > 0);
        let is_theirs = |watch: &Rc<Watch<T>>| Arc::ptr_eq(&watch.shared.source, source);
        let watch = watches.iter().filter_map(Weak::upgrade).find(is_theirs).unwrap_or_else(|| {
            let watch = Rc::new(Watch::begin(driver, source));
            watches.push(Rc::downgrade(&watch));
            watch
        });
        let number = watch.shared.add(interval, mailbox);
        Visit { watch, number }
    }
}

impl<T: Task> Watch<T> {
    fn begin<D: Driver<Task = T>>(driver: &D, source: &Arc<Source>) -> Self {
        let shared = Rc::new(Shared {
            source: Arc::clone(source),
            readers: RefCell::default(),
            next_reader: Cell::new(0),
            asked: Notify::new(),
            begun: Cell::new(0),
            ended: Cell::new(0),
            looked: Notify::new(),
        });
        let (looks, task_driver) = (Rc::clone(&shared), driver.clone());
        let task = driver.spawn(async move { looks.run(&task_driver).await });
        Self { shared, task }
    }

    /// The version of what connections are made with now.
    pub(super) fn version(&self) -> u64 {
        self.shared.source.material().version
    }

    /// Waits until a look that begins from now on is over, if that does not take long.
    pub(super) async fn looked<D: Driver>(&self, driver: &D) {
        let shared = &self.shared;
        let wanted = shared.begun.get() + 1;
        shared.asked.notify_one();
        let give_up = driver.sleep_until(driver.now() + PATIENCE);
        let looked = async {
            while shared.ended.get() < wanted {
                shared.looked.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = looked => {}
            () = give_up => {}
        }
    }
}

/// What a watch remembers between looks.
struct Memory {
    /// The version of the material that channels were told of.
    version: u64,
    old_ends: Option<Duration>,
    /// What was found last and could not be used.
    refused: Option<Look>,
    /// What was told of that.
    told: Option<String>,
}

impl Shared {
    fn add(&self, interval: Option<Duration>, mailbox: &Rc<Mailbox>) -> u64 {
        let number = self.next_reader.replace(self.next_reader.get() + 1);
        self.readers.borrow_mut().push(Reader { number, interval, mailbox: Rc::downgrade(mailbox) });
        number
    }

    async fn run<D: Driver>(&self, driver: &D) {
        let material = self.source.material();
        let mut memory =
            Memory { version: material.version, old_ends: material.certificate_ends(), refused: None, told: None };
        drop(material);
        let mut again_at = None;
        loop {
            let interval = self.readers.borrow().iter().filter_map(|reader| reader.interval).min();
            let deadline = earliest([again_at.take(), interval.map(|interval| driver.now() + interval)]);
            tokio::select! {
                biased;
                () = self.asked.notified() => {}
                () = sleep_until(driver, deadline) => {}
            }
            self.begun.set(self.begun.get() + 1);
            again_at = self.look(driver, &mut memory).await;
            self.tell_of_change(driver, &mut memory);
            self.ended.set(self.begun.get());
            self.looked.notify_waiters();
        }
    }

    /// Looks, and takes what is found if it is other than before. When to look again at the latest, if something is going on.
    async fn look<D: Driver>(&self, driver: &D, memory: &mut Memory) -> Option<Time> {
        let found = self.read(driver).await;
        if found.as_ref().is_ok_and(|contents| self.source.is_in_use(contents)) {
            (memory.refused, memory.told) = (None, None);
            return None;
        }
        if memory.refused.as_ref() == Some(&found) {
            return None;
        }
        driver.sleep_until(driver.now() + SETTLE).await;
        let again = self.read(driver).await;
        if again != found {
            return Some(driver.now() + SETTLE);
        }
        let taken = match found.clone() {
            Err(cause) => Err(cause),
            Ok(contents) => {
                let source = Arc::clone(&self.source);
                let taken = driver.offload(move || source.take(contents)).await;
                taken.unwrap_or_else(|cause| Err(format!("they cannot be read: {cause}")))
            }
        };
        match taken {
            Ok(()) => (memory.refused, memory.told) = (None, None),
            Err(cause) => {
                memory.refused = Some(found);
                self.tell_of_refusal(memory, cause);
            }
        }
        None
    }

    async fn read<D: Driver>(&self, driver: &D) -> Look {
        let Some(looking) = self.source.begin_look() else {
            return Err("they cannot be read: earlier looks have not ended".to_owned());
        };
        let found = driver.offload(move || looking.look()).await;
        found.unwrap_or_else(|cause| Err(format!("they cannot be read: {cause}")))
    }

    /// The same cause is told once, however often the files change without its going away.
    fn tell_of_refusal(&self, memory: &mut Memory, cause: String) {
        if memory.told.as_ref() == Some(&cause) {
            return;
        }
        let words = format!("the TLS files cannot be used, so what was read before stays in use: {cause}");
        log(LogLevel::Warn, Room::Tls, || words.clone());
        memory.told = Some(cause);
        self.tell(&CertificateNews::Refused { words });
    }

    /// Tells of newer material, whichever loop took it.
    fn tell_of_change<D: Driver>(&self, driver: &D, memory: &mut Memory) {
        let material = self.source.material();
        if material.version == memory.version {
            return;
        }
        let ends = |ends| format!("; the client's certificate {}", expiry::words(driver.time_of_day(), ends));
        let words =
            format!("the TLS files were read again{}", material.certificate_ends().map(ends).unwrap_or_default());
        log(LogLevel::Info, Room::Tls, || words.clone());
        let old_ends = std::mem::replace(&mut memory.old_ends, material.certificate_ends());
        memory.version = material.version;
        self.tell(&CertificateNews::Replaced { words, old_ends });
    }

    fn tell(&self, news: &CertificateNews) {
        for mailbox in self.readers.borrow().iter().filter_map(|reader| reader.mailbox.upgrade()) {
            mailbox.post(Mail::Certificates(news.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
