//! Log lines, for people: written to stderr where the environment asks for them, given to a host's logger where there is one, and made for
//! nobody otherwise.
//!
//! A line has a level, a room it comes from, and a text that begins with what it is about: `channel 3 dns:///x: connection 8 10.0.0.8:443: …`.

pub(crate) mod filter;
pub(crate) mod level;
pub(crate) mod line;
pub(crate) mod names;
#[cfg(test)]
pub(crate) mod overheard;
pub(crate) mod queue;
pub(crate) mod rooms;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use once_cell::race::OnceBox;

use crate::foreign::contain;
use crate::generation::PerProcess;
use filter::Filter;
pub use level::LogLevel;
pub(crate) use rooms::Room;

/// Receives level, room and text of each line. Called on any thread; it must not block.
pub type Logger = Box<dyn Fn(LogLevel, &str, &str) + Send + Sync>;

/// Guards the callback itself: a line is delivered under the read side, so after `set_logger` returns the old one is not running.
static LOGGER: PerProcess<Shared> = PerProcess::of_first(RwLock::new(None));

type Shared = RwLock<Option<Arc<Logger>>>;

/// A forked child has its parent's logger, but for one that was being set at the moment of the fork.
fn shared() -> &'static Shared {
    LOGGER.get(|parents| RwLock::new(parents.try_read().ok().and_then(|logger| logger.clone())))
}

/// How loud a line of each room may be for anybody to want it; 0 is that nobody listens. Made of the three below, which a forked child has from
/// its parent like these.
static WANTED: [AtomicU8; Room::COUNT] = [const { AtomicU8::new(0) }; Room::COUNT];
static HAS_LOGGER: AtomicBool = AtomicBool::new(false);
static OF_LOGGER: AtomicU8 = AtomicU8::new(LogLevel::Info as u8);
static OUTPUT: OnceBox<Output> = OnceBox::new();

/// Where lines go that the environment asks for.
struct Output {
    filter: Filter,
    write: fn(LogLevel, Room, &str),
}

/// Sets the process's logger, or takes it away. It gets lines as loud as [`set_log_level`] says. One that panics loses its line. Must not be
/// called from inside a logger.
pub fn set_logger(logger: Option<Logger>) {
    HAS_LOGGER.store(logger.is_some(), Ordering::SeqCst);
    let before =
        std::mem::replace(&mut *shared().write().unwrap_or_else(PoisonError::into_inner), logger.map(Arc::new));
    drop(before);
    refresh();
}

/// Sets how loud lines may be that the process's logger gets; `None` is that it gets none. It may be called from inside a logger. Default:
/// [`LogLevel::Info`].
pub fn set_log_level(level: Option<LogLevel>) {
    OF_LOGGER.store(level.map_or(0, number), Ordering::SeqCst);
    refresh();
}

/// Lines that this filter lets through are written from now on. The first word counts.
pub(crate) fn write_to(filter: Filter, write: fn(LogLevel, Room, &str)) {
    let _ = OUTPUT.set(Box::new(Output { filter, write }));
    refresh();
}

/// Of two that do this at once, the one that is last has seen what the other has changed.
fn refresh() {
    loop {
        let of_logger = of_logger();
        for room in Room::ALL {
            let written = OUTPUT.get().map_or(0, |output| output.filter.of(room));
            WANTED[room as usize].store(written.max(of_logger), Ordering::SeqCst);
        }
        if self::of_logger() == of_logger {
            return;
        }
    }
}

/// What the logger wants; in tests also what they listen to.
fn of_logger() -> u8 {
    #[cfg(test)]
    if overheard::is_listening() {
        return number(LogLevel::Trace);
    }
    if HAS_LOGGER.load(Ordering::SeqCst) { OF_LOGGER.load(Ordering::SeqCst) } else { 0 }
}

fn number(level: LogLevel) -> u8 {
    level as u8
}

/// Whether somebody wants such a line.
#[inline]
fn is_wanted(level: LogLevel, room: Room) -> bool {
    number(level) <= WANTED[room as usize].load(Ordering::Relaxed)
}

/// Tells a line to whoever wants it. The text is made only then.
#[inline]
pub(crate) fn log(level: LogLevel, room: Room, text: impl FnOnce() -> String) {
    if is_wanted(level, room) {
        tell(level, room, &text());
    }
}

#[cold]
fn tell(level: LogLevel, room: Room, text: &str) {
    #[cfg(test)]
    overheard::hear(level, room, text);
    if let Some(output) = OUTPUT.get().filter(|output| number(level) <= output.filter.of(room)) {
        (output.write)(level, room, text);
    }
    if number(level) > of_logger() {
        return;
    }
    if let Some(logger) = &*shared().read().unwrap_or_else(PoisonError::into_inner) {
        // A logger that panics loses its line; there is nobody else to tell.
        contain(|| logger(level, room.name(), text));
    }
}
