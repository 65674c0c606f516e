//! Checked handles: 64-bit ids instead of pointers, so that no mistake with one touches memory.
//!
//! ```text
//! 63      56 55       48 47              24 23              3 2     0
//! [  kind  ][ process   ][    filling     ][     slot        ][shard]
//! ```
//! Each kind has its own [`Table`]. A slot counts how often it was filled; a handle carries the count of its own filling, so an
//! old handle is recognised for what it is. It also carries the generation of its process: a forked child begins with empty tables,
//! looks at none of its parent's, and knows a handle of the parent's by its number alone. The locks here are leaves: nothing is
//! called while one is held, and what leaves a table is dropped after its lock is let go, because dropping may run host code.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use linkspan_core::{PerProcess, process_generation};

use crate::error::{LINKSPAN_ECLOSED, LINKSPAN_EFORKED, LINKSPAN_EHANDLE, LINKSPAN_ELIMIT, Refusal};
use crate::fork;

/// Any object of this library. 0 is never valid; what the bits mean is private.
pub type linkspan_handle = u64;

/// What a handle leads to. The numbers are arbitrary but far from what small integers and ASCII look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Options = 0xa1,
    Engine = 0xa2,
    Queue = 0xa3,
    Credentials = 0xa4,
    Channel = 0xa5,
    Call = 0xa6,
    Buffer = 0xa7,
    /// Never handed out: the tag core carries for a watch.
    Watch = 0xa8,
    Request = 0xa9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Options,
        Self::Engine,
        Self::Queue,
        Self::Credentials,
        Self::Channel,
        Self::Call,
        Self::Buffer,
        Self::Watch,
        Self::Request,
    ];

    pub(crate) fn of(handle: linkspan_handle) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| u64::from(*kind as u8) == handle >> KIND_SHIFT)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::Engine => "engine",
            Self::Queue => "queue",
            Self::Credentials => "credentials",
            Self::Channel => "channel",
            Self::Call => "call",
            Self::Buffer => "buffer",
            Self::Watch => "watch",
            Self::Request => "request",
        }
    }
}

const KIND_SHIFT: u32 = 56;
const PROCESS_SHIFT: u32 = 48;
const FILLING_SHIFT: u32 = 24;
/// A slot that was filled this often is retired.
const LAST_FILLING: u32 = (1 << (PROCESS_SHIFT - FILLING_SHIFT)) - 1;
const SHARD_BITS: u32 = 3;
const SHARDS: usize = 1 << SHARD_BITS;
const SLOTS_PER_SHARD: usize = 1 << (FILLING_SHIFT - SHARD_BITS);

/// All live handles of one kind. Threads insert into shards of their own choice, so they rarely meet.
pub(crate) struct Table<T> {
    kind: Kind,
    shards: PerProcess<Shards<T>>,
}

struct Shards<T> {
    locked: [RwLock<Shard<T>>; SHARDS],
    live: [AtomicU64; SHARDS],
}

struct Shard<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    /// The count of the current filling, or of the next one while empty. Starts at 1; a slot that used up its counts is retired.
    filling: u32,
    /// How many closes the handle still takes; only buffers are ever held more than once.
    holds: u32,
    value: Option<T>,
}

/// Where a handle points, once its kind is known to fit.
struct Place {
    shard: usize,
    slot: usize,
    filling: u32,
}

/// Whether a handle was handed out by a process this one is a forked child of.
pub(crate) fn is_parents(handle: linkspan_handle) -> bool {
    Kind::of(handle).is_some() && process_of(handle) < this_process()
}

fn process_of(handle: linkspan_handle) -> u64 {
    handle >> PROCESS_SHIFT & 0xff
}

/// Counted round after 256 processes that each forked the next.
fn this_process() -> u64 {
    process_generation() & 0xff
}

impl<T> Shards<T> {
    const fn new() -> Self {
        Self {
            locked: [const { RwLock::new(Shard { slots: Vec::new(), free: Vec::new() }) }; SHARDS],
            live: [const { AtomicU64::new(0) }; SHARDS],
        }
    }
}

