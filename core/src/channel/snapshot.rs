//! What calls read: state, picker and the subchannels that are connected, published together and never changed ([LB-9]). Which connections
//! a subchannel has just now, its pool says.

use std::rc::Rc;
use std::sync::Arc;

use super::call_limits::{AddressLimit, AtAddress};
use super::mailbox::Mailbox;
use crate::failure::Failure;
use crate::observe::trail::ConnectTrail;
use crate::policy::balancer::tally::Tally;
use crate::policy::balancer::{FixedPicker, Lack, PickArgs, PickResult, Picker, SubchannelId};
use crate::service_config::ServiceConfig;
use crate::state::State;
use crate::transport::pool::Pool;

/// One published state of a channel.
pub(crate) struct Snapshot {
    pub(crate) state: State,
    picker: Rc<dyn Picker>,
    /// Each in its subchannel's seat.
    connections: Box<[Option<Connected>]>,
    /// Why picks fail; also what a call that waits tells when its deadline passes.
    pub(crate) failure: Option<Failure>,
    pub(crate) trail: Option<Rc<ConnectTrail>>,
    /// Whether addresses are still being looked for.
    pub(crate) is_resolving: bool,
    /// What holds for calls that start now; kept only where resolvers bring it, and `None` until the first has said something.
    pub(crate) service_config: Option<Arc<ServiceConfig>>,
    /// How many calls each address may have; `None` is any number.
    address_limit: Option<Rc<AddressLimit>>,
    /// Who is told of probes, where addresses have breakers.
    breakers: Option<Rc<Mailbox>>,
}

/// A subchannel calls may use.
pub(crate) struct Connected {
    pub(crate) id: SubchannelId,
    pub(crate) pool: Rc<Pool>,
    /// Where calls on it are counted.
    pub(crate) tally: Rc<Tally>,
}

/// Where a call goes.
pub(crate) enum Pick {
    /// There; it is counted from now on.
    Ready(SubchannelId, Rc<Pool>, AtAddress),
    /// Wait for a newer snapshot.
    Queue,
    /// Wait for the end of a call at an address: each has as many as it may have.
    Full,
    /// Fail, unless the call waits for ready.
    Fail(Failure),
    /// The channel is closed: fail in any case.
    Closed,
}

impl Snapshot {
    /// A channel nobody has asked for anything yet.
    pub(super) fn idle() -> Self {
        Self {
            state: State::Idle,
            picker: Rc::new(FixedPicker(PickResult::Queue)),
            connections: Box::default(),
            failure: None,
            trail: None,
            is_resolving: false,
            service_config: None,
            address_limit: None,
            breakers: None,
        }
    }

    pub(super) fn closed(trail: Option<Rc<ConnectTrail>>) -> Self {
        Self { state: State::Shutdown, trail, ..Self::idle() }
    }

    pub(super) fn new(
        state: State,
        picker: Rc<dyn Picker>,
        connections: Box<[Option<Connected>]>,
        failure: Option<Failure>,
        trail: Option<Rc<ConnectTrail>>,
        is_resolving: bool,
        service_config: Option<Arc<ServiceConfig>>,
    ) -> Self {
        Self {
            state,
            picker,
            connections,
            failure,
            trail,
            is_resolving,
            service_config,
            address_limit: None,
            breakers: None,
        }
    }

    /// With so many calls at each address.
    pub(super) fn with_limit(self, address_limit: Option<Rc<AddressLimit>>) -> Self {
        Self { address_limit, ..self }
    }

    /// With addresses behind breakers; this is told of probes.
    pub(super) fn with_breakers(self, breakers: Option<Rc<Mailbox>>) -> Self {
        Self { breakers, ..self }
    }

