//! Values that are equal for most of their owners, kept once.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The values in use that were made last. Most programs make all their channels alike, and few make them in many ways.
#[derive(Debug)]
pub(crate) struct Interned<T>(Mutex<Vec<Weak<T>>>);

/// A search through more would cost more than it saves.
const MOST_KNOWN: usize = 16;

impl<T> Interned<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T: PartialEq> Interned<T> {
    /// The value that is equal to this one, if one is in use; else this one.
    pub(crate) fn one(&self, value: T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.strong_count() > 0);
        let same = known.iter().filter_map(Weak::upgrade).find(|known| **known == value);
        same.unwrap_or_else(|| {
            let new = Arc::new(value);
            if known.len() == MOST_KNOWN {
                known.remove(0);
            }
            known.push(Arc::downgrade(&new));
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_for_as_long_as_somebody_has_it() {
        let interned = Interned::new();
        let (first, same, other) = (interned.one(1), interned.one(1), interned.one(2));
        assert!(Arc::ptr_eq(&first, &same));
        assert_eq!(*other, 2);
        drop((first, same, other));
        interned.one(3);
        assert_eq!(interned.0.lock().expect("whole").len(), 1, "nothing is kept for nobody");
    }

    #[test]
    fn few_values_are_remembered() {
        let interned = Interned::new();
        let all: Vec<_> = (0..2 * MOST_KNOWN).map(|number| interned.one(number)).collect();
        assert_eq!(interned.0.lock().expect("whole").len(), MOST_KNOWN);
        assert!(Arc::ptr_eq(&interned.one(2 * MOST_KNOWN - 1), &all[2 * MOST_KNOWN - 1]));
        assert!(!Arc::ptr_eq(&interned.one(0), &all[0]));
    }
}