impl<T> Table<T> {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self { kind, shards: PerProcess::of_first(Shards::new()) }
    }

    pub(crate) fn insert(&self, value: T) -> Result<linkspan_handle, Refusal> {
        fork::watch();
        let shard_number = shard_of_this_thread();
        let mut shard = self.write(shard_number);
        let slot_number = match shard.free.pop() {
            Some(number) => number as usize,
            None if shard.slots.len() < SLOTS_PER_SHARD => {
                shard.slots.push(Slot { filling: 1, holds: 0, value: None });
                shard.slots.len() - 1
            }
            None => {
                drop(shard);
                return Err(Refusal::told(
                    LINKSPAN_ELIMIT,
                    format!("too many live {} handles; close some", self.kind.name()),
                ));
            }
        };
        let slot = &mut shard.slots[slot_number];
        slot.holds = 1;
        slot.value = Some(value);
        self.shards().live[shard_number].fetch_add(1, Relaxed);
        Ok(self.handle(shard_number, slot_number, slot.filling))
    }

    /// Looks at the value under the lock, so `look` must be short and must not call anything that waits or runs host code.
    pub(crate) fn with<R>(&self, handle: linkspan_handle, look: impl FnOnce(&T) -> R) -> Result<R, Refusal> {
        let place = self.place(handle)?;
        let shard = self.read(place.shard);
        shard.find(self.kind, &place).map(look)
    }

    pub(crate) fn get(&self, handle: linkspan_handle) -> Result<T, Refusal>
    where
        T: Clone,
    {
        self.with(handle, T::clone)
    }

    /// Makes the handle take one more close.
    pub(crate) fn retain(&self, handle: linkspan_handle) -> Result<(), Refusal> {
        let place = self.place(handle)?;
        let mut shard = self.write(place.shard);
        shard.find(self.kind, &place)?;
        let holds = &mut shard.slots[place.slot].holds;
        *holds = holds.checked_add(1).ok_or(Refusal::new(LINKSPAN_ELIMIT, "a buffer is held too often"))?;
        Ok(())
    }

    /// Gives back one hold. The last one closes the handle and hands out the value, to be dropped by the caller.
    pub(crate) fn release(&self, handle: linkspan_handle) -> Result<Option<T>, Refusal> {
        let place = self.place(handle)?;
        let mut shard = self.write(place.shard);
        shard.find(self.kind, &place)?;
        let slot = &mut shard.slots[place.slot];
        slot.holds -= 1;
        if slot.holds > 0 {
            return Ok(None);
        }
        let value = slot.value.take();
        if slot.filling < LAST_FILLING {
            slot.filling += 1;
            shard.free.push(u32::try_from(place.slot).unwrap_or(u32::MAX));
        }
        self.shards().live[place.shard].fetch_sub(1, Relaxed);
        drop(shard);
        Ok(value)
    }

    /// Closes the handle, if it is open, however often it is held.
    pub(crate) fn remove(&self, handle: linkspan_handle) -> Option<T> {
        loop {
            match self.release(handle) {
                Ok(None) => {}
                Ok(Some(value)) => return Some(value),
                Err(_) => return None,
            }
        }
    }

    /// Every live handle whose value fits, with a clone of the value; for the rare work that concerns many.
    pub(crate) fn collect(&self, fits: impl Fn(&T) -> bool) -> Vec<(linkspan_handle, T)>
    where
        T: Clone,
    {
        let mut found = Vec::new();
        for number in 0..SHARDS {
            let shard = self.read(number);
            for (slot_number, slot) in shard.slots.iter().enumerate() {
                if let Some(value) = slot.value.as_ref().filter(|value| fits(value)) {
                    found.push((self.handle(number, slot_number, slot.filling), value.clone()));
                }
            }
        }
        found
    }

    /// How many handles are live; takes no lock.
    pub(crate) fn live(&self) -> u64 {
        self.shards().live.iter().map(|count| count.load(Relaxed)).sum()
    }

    fn handle(&self, shard: usize, slot: usize, filling: u32) -> linkspan_handle {
        u64::from(self.kind as u8) << KIND_SHIFT
            | this_process() << PROCESS_SHIFT
            | u64::from(filling) << FILLING_SHIFT
            | (slot as u64) << SHARD_BITS
            | shard as u64
    }

    fn place(&self, handle: linkspan_handle) -> Result<Place, Refusal> {
        if Kind::of(handle) != Some(self.kind) {
            return Err(never(self.kind));
        }
        if process_of(handle) != this_process() {
            return Err(if is_parents(handle) { forked() } else { never(self.kind) });
        }
        let index = handle & ((1 << FILLING_SHIFT) - 1);
        Ok(Place {
            shard: (index as usize) & (SHARDS - 1),
            slot: (index >> SHARD_BITS) as usize,
            filling: (handle >> FILLING_SHIFT) as u32 & LAST_FILLING,
        })
    }

    fn shards(&self) -> &Shards<T> {
        self.shards.get(|_| Shards::new())
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard<T>> {
        self.shards().locked[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard<T>> {
        self.shards().locked[shard].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Shard<T> {
    fn find(&self, kind: Kind, place: &Place) -> Result<&T, Refusal> {
        let slot = self.slots.get(place.slot).ok_or(never(kind))?;
        match &slot.value {
            Some(value) if slot.filling == place.filling => Ok(value),
            // A retired slot keeps its last count and is empty.
            _ if place.filling != 0 && (place.filling < slot.filling || slot.filling == LAST_FILLING) => {
                Err(Refusal::new(LINKSPAN_ECLOSED, closed_text(kind)))
            }
            _ => Err(never(kind)),
        }
    }
}

fn never(kind: Kind) -> Refusal {
    Refusal::new(
        LINKSPAN_EHANDLE,
        match kind {
            Kind::Options => "not a handle of options",
            Kind::Engine => "not a handle of an engine",
            Kind::Queue => "not a handle of a queue",
            Kind::Credentials => "not a handle of credentials",
            Kind::Channel => "not a handle of a channel",
            Kind::Call => "not a handle of a call",
            Kind::Buffer => "not a handle of a buffer",
            Kind::Watch => "not a handle of a watch",
            Kind::Request => "not a handle of a request",
        },
    )
}

fn forked() -> Refusal {
    Refusal::new(LINKSPAN_EFORKED, "the handle belongs to the parent of this forked process; make a new one")
}

fn closed_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Options => "the options were closed",
        Kind::Engine => "the engine was closed",
        Kind::Queue => "the queue was closed",
        Kind::Credentials => "the credentials were closed",
        Kind::Channel => "the channel was closed",
        Kind::Call => "the call has ended or was closed",
        Kind::Buffer => "the buffer was released",
        Kind::Watch => "the watch has ended",
        Kind::Request => "the request was answered, or nobody waits for it any more",
    }
}

fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    if MINE.get() == usize::MAX {
        MINE.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
    }
    MINE.get()
}

#[cfg(test)]
mod tests;