    /// Where a call goes; not to the connection `refused` it, where there is another.
    pub(crate) fn pick(&self, call: &PickArgs<'_>, refused: Option<u64>) -> Pick {
        if self.state == State::Shutdown {
            return Pick::Closed;
        }
        match self.pick_well(call, refused) {
            // Its circuit breaker has opened a moment ago: a picker that knows is about to come.
            Picked::Ready(to) if !to.tally.admits() => Pick::Queue,
            Picked::Ready(to) if self.is_full(to) => Pick::Full,
            Picked::Ready(to) => {
                let at = AtAddress::new(to.tally.enter(), self.address_limit.as_ref(), self.breakers.as_ref());
                Pick::Ready(to.id, Rc::clone(&to.pool), at)
            }
            Picked::Queue => Pick::Queue,
            Picked::Fail(failure) => Pick::Fail(failure.clone()),
            Picked::FailOnRing(failure) => Pick::Fail(failure.clone().on_ring()),
        }
    }

    /// The first answer where it does, else the best that there is.
    fn pick_well(&self, call: &PickArgs<'_>, refused: Option<u64>) -> Picked<'_> {
        let has_room = |to: &Connected| to.tally.admits() && !self.is_full(to);
        // On a connection that is checked the call would wait, and on one that refused it, it may be refused again.
        let is_best = |to: &Connected| {
            has_room(to) && !to.pool.is_in_doubt() && refused.is_none_or(|refused| to.pool.has_other_than(refused))
        };
        // What was refused once is no probe, where it can be another call.
        if refused.is_some()
            && let Some(best) = self.pick_where(call, &is_best)
        {
            return Picked::Ready(best);
        }
        let first = match self.pick_once(call) {
            Picked::Ready(to) if !is_best(to) => to,
            picked => return picked,
        };
        if let Some(best) = self.pick_where(call, &is_best) {
            return Picked::Ready(best);
        }
        let second_best = if has_room(first) { None } else { self.pick_where(call, &has_room) };
        Picked::Ready(second_best.unwrap_or(first))
    }

    /// One that fulfills this, where the policy may use such a one for the call.
    fn pick_where(&self, call: &PickArgs<'_>, would_do: &dyn Fn(&Connected) -> bool) -> Option<&Connected> {
        let would_go_to = |id| self.connected(id).is_some_and(would_do);
        match self.pick_once(&PickArgs { would_go_to: Some(&would_go_to), ..*call }) {
            Picked::Ready(to) if would_do(to) => Some(to),
            _ => None,
        }
    }

    /// Whether a connection is not in doubt.
    pub(crate) fn has_unchecked(&self) -> bool {
        self.connections.iter().flatten().any(|connected| !connected.pool.is_in_doubt())
    }

    fn is_full(&self, to: &Connected) -> bool {
        self.address_limit.as_ref().is_some_and(|limit| to.tally.in_flight() >= limit.most)
    }

    fn pick_once(&self, call: &PickArgs<'_>) -> Picked<'_> {
        match self.picker.pick(call) {
            // [CONN-25]
            PickResult::Complete(id) => self.connected(id).map_or(Picked::Queue, Picked::Ready),
            PickResult::Queue => Picked::Queue,
            PickResult::Fail(Lack::Connection) => self.failure.as_ref().map_or(Picked::Queue, Picked::Fail),
            PickResult::Fail(Lack::RingMember) => self.failure.as_ref().map_or(Picked::Queue, Picked::FailOnRing),
            PickResult::Fail(Lack::Health) => Picked::Fail(&Failure::Unhealthy),
            PickResult::Fail(Lack::RequestHash) => Picked::Fail(&Failure::NoRequestHash),
            PickResult::Fail(Lack::Breaker) => Picked::Fail(&Failure::BreakersOpen),
        }
    }

    fn connected(&self, id: SubchannelId) -> Option<&Connected> {
        let seat = self.connections.get(id.seat())?.as_ref();
        seat.filter(|connected| connected.id == id && !connected.pool.is_over())
    }
}

/// One pick, not yet decided upon.
enum Picked<'a> {
    Ready(&'a Connected),
    Queue,
    Fail(&'a Failure),
    /// None on the ring could be connected, the last of them because of this.
    FailOnRing(&'a Failure),
}
