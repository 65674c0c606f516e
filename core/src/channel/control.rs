//! The control task: the one owner of a channel's state.
//!
//! It takes one letter at a time, asks the pure rooms what follows, carries their actions out and publishes a snapshot. It
//! holds one deadline: the earliest of its machines.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Shown;
use super::balancing;
use super::call_limits::{AddressLimit, ChannelLimit};
use super::certificate_watch::{CertificateNews, Watches};
use super::certificates::Certificates;
use super::config::ChannelConfig;
use super::configuring::Configuring;
use super::gate::{Gate, Visitor};
use super::health::Said;
use super::mailbox::{Mail, Mailbox};
use super::policies::{first_policy, guarded_policy};
use super::resolving::Resolving;
use super::retrying::Retrying;
use super::showing::{Cause, MOST_NOTES, Showing};
use super::slot::Publisher;
use super::subchannels::{Lost, Subchannels};
use super::usage::Usage;
use crate::address::Address;
use crate::failure::{Dialect, Failure};
use crate::observe::ids::next_id;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::snapshot::ChannelTree;
use crate::observe::trail::{AttemptNote, DialStep};
use crate::policy::balancer::config::BalancingConfig;
use crate::policy::balancer::endpoint::EndpointBook;
use crate::policy::balancer::graceful_switch::GracefulSwitch;
use crate::policy::balancer::{FixedPicker, Health, Lack, LbAction, LbPolicy, PickResult, SubchannelId, SubchannelIds};
use crate::policy::idle::{Activity, Idle};
use crate::resolver::Resolution;
use crate::runtime::{Driver, sleep_until};
use crate::state::State;
use crate::time::{Time, earliest};
use crate::transport::connection::Connection;
use crate::transport::dial::DialSettings;

/// What the control task shares with the channel's calls.
pub(super) struct Shared {
    pub(super) config: Arc<ChannelConfig>,
    pub(super) shown: Arc<Shown>,
    pub(super) mailbox: Rc<Mailbox>,
    pub(super) usage: Rc<Usage>,
    pub(super) limit: Option<Rc<ChannelLimit>>,
    pub(super) address_limit: Option<Rc<AddressLimit>>,
    pub(super) retrying: Rc<Retrying>,
}

/// Starts a channel's control task; `done` runs when it is over, however that comes.
pub(super) fn spawn<D: Driver>(
    driver: &D,
    shared: Shared,
    publisher: Publisher,
    (gate, watches): (Rc<Gate>, Rc<Watches<D::Task>>),
    done: impl FnOnce(Ended) + 'static,
) {
    let Shared { config, shown, mailbox, usage, limit, address_limit, retrying } = shared;
    let settings = Rc::new(DialSettings::new(
        Arc::clone(&config.name),
        Arc::clone(&config.connection),
        Arc::clone(&shown.counters),
    ));
    let mut over = Over { shown: Arc::clone(&shown), ended: Ended::Panicked, done: Some(done) };
    let gate = Visitor::new(gate, Rc::clone(&mailbox));
    let ids = SubchannelIds::numbered_by(next_id);
    let certificates = config.connection.tls.as_ref().map(|tls| {
        let (interval, mailbox) = (config.tls_reload_interval, Rc::clone(&mailbox));
        Certificates::new(driver, &tls.source, watches, interval, mailbox)
    });
    let subchannels = Subchannels::new(
        driver,
        Arc::clone(&config),
        Rc::clone(&settings),
        Rc::clone(&mailbox),
        Rc::clone(&usage),
        gate,
        ids.clone(),
    )
    .with_certificates(certificates);
    let mut control = Control {
        driver: driver.clone(),
        usage,
        limit,
        retrying,
        resolving: Resolving::new(Arc::clone(&config)),
        configuring: Configuring::new(&config),
        policy: first_policy(driver, &config, &ids),
        endpoints: EndpointBook::default(),
        ids,
        idle: Idle::new(config.idle_timeout),
        showing: Showing::new(Arc::clone(&config), Arc::clone(&shown), publisher, address_limit, Rc::clone(&mailbox)),
        mailbox,
        shown,
        settings,
        config,
        subchannels,
        closing: None,
    };
    driver.spawn(async move {
        control.run().await;
        over.well();
    });
}

struct Control<D: Driver> {
    driver: D,
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    mailbox: Rc<Mailbox>,
    usage: Rc<Usage>,
    limit: Option<Rc<ChannelLimit>>,
    retrying: Rc<Retrying>,
    resolving: Resolving<D>,
    /// `None` where the channel's own config holds, whatever the resolver says.
    configuring: Option<Configuring>,
    policy: GracefulSwitch,
    endpoints: EndpointBook,
    ids: SubchannelIds,
    idle: Idle,
    showing: Showing,
    settings: Rc<DialSettings>,
    subchannels: Subchannels<D>,
    /// Set once the channel is closed.
    closing: Option<Closing>,
}

