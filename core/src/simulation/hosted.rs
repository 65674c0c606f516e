//! Resolvers of the host's own in worlds: what they say is the story's to tell.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::channels::address;
use super::world::World;
use crate::channel::options::ChannelOptions;
use crate::engine::Channel;
use crate::resolver::host::{Resolver, ResolverFactory, ResolverTarget};
use crate::resolver::results::{ResolverAddress, ResolverSender, ResolverUpdate};
use crate::runtime::simulated::Now;
use crate::time::Time;

/// A target for [`Told`].
pub(crate) const TOLD: &str = "told:///servers";

/// A factory whose resolvers say what they are told to. Clones are the same.
#[derive(Clone)]
pub(crate) struct Told(Arc<Inner>);

struct Inner {
    now: Now,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    conduct: Conduct,
    starts: Vec<Time>,
    asked: Vec<Time>,
    dropped: usize,
    sender: Option<ResolverSender>,
}

/// What a resolver does when it is started or asked.
#[derive(Clone, Default)]
pub(crate) enum Conduct {
    /// Nothing, until it is told to.
    #[default]
    Waits,
    /// It says this when it is started and whenever it is asked.
    Says(Result<ResolverUpdate, String>),
    /// It says this when it is started, and is done.
    SaysOnce(ResolverUpdate),
    RefusesToStart,
    PanicsAtStart,
    PanicsWhenAsked,
    /// It drops its sender and has said nothing.
    EndsAtOnce,
}

impl Told {
    pub(crate) fn does(&self, conduct: Conduct) {
        self.state().conduct = conduct;
    }

    /// The resolver that was started last says this; whether somebody listens.
    pub(crate) fn says(&self, update: ResolverUpdate) -> bool {
        self.state().sender.as_ref().is_some_and(|sender| sender.update(update))
    }

    pub(crate) fn fails(&self, text: &str) -> bool {
        self.state().sender.as_ref().is_some_and(|sender| sender.error(text))
    }

    /// It lets go of its sender.
    pub(crate) fn ends(&self) {
        self.state().sender = None;
    }

    pub(crate) fn starts(&self) -> Vec<Time> {
        self.state().starts.clone()
    }

    pub(crate) fn asked(&self) -> Vec<Time> {
        self.state().asked.clone()
    }

    /// How many of its resolvers are gone.
    pub(crate) fn dropped(&self) -> usize {
        self.state().dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolverFactory for Told {
    fn start(&self, _: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        let now = self.0.now.time();
        let mut state = self.state();
        state.starts.push(now);
        let conduct = state.conduct.clone();
        state.sender = Some(results.clone());
        match conduct {
            Conduct::Waits | Conduct::PanicsWhenAsked => {}
            Conduct::Says(said) => say(&results, said),
            Conduct::SaysOnce(update) => {
                results.update(update);
                state.sender = None;
            }
            Conduct::RefusesToStart => return Err("no agent is there".to_owned()),
            Conduct::PanicsAtStart => panic!("a resolver has a bug"),
            Conduct::EndsAtOnce => state.sender = None,
        }
        Ok(Box::new(At(self.clone())))
    }
}

fn say(sender: &ResolverSender, said: Result<ResolverUpdate, String>) {
    match said {
        Ok(update) => sender.update(update),
        Err(text) => sender.error(text),
    };
}

/// One of them at work.
struct At(Told);

impl Resolver for At {
    fn resolve_now(&mut self) {
        let now = self.0.0.now.time();
        let mut state = self.0.state();
        state.asked.push(now);
        match (state.conduct.clone(), &state.sender) {
            (Conduct::PanicsWhenAsked, _) => panic!("a resolver has a bug"),
            (Conduct::Says(said), Some(sender)) => say(sender, said),
            _ => {}
        }
    }
}

impl Drop for At {
    fn drop(&mut self) {
        self.0.state().dropped += 1;
    }
}

impl World {
    pub(crate) fn told(&self) -> Told {
        Told(Arc::new(Inner { now: self.driver().clock().reader(), state: Mutex::default() }))
    }

    /// A channel whose endpoints are what `told` says.
    pub(crate) fn told_channel(&self, told: &Told, mut options: ChannelOptions) -> Channel {
        options.add_resolver("told", Arc::new(told.clone())).expect("a scheme");
        self.channel(TOLD, &options)
    }
}

/// These servers, each an endpoint, with this config.
pub(crate) fn servers(numbers: impl IntoIterator<Item = u8>, service_config: Option<&str>) -> ResolverUpdate {
    let each = |number| address(number).to_string().parse::<ResolverAddress>().expect("an address");
    let update = ResolverUpdate::of_each(numbers.into_iter().map(each));
    ResolverUpdate { service_config: service_config.map(str::to_owned), ..update }
}
