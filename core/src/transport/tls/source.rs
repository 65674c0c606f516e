//! Where the material of credentials comes from, and the newest of it: shared by all channels that use them, on any loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::TlsOptions;
use super::material::{Contents, Material};
use super::recipe::Recipe;
use crate::error::Error;
use crate::generation::PerProcess;
use crate::policy::expiry::{Expiry, Validity};

/// What one look at the files found: what is in them, or why that cannot be told.
pub(crate) type Look = Result<Contents, String>;

/// The material of one credentials object.
pub(crate) struct Source {
    recipe: Recipe,
    first: Arc<Material>,
    /// Held to take or to put. A process of its own has sessions of its own: no ticket is to be used twice.
    newest: PerProcess<Mutex<Arc<Material>>>,
    /// So many looks are going on.
    looks: AtomicUsize,
    /// What the log was warned of.
    warned: PerProcess<Mutex<Vec<(&'static str, Expiry)>>>,
}

impl Source {
    /// Blocks where there are files.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) naming the part that cannot be used.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, Error> {
        let recipe = Recipe::new(options)?;
        let first = Arc::new(Material::new(&recipe, Contents::read(&recipe)?, 1)?);
        let newest = PerProcess::new(Mutex::new(Arc::clone(&first)));
        Ok(Self { recipe, first, newest, looks: AtomicUsize::new(0), warned: PerProcess::default() })
    }

    /// Whether anything can change.
    pub(crate) fn has_files(&self) -> bool {
        self.recipe.parts().any(|part| part.is_file())
    }

    /// What handshakes are made with from now on.
    pub(crate) fn material(&self) -> Arc<Material> {
        Arc::clone(&self.newest())
    }

    /// Counts a look that is about to begin, until what is returned is dropped. `None`: so many have not ended that the files are on a system that
    /// does not answer, and one more thread would hang there.
    pub(crate) fn begin_look(self: &Arc<Self>) -> Option<Looking> {
        const MOST: usize = 8;

        let looking = Looking(Arc::clone(self));
        (self.looks.fetch_add(1, Ordering::Relaxed) < MOST).then_some(looking)
    }

    /// Whether this is what is in use.
    pub(crate) fn is_in_use(&self, contents: &Contents) -> bool {
        self.newest().contents == *contents
    }

    /// Uses this from now on.
    ///
    /// # Errors
    /// Why it cannot be used; what was in use stays.
    pub(crate) fn take(&self, contents: Contents) -> Result<(), String> {
        let version = self.newest().version + 1;
        let mut material =
            Material::new(&self.recipe, contents, version).map_err(|cause| cause.message().to_owned())?;
        let mut newest = self.newest();
        // Another loop may have taken the same meanwhile.
        if newest.contents != material.contents {
            material.version = newest.version + 1;
            *newest = Arc::new(material);
        }
        Ok(())
    }

    /// Whether the log is to be warned now of what ends then; each day one channel does it for all.
    pub(crate) fn is_log_due(&self, now: Duration, what: &'static str, of: Validity) -> bool {
        let mut warned = self.warned.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner);
        let place = warned.iter().position(|(other, _)| *other == what).unwrap_or_else(|| {
            warned.push((what, Expiry::default()));
            warned.len() - 1
        });
        warned[place].1.is_due(now, of)
    }

    fn newest(&self) -> MutexGuard<'_, Arc<Material>> {
        let renew = |parents: &Mutex<Arc<Material>>| {
            // A lock of the parent's is not waited for; what is older than need be is found to be so at the next look.
            let parents = parents.try_lock().map_or_else(|_| Arc::clone(&self.first), |newest| Arc::clone(&newest));
            Mutex::new(Arc::new(parents.with_fresh_sessions()))
        };
        self.newest.get(renew).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look at the files.
pub(crate) struct Looking(Arc<Source>);

impl Looking {
    /// Reads the files. Blocks.
    pub(crate) fn look(&self) -> Look {
        Contents::read(&self.0.recipe).map_err(|cause| cause.message().to_owned())
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.looks.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(crate) mod tests;