struct Closing {
    /// When connections that are still open are cut.
    cut_at: Option<Time>,
}

impl<D: Driver> Control<D> {
    async fn run(&mut self) {
        loop {
            while let Some(mail) = self.mailbox.take() {
                self.on_mail(mail);
            }
            self.on_time(self.driver.now());
            if self.closing.is_some() && self.subchannels.are_gone() {
                return;
            }
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                () = self.mailbox.arrived() => {}
                () = sleep_until(&self.driver, deadline) => {}
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        if let Some(closing) = &self.closing {
            return closing.cut_at;
        }
        let deadlines = [
            self.subchannels.next_deadline(),
            self.policy.next_deadline(),
            self.resolving.next_deadline(),
            self.idle.next_deadline(),
        ];
        earliest(deadlines)
    }

    fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Ended(_, connection, _) | Mail::Dialed(_, connection, Err(_)) if self.closing.is_some() => {
                self.subchannels.on_link_over(connection);
            }
            Mail::Dialed(_, _, Ok(connection)) if self.closing.is_some() => connection.drain(),
            Mail::Close { linger } => self.on_close(linger),
            _ if self.closing.is_some() => {}
            Mail::Show(show) => show(self.tree()),
            Mail::Wake(words) => self.on_wake(words),
            Mail::ResetBackoff => self.on_reset_backoff(),
            Mail::CallWaits => self.subchannels.on_call_waits(self.driver.now()),
            Mail::ConnectionWanted => self.on_connection_wanted(),
            Mail::GateOpened => {
                self.subchannels.on_gate_opened(self.driver.now());
                self.publish();
            }
            // The deadline is asked for after every letter.
            Mail::LoadReported => {}
            Mail::Resolved(number, found) if self.resolving.on_answer(number) => match found {
                Ok(resolution) => self.on_resolved(resolution),
                Err(failure) => self.on_resolve_failed(failure),
            },
            // The policy looks at its breakers whenever it is told the time, which follows.
            Mail::BreakerChanged => {}
            // Of a look-up that was given up.
            Mail::Resolved(..) => {}
            Mail::Dialed(subchannel, _, Ok(connection)) => self.on_connected(subchannel, connection),
            Mail::Dialed(subchannel, connection, Err(cause)) => self.on_dial_failed(subchannel, connection, cause),
            Mail::TooManyPings(connection, time) => self.on_too_many_pings(connection, time),
            Mail::Draining(subchannel, connection, cause) => self.on_lost(subchannel, connection, cause),
            Mail::SuccessorWanted(subchannel, connection, words) => {
                self.subchannels.on_successor_wanted(self.driver.now(), subchannel, connection, words);
            }
            Mail::Certificates(news) => self.on_certificates(news),
            Mail::HealthTold(subchannel) => self.on_health_told(subchannel),
            Mail::StreamsWanted(subchannel) => self.subchannels.on_streams_wanted(self.driver.now(), subchannel),
            Mail::Ended(subchannel, connection, cause) => {
                self.subchannels.on_link_over(connection);
                self.on_lost(subchannel, connection, format!("the connection was lost: {cause}"));
            }
        }
    }

    fn on_time(&mut self, now: Time) {
        if let Some(closing) = &self.closing {
            if closing.cut_at.is_some_and(|at| at <= now) {
                self.subchannels.cut_all();
                self.closing = Some(Closing { cut_at: None });
            }
            return;
        }
        if self.idle.on_time(now, self.activity()) {
            self.go_idle(now);
        }
        let freed = self.subchannels.on_time(now);
        self.on_freed(now, freed);
        for warning in self.subchannels.take_certificate_warnings(now) {
            self.showing.tell(now, warning);
        }
        self.tell(|policy, actions| policy.on_time(now, actions));
        let is_healthy = self.showing.state() == State::Ready;
        self.resolving.on_time(&self.driver, &self.mailbox, is_healthy, self.activity());
        let has_nothing = !is_healthy && !self.subchannels.have_connections();
        if has_nothing && let Some(failure) = self.resolving.forget_what_is_over() {
            self.on_addresses_over(now, failure);
        }
    }

    /// Told although no state changes.
    fn on_certificates(&mut self, news: CertificateNews) {
        let now = self.driver.now();
        match news {
            CertificateNews::Refused { words } => self.showing.tell(now, words),
            CertificateNews::Replaced { words, old_ends } => {
                self.showing.tell(now, words);
                self.subchannels.on_certificates_replaced(now, old_ends);
            }
        }
    }

    fn activity(&self) -> Activity {
        let has_calls = self.shown.counters.calls_in_flight.read() > 0;
        Activity { has_calls, last_ended: self.usage.last_ended() }
    }

    fn on_wake(&mut self, words: &'static str) {
        if self.showing.state() != State::Idle {
            return;
        }
        let now = self.driver.now();
        self.idle.on_left_idle(now);
        self.showing.because(words);
        if self.resolving.has_result() {
            self.tell(|policy, actions| policy.on_exit_idle(now, actions));
        } else {
            self.resolving.on_wanted(&self.driver, &self.mailbox);
            self.showing.set(now, State::Connecting, Rc::new(FixedPicker(PickResult::Queue)));
            self.publish();
        }
    }

    /// [LB-8]
    fn on_connection_wanted(&mut self) {
        let now = self.driver.now();
        let was_idle = self.showing.state() == State::Idle;
        self.showing.because("a call was started");
        self.tell(|policy, actions| policy.on_connection_wanted(now, actions));
        if was_idle && self.showing.state() != State::Idle {
            self.idle.on_left_idle(now);
        }
    }

    /// [CONN-10]: policy, resolver and connections are let go; streams that still run finish.
    fn go_idle(&mut self, now: Time) {
        let timeout = self.config.idle_timeout.unwrap_or_default();
        self.let_policy_go();
        self.resolving.forget();
        self.showing.on_went_idle();
        self.showing.because(format!("no call was made for {:.1} s", timeout.as_secs_f64()));
        self.showing.set(now, State::Idle, Rc::new(FixedPicker(PickResult::Queue)));
        self.publish();
    }

    fn let_policy_go(&mut self) {
        self.policy = first_policy(&self.driver, &self.config, &self.ids);
        if let Some(configuring) = &mut self.configuring {
            configuring.on_went_idle();
        }
        self.endpoints.forget();
        self.subchannels.remove_all();
    }

    /// DNS has failed for so long that the addresses of before may be another's by now, and none is connected: the channel is as if it had never
    /// had them.
    fn on_addresses_over(&mut self, now: Time, failure: Failure) {
        self.let_policy_go();
        self.showing.keep_notes(|_| false);
        self.on_nothing_found(now, failure);
    }

    fn on_reset_backoff(&mut self) {
        let now = self.driver.now();
        self.showing.because("the backoff was reset");
        let freed = self.subchannels.on_backoff_reset(now);
        self.on_freed(now, freed);
    }

    /// The waits of these are over; they often are so together.
    fn on_freed(&mut self, now: Time, freed: Vec<SubchannelId>) {
        self.tell(|policy, actions| {
            freed.into_iter().for_each(|id| policy.on_subchannel_state(now, id, State::Idle, actions));
        });
    }

    fn on_resolved(&mut self, mut resolution: Resolution) {
        let now = self.driver.now();
        let service_config = match &mut self.configuring {
            None => None,
            Some(configuring) => match configuring.on_resolved(resolution.service_config.take()) {
                Ok(config) => Some(config),
                Err(cause) => {
                    let target = self.config.target.canonical.clone();
                    return self.on_resolve_failed(Failure::ResolverFailed { target, cause });
                }
            },
        };
        let addresses: Vec<Address> = resolution.addresses().cloned().collect();
        self.resolving.log_answer(&addresses, resolution.valid_for);
        let is_first = !self.resolving.has_result();
        self.showing.keep_notes(|wanted| addresses.iter().any(|address| address.to_string() == wanted));
        let found = format!("{} resolved to {} addresses", self.config.target.canonical, addresses.len());
        self.showing.because(found);
        let holding = service_config.as_ref().or(self.config.service_config.as_ref());
        let by_config = holding.and_then(|config| config.max_connections_per_subchannel);
        self.subchannels.set_sizes(now, self.config.pools.sizes(by_config, &addresses));
        self.retrying.on_configured(holding.and_then(|config| config.retry_throttling));
        let service = holding.filter(|_| self.config.checks_health);
        let service = service.and_then(|config| config.health_check_service.as_deref());
        for unchecked in self.subchannels.set_health_service(service) {
            self.tell(|policy, actions| policy.on_health(now, unchecked, Health::Healthy, actions));
        }
        let endpoints = self.endpoints.on_listed(resolution.endpoints);
        let is_accepted = !endpoints.is_empty();
        self.resolving.on_success(now, is_accepted, resolution.valid_for, self.driver.random_unit());
        if !is_accepted {
            // [LB-16]
            let target = self.config.target.canonical.clone();
            self.showing.on_resolve_failed(Failure::ResolverFailed { target, cause: "it found no endpoints".into() });
        }
        if let Some(service_config) = &service_config {
            self.showing.on_configured(Arc::clone(service_config));
        }
        let (driver, config, ids) = (self.driver.clone(), Arc::clone(&self.config), self.ids.clone());
        self.tell(|policy, actions| {
            if let Some(service_config) = &service_config {
                let balancing = balancing::of(Some(service_config), &config.balancing);
                balancing::warn_of_what_is_missing(balancing);
                let make = |balancing: &BalancingConfig| guarded_policy(&driver, &config, balancing, &ids);
                policy.switch_to(now, balancing, driver.random_unit(), make, actions);
            }
            policy.on_endpoints(now, endpoints, actions);
        });
        if service_config.is_some() {
            // Also when the policy does nothing: calls see the config.
            self.publish();
        }
        // The channel left IDLE for a call, whose pick says what to connect, or else because it was asked to (A117).
        if is_first && self.showing.state() == State::Idle && !self.activity().has_calls {
            self.tell(|policy, actions| policy.on_exit_idle(now, actions));
        }
    }

    /// [NAME-44], [NAME-46]
    fn on_resolve_failed(&mut self, failure: Failure) {
        let now = self.driver.now();
        self.resolving.on_failure(now, &failure, self.driver.random_unit());
        self.resolving.log_failure(now, &failure);
        self.settings.counters.note_error(failure.words(Dialect::Native));
        if !self.resolving.has_result() {
            self.on_nothing_found(now, failure);
        }
    }

    fn on_nothing_found(&mut self, now: Time, failure: Failure) {
        self.showing.because(failure.words(Dialect::Native));
        self.showing.on_resolve_failed(failure);
        self.showing.set(now, State::TransientFailure, Rc::new(FixedPicker(PickResult::Fail(Lack::Connection))));
        self.publish();
    }

    fn on_connected(&mut self, subchannel: SubchannelId, connection: Connection) {
        let now = self.driver.now();
        let number = connection.id();
        let Some(address) = self.subchannels.on_connected(now, subchannel, connection) else { return };
        self.showing.on_connected();
        let cause = Cause { words: "connected".into(), address: Some(address), connection: Some(number) };
        self.showing.because(cause);
        let health = self.subchannels.health(subchannel);
        let is_published = self.tell(|policy, actions| {
            // Known before it is READY: one that is to be asked is not used until it answers ([LB-121]).
            policy.on_health(now, subchannel, health, actions);
            policy.on_subchannel_state(now, subchannel, State::Ready, actions);
        });
        // Also when the policy does nothing: a call may have found the others gone before they were known to be.
        if !is_published {
            self.publish();
        }
    }

    /// [LB-121]
    fn on_health_told(&mut self, subchannel: SubchannelId) {
        let now = self.driver.now();
        let Some((said, address)) = self.subchannels.take_health(subchannel) else { return };
        let Said { health, words, connection } = said;
        log(LogLevel::Info, Room::HealthCheckClient, || {
            let (name, number) = (&self.config.name, subchannel.number());
            format!("{name}: subchannel {number} {address}: the server {words}")
        });
        self.showing.because(Cause {
            words: format!("{address} {words}").into(),
            address: Some(address.into()),
            connection,
        });
        self.tell(|policy, actions| policy.on_health(now, subchannel, health, actions));
        // Also when the policy does nothing: a call that fails now tells what is said now.
        self.publish();
    }

    fn on_dial_failed(&mut self, subchannel: SubchannelId, connection: u64, cause: String) {
        self.subchannels.on_link_over(connection);
        let now = self.driver.now();
        let failed = self.subchannels.on_dial_failed(now, subchannel, connection, cause.clone());
        let Some((note, state)) = failed else { return };
        let address = Some(note.address.as_str().into());
        self.showing.on_dial_failed(note);
        if state != State::Ready {
            self.showing.because(Cause { words: cause.into(), address, connection: None });
            self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, state, actions));
        }
        // Also when the policy does nothing: a call whose deadline passes now tells what was tried.
        self.publish();
    }

    /// [CONN-95]
    fn on_too_many_pings(&self, connection: u64, time: Option<Duration>) {
        let new = self.settings.on_too_many_pings(time);
        log(LogLevel::Warn, Room::HttpKeepalive, || {
            let name = &self.config.name;
            let what = new.map_or_else(
                || "keepalive is off".to_owned(),
                |new| format!("new connections are pinged after {} ms of silence", new.as_millis()),
            );
            format!("{name}: connection {connection}: the server says too_many_pings; {what}")
        });
    }

    /// [CONN-32], [CONN-33]
    fn on_lost(&mut self, subchannel: SubchannelId, connection: u64, words: String) {
        let now = self.driver.now();
        let Some(Lost { state, address }) = self.subchannels.on_lost(now, subchannel, connection, &words) else {
            return;
        };
        if state == State::TransientFailure {
            let (address, cause) = (address.clone(), words.clone());
            let (step, took) = (DialStep::Settings, Duration::ZERO);
            self.showing.on_dial_failed(AttemptNote { address, cause, step, took });
        }
        self.showing.because(Cause {
            words: words.into(),
            address: Some(address.into()),
            connection: Some(connection),
        });
        self.tell(|policy, actions| policy.on_subchannel_state(now, subchannel, state, actions));
    }

    fn on_close(&mut self, linger: Option<Duration>) {
        let now = self.driver.now();
        let cut_at = linger.map(|linger| now + linger);
        if let Some(closing) = &mut self.closing {
            closing.cut_at = earliest([closing.cut_at, cut_at]);
            return;
        }
        self.closing = Some(Closing { cut_at });
        self.resolving.stop();
        self.subchannels.remove_all();
        self.showing.close(now);
        if let Some(limit) = &self.limit {
            limit.end();
        }
    }

    /// Tells the policy something, carries out what it asks for and publishes what that changed.
    /// Whether there was anything to publish.
    fn tell(&mut self, event: impl FnOnce(&mut GracefulSwitch, &mut Vec<LbAction>)) -> bool {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        if actions.is_empty() {
            return false;
        }
        let now = self.driver.now();
        for action in actions {
            match action {
                LbAction::Create(id, address, tally) => {
                    log(LogLevel::Debug, Room::Subchannel, || {
                        format!("{}: subchannel {} {address}: made", self.config.name, id.number())
                    });
                    self.subchannels.create(id, address, tally, self.policy.goes_by_health(id));
                }
                LbAction::Remove(id) => self.subchannels.remove(id),
                LbAction::Connect(id) => self.subchannels.connect(now, id),
                LbAction::Reresolve => self.resolving.on_wanted(&self.driver, &self.mailbox),
                LbAction::Publish(state, picker) => {
                    self.log_picker(state);
                    self.showing.set(now, state, picker);
                }
                LbAction::Breaker(turned) => self.showing.on_breaker_turned(turned),
            }
        }
        self.publish();
        true
    }

    fn log_picker(&self, state: State) {
        let policy = self.policy.config().name();
        let room = match policy {
            "pick_first" => Room::PickFirst,
            "round_robin" => Room::RoundRobin,
            "weighted_round_robin" => Room::WeightedRoundRobin,
            _ => Room::LoadBalancing,
        };
        log(LogLevel::Debug, room, || format!("{}: {policy} has a new picker, {}", self.config.name, state.name()));
    }

    /// How things stand.
    fn tree(&self) -> ChannelTree {
        let now = self.driver.now();
        let (failure, service_config) = (self.showing.look_up_failure(), self.showing.service_config_source());
        ChannelTree {
            at: now.since_start(),
            policy: self.policy.config().title(),
            resolver: self.resolving.snapshot(now, self.endpoints.addresses(), failure, service_config),
            subchannels: self.subchannels.snapshots(now),
        }
    }

    fn publish(&self) {
        let connections = self.subchannels.connections();
        let dialing = self.subchannels.dialing().take(MOST_NOTES).collect();
        let look_up = self.resolving.waited_for();
        let ailing = self.subchannels.ailing().take(MOST_NOTES).collect();
        let breakers = self.policy.open_breakers();
        self.showing.publish(connections, dialing, self.subchannels.next_attempt(), look_up, ailing, breakers);
    }
}

/// How a control task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The channel was closed and everything let go.
    Well,
    /// By a bug.
    Panicked,
}

/// Tells that the control task is over when it is dropped.
struct Over<F: FnOnce(Ended)> {
    shown: Arc<Shown>,
    ended: Ended,
    done: Option<F>,
}

impl<F: FnOnce(Ended)> Over<F> {
    fn well(&mut self) {
        self.ended = Ended::Well;
    }
}

impl<F: FnOnce(Ended)> Drop for Over<F> {
    fn drop(&mut self) {
        self.shown.set_state(State::Shutdown);
        if let Some(done) = self.done.take() {
            done(self.ended);
        }
    }
}
