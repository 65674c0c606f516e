//! A channel's certificates: when they are looked at, when a connection made with older ones is replaced, and when they expire.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::certificate_watch::{Visit, Watch, Watches};
use super::mailbox::Mailbox;
use crate::observe::log::{LogLevel, Room, log};
use crate::policy::expiry::{self, Expiry, Validity};
use crate::runtime::Driver;
use crate::time::{Time, earliest};
use crate::transport::tls::source::Source;

/// Connections made with older certificates are replaced within so long, each at its own time: all clients of a server may get
/// new certificates at the same moment.
const SPREAD: Duration = Duration::from_secs(10);

pub(super) struct Certificates<D: Driver> {
    driver: D,
    source: Arc<Source>,
    watches: Rc<Watches<D::Task>>,
    interval: Option<Duration>,
    mailbox: Rc<Mailbox>,
    /// While the channel connects or is connected, where there are files.
    visit: Option<Visit<D::Task>>,
    /// When to look whether something expires, during the same time.
    look_at: Option<Time>,
    certificate: Expiry,
    roots: Expiry,
}

impl<D: Driver> Certificates<D> {
    pub(super) fn new(
        driver: &D,
        source: &Arc<Source>,
        watches: Rc<Watches<D::Task>>,
        interval: Option<Duration>,
        mailbox: Rc<Mailbox>,
    ) -> Self {
        Self {
            driver: driver.clone(),
            source: Arc::clone(source),
            watches,
            interval,
            mailbox,
            visit: None,
            look_at: None,
            certificate: Expiry::default(),
            roots: Expiry::default(),
        }
    }

    /// A connection is about to be dialed: who must have looked first.
    pub(super) fn on_dial(&mut self, now: Time) -> Option<Rc<Watch<D::Task>>> {
        self.look_at.get_or_insert(now);
        if !self.source.has_files() {
            return None;
        }
        let visit = || self.watches.visit(&self.driver, &self.source, self.interval, &self.mailbox);
        Some(Rc::clone(self.visit.get_or_insert_with(visit).watch()))
    }

    /// The channel has no connections and wants none.
    pub(super) fn on_rest(&mut self) {
        (self.visit, self.look_at) = (None, None);
    }

    /// There are other certificates now.
    pub(super) fn on_replaced(&mut self, now: Time) {
        self.look_at = Some(now);
    }

    /// Whether a connection made with this version of the material is older than those made now.
    pub(super) fn is_old(&self, version: u64) -> bool {
        version < self.source.material().version
    }

    /// When a connection that is older is replaced: before its certificate expires, if that is known.
    pub(super) fn replace_at(&self, now: Time, old_ends: Option<Duration>) -> Time {
        let left = old_ends.map(|ends| ends.saturating_sub(self.driver.time_of_day()) / 2);
        now + left.map_or(SPREAD, |left| left.min(SPREAD)).mul_f64(self.driver.random_unit())
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.look_at
    }

    /// What expires soon, or has, where it is time to say so.
    pub(super) fn on_time(&mut self, now: Time) -> Vec<String> {
        if self.look_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let (today, material) = (self.driver.time_of_day(), self.source.material());
        let mut warnings = Vec::new();
        let mut look = |what: &'static str, of: Option<Validity>, expiry: &mut Expiry| {
            let of = of?;
            if expiry.is_due(today, of) {
                let words = format!("{what} {}; put a new one in its place", expiry::words(today, of.ends));
                if self.source.is_log_due(today, what, of) {
                    log(LogLevel::Warn, Room::Tls, || words.clone());
                }
                warnings.push(words);
            }
            Some(now + expiry.look_again_in(today, of))
        };
        let certificate = look("the client's certificate", material.certificate, &mut self.certificate);
        let roots = look("the last of the root certificates", material.roots, &mut self.roots);
        self.look_at = earliest([certificate, roots]);
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::simulated::{Side, SimulatedDriver};
    use crate::transport::tls::{Roots, TlsOptions};

    const DAY: Duration = Duration::from_secs(86_400);

    /// Whose client certificate expires that day of January 2020, where simulated worlds begin.
    fn certificates_until(day: u8, driver: &SimulatedDriver) -> Certificates<SimulatedDriver> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(["a client".to_owned()]).expect("parameters");
        parameters.not_after = rcgen::date_time_ymd(2020, 1, day);
        let options = TlsOptions {
            roots: Roots::Bundled,
            certificate_pem: Some(parameters.self_signed(&key).expect("a certificate").pem().into_bytes()),
            key_pem: Some(key.serialize_pem().into_bytes()),
            ..TlsOptions::default()
        };
        let source = Arc::new(Source::new(&options).expect("good options"));
        Certificates::new(driver, &source, Rc::default(), Some(Duration::from_secs(5)), Rc::default())
    }

    #[test]
    fn a_certificate_that_expires_is_told_of_each_day_while_the_channel_is_in_use() {
        let run = SimulatedDriver::run(1, |driver| async move {
            let driver = driver.on(Side::Engine);
            let mut certificates = certificates_until(10, &driver);
            assert_eq!(certificates.next_deadline(), None);
            assert!(certificates.on_dial(driver.now()).is_none(), "there are no files to look at");
            let mut told = Vec::new();
            while let Some(at) = certificates.next_deadline().filter(|_| told.len() < 9) {
                driver.sleep_until(at).await;
                told.extend(certificates.on_time(driver.now()));
            }
            // From 1 January on nothing is said until the third.
            assert!(driver.now().since_start() >= DAY * 10);
            let left = |what: &str| format!("the client's certificate {what}; put a new one in its place");
            assert_eq!(told[0], left("expires in 7 days"));
            assert_eq!(told[1], left("expires in 6 days"));
            assert_eq!(told[8], left("expired 24 hours ago"));
            certificates.on_rest();
            assert_eq!(certificates.next_deadline(), None);
        });
        run.expect("it ends");
    }

    #[test]
    fn connections_are_replaced_each_at_its_time_and_before_their_certificate_expires() {
        let run = SimulatedDriver::run(1, |driver| async move {
            let driver = driver.on(Side::Engine);
            let (certificates, now) = (certificates_until(20, &driver), driver.now());
            let latest = |ends: Option<Duration>| {
                let times = (0..100).map(|_| certificates.replace_at(now, ends).since(now));
                times.max().expect("a hundred")
            };
            assert!((SPREAD / 2..=SPREAD).contains(&latest(None)));
            let today = driver.time_of_day();
            assert!((SPREAD / 2..=SPREAD).contains(&latest(Some(today + DAY))));
            assert!(latest(Some(today + Duration::from_secs(4))) <= Duration::from_secs(2));
            assert_eq!(latest(Some(today)), Duration::ZERO, "it has expired");
        });
        run.expect("it ends");
    }
}
