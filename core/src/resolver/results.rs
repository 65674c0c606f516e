//! What a resolver of the host's own says, on its way from any thread to the channel's loop.
//!
//! The newest result waits to be taken, and the error after it, if there is one: whoever says much says it to nobody but itself. The lock is held for
//! as long as it takes to put one of them down.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::Resolution;
use super::target::Target;
use crate::address::Address;
use crate::error::Error;
use crate::generation::process_generation;
use crate::service_config::ServiceConfig;

/// What a resolver has found. It replaces what it has found before as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolverUpdate {
    /// Each backend with its addresses, in the order they are to be tried in. The same addresses in any order are the same backend, which keeps
    /// its connection. Without any the channel fails its calls and asks again.
    pub endpoints: Vec<Vec<ResolverAddress>>,
    /// A service config as JSON. `None`: the channel's own holds. One with a mistake leaves the one before in place; at first the whole update is
    /// an error.
    pub service_config: Option<String>,
}

impl ResolverUpdate {
    /// Backends with one address each, and no service config.
    #[must_use]
    pub fn of_each(addresses: impl IntoIterator<Item = ResolverAddress>) -> Self {
        let endpoints = addresses.into_iter().map(|address| vec![address]).collect();
        Self { endpoints, service_config: None }
    }

    fn read(self) -> Resolution {
        let boxed =
            |endpoint: Vec<ResolverAddress>| endpoint.into_iter().map(|ResolverAddress(address)| address).collect();
        let parsed = |text: String| ServiceConfig::parse(&text).map(Arc::new).map_err(|mistakes| mistakes.to_string());
        Resolution {
            endpoints: self.endpoints.into_iter().map(boxed).collect(),
            service_config: self.service_config.map(parsed),
            // A host's own resolver tells when it knows better.
            valid_for: None,
        }
    }
}

/// One address of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverAddress(Address);

impl From<SocketAddr> for ResolverAddress {
    fn from(address: SocketAddr) -> Self {
        Self(Address::Inet(address))
    }
}

impl FromStr for ResolverAddress {
    type Err = Error;

    /// `10.0.0.1:50051`, `[::1]:50051`, `unix:path`, or a `host:port` that the system looks up whenever it is dialed; the port is 443 where none is
    /// said.
    ///
    /// # Errors
    /// [`ErrorKind::BadTarget`](crate::ErrorKind::BadTarget), saying what is wrong.
    fn from_str(text: &str) -> Result<Self, Error> {
        Target::parse_address(text).map(Self)
    }
}

impl fmt::Display for ResolverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a resolver says what it finds, from any thread and whenever it likes. Clones lead to the same channel.
///
/// A resolver that drops all of them is done: after a result that result stays until the channel asks again, which starts another resolver;
/// without one that is an error.
#[derive(Clone)]
pub struct ResolverSender(Arc<Saying>);

impl ResolverSender {
    /// Says what was found. Of updates that come faster than the channel takes them the newest counts. `false` when nobody listens any more.
    pub fn update(&self, update: ResolverUpdate) -> bool {
        // Read here, so that a large config costs the loop nothing.
        let resolution = update.read();
        self.0.slot.put(|state| (state.found, state.error) = (Some(resolution), None))
    }

    /// Says that nothing could be found, and why. What was found before stays in use; without it calls fail with this text. `false` when nobody
    /// listens any more.
    pub fn error(&self, text: impl Into<String>) -> bool {
        let text = text.into();
        self.0.slot.put(|state| state.error = Some(text))
    }

    /// Whether the channel has no use for this resolver any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.slot.state().is_none_or(|state| state.is_closed)
    }
}

impl fmt::Debug for ResolverSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverSender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// All clones of one sender.
struct Saying {
    slot: Arc<Slot>,
}

impl Drop for Saying {
    fn drop(&mut self) {
        self.slot.put(|state| state.is_over = true);
    }
}

/// The channel's side. Nothing is taken from the resolver once it is dropped.
pub(super) struct Results(Arc<Slot>);

struct Slot {
    /// Of the process that made it; in a forked child the channel has another one, and this lock may be nobody's.
    generation: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    found: Option<Resolution>,
    /// What went wrong after that was found.
    error: Option<String>,
    /// The resolver says nothing more.
    is_over: bool,
    /// The channel listens no more.
    is_closed: bool,
    waker: Option<Waker>,
}

pub(super) fn results() -> (ResolverSender, Results) {
    let slot = Arc::new(Slot { generation: process_generation(), state: Mutex::default() });
    (ResolverSender(Arc::new(Saying { slot: Arc::clone(&slot) })), Results(slot))
}

