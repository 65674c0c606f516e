//! Addresses that are told while the program runs: targets `told:` have those of the line that came last.

use std::net::{AddrParseError, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linkspan_core::{Resolver, ResolverAddress, ResolverFactory, ResolverSender, ResolverTarget, ResolverUpdate};

/// What was told. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    newest: Option<ResolverUpdate>,
    listeners: Vec<ResolverSender>,
}

impl Told {
    /// All addresses there are from now on, separated by commas.
    pub(crate) fn tell(&self, line: &str) -> Result<(), AddrParseError> {
        let addresses = line.trim_end().split(',').map(str::parse::<SocketAddr>).collect::<Result<Vec<_>, _>>()?;
        let update = ResolverUpdate::of_each(addresses.into_iter().map(ResolverAddress::from));
        let mut state = self.state();
        state.listeners.retain(|listener| listener.update(update.clone()));
        state.newest = Some(update);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolverFactory for Told {
    fn start(&self, _: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        let mut state = self.state();
        if let Some(newest) = &state.newest {
            results.update(newest.clone());
        }
        state.listeners.push(results);
        Ok(Box::new(Listens))
    }
}

/// Nothing more is known than what was told.
struct Listens;

impl Resolver for Listens {}