impl Results {
    /// What the resolver says next; `None` when it says nothing more.
    ///
    /// Cancel safe.
    pub(super) async fn next(&self) -> Option<Result<Resolution, String>> {
        poll_fn(|cx| {
            let Some(mut state) = self.0.state() else { return Poll::Ready(None) };
            if let Some(found) = state.found.take() {
                return Poll::Ready(Some(Ok(found)));
            }
            if let Some(error) = state.error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if state.is_over {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        let Some(mut state) = self.0.state() else { return };
        state.is_closed = true;
        (state.found, state.error, state.waker) = (None, None, None);
    }
}

impl Slot {
    /// `None` where it is the parent's.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let is_ours = self.generation == process_generation();
        is_ours.then(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts something down and wakes the loop, unless nobody listens.
    fn put(&self, what: impl FnOnce(&mut State)) -> bool {
        let Some(mut state) = self.state() else { return false };
        if state.is_closed {
            return false;
        }
        what(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn update(addresses: &[&str]) -> ResolverUpdate {
        ResolverUpdate::of_each(addresses.iter().map(|text| text.parse().expect("an address")))
    }

    /// Everything that waits: addresses of results, texts of errors, and "over".
    fn taken(results: &Results) -> Vec<String> {
        let mut taken = Vec::new();
        loop {
            match pin!(results.next()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => return taken,
                Poll::Ready(None) => {
                    taken.push("over".to_owned());
                    return taken;
                }
                Poll::Ready(Some(Err(text))) => taken.push(text),
                Poll::Ready(Some(Ok(resolution))) => {
                    let addresses: Vec<String> = resolution.addresses().map(ToString::to_string).collect();
                    taken.push(addresses.join(","));
                }
            }
        }
    }

    #[test]
    fn the_newest_result_is_taken_and_the_error_after_it() {
        let (sender, results) = results();
        assert_eq!(taken(&results), [""; 0]);
        assert!(sender.update(update(&["10.0.0.1:1"])));
        assert!(sender.update(update(&["10.0.0.2:1", "10.0.0.3:1"])));
        assert_eq!(taken(&results), ["10.0.0.2:1,10.0.0.3:1"]);
        sender.error("one");
        sender.error("two");
        assert_eq!(taken(&results), ["two"]);
        sender.error("before");
        sender.update(update(&["10.0.0.4:1"]));
        sender.error("after");
        assert_eq!(taken(&results), ["10.0.0.4:1", "after"]);
    }

    #[test]
    fn it_is_over_when_the_last_sender_is_dropped_and_not_before_all_is_taken() {
        let (sender, results) = results();
        let clone = sender.clone();
        drop(sender);
        clone.update(update(&["10.0.0.1:1"]));
        drop(clone);
        assert_eq!(taken(&results), ["10.0.0.1:1", "over"]);
    }

    #[test]
    fn a_sender_knows_when_nobody_listens() {
        let (sender, results) = results();
        assert!(!sender.is_closed());
        drop(results);
        assert!(sender.is_closed());
        assert!(!sender.update(ResolverUpdate::default()) && !sender.error("unheard"));
    }

    /// [NAME-80]
    #[test]
    fn endpoints_and_config_are_read_as_they_are_sent() {
        let (sender, results) = results();
        let address = |text: &str| text.parse::<ResolverAddress>().expect(text);
        let endpoints = vec![vec![address("10.0.0.1:1"), address("unix:/a")], vec![address("[::1]:2")]];
        for (config, is_valid) in [("{}", true), ("[]", false)] {
            let service_config = Some(config.to_owned());
            sender.update(ResolverUpdate { endpoints: endpoints.clone(), service_config });
            let Poll::Ready(Some(Ok(resolution))) = pin!(results.next()).poll(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("nothing was sent")
            };
            let sizes: Vec<usize> = resolution.endpoints.iter().map(|endpoint| endpoint.len()).collect();
            assert_eq!(sizes, [2, 1]);
            assert_eq!(resolution.service_config.expect("one").is_ok(), is_valid);
        }
    }

    #[test]
    fn addresses_are_written_as_in_targets() {
        for (text, shown) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("10.0.0.1", "10.0.0.1:443"),
            ("host.internal:80", "host.internal:80"),
            ("unix:/run/a", "unix:/run/a"),
        ] {
            assert_eq!(text.parse::<ResolverAddress>().expect(text).to_string(), shown);
        }
        let address: SocketAddr = "10.0.0.1:80".parse().expect("an address");
        assert_eq!(ResolverAddress::from(address), "10.0.0.1:80".parse().expect("an address"));
        for (text, said) in [
            ("", "address \"\" is empty"),
            ("10.0.0.1:x", "address \"10.0.0.1:x\""),
            ("ipv4:10.0.0.1:1,10.0.0.2:1", "lists several"),
        ] {
            let refused = text.parse::<ResolverAddress>().expect_err(text);
            assert!(refused.message().contains(said), "{refused}");
        }
    }
}
