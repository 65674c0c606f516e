//! What the server of one address says of its health: a Watch on the oldest connection, moved when that goes, and what it said last (A17).
//!
//! A Watch is no call: no counter, idleness or balancing sees it. To the connection it is a stream like others.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::config::ChannelConfig;
use super::mailbox::{Mail, Mailbox};
use crate::failure::{Dialect, Failure};
use crate::metadata::Metadata;
use crate::observe::log::{LogLevel, Room, log};
use crate::policy::balancer::{Health, SubchannelId};
use crate::policy::health_watch::{self, HealthWatch, ServingStatus, WatchEnd};
use crate::runtime::{Driver, Task, sleep_until};
use crate::status::Code;
use crate::transport::call_credentials::AuthContext;
use crate::transport::compression::{Coding, Compression};
use crate::transport::connection::{Connection, NotOpened, Watching};
use crate::transport::headers::{self, MethodPath};
use crate::transport::message::Outbound;
use crate::transport::stream::{ReceiveLimits, Stream};
use crate::transport::{Ending, Outcome};

const METHOD: &str = "/grpc.health.v1.Health/Watch";

/// An answer is a few bytes; there may be fields in it that we do not know.
const LONGEST_ANSWER: u64 = 1_024;

/// The health of one address that is connected.
pub(super) struct Checkup<T: Task> {
    watch: Option<Watch<T>>,
    said: Said,
}

/// What is known of the health.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) health: Health,
    /// What the server said, in words that follow its address.
    pub(super) words: String,
    /// On which connection; `None` before it said anything.
    pub(super) connection: Option<u64>,
}

/// The task that asks; it ends with this ([LB-126]).
struct Watch<T: Task> {
    service: Rc<str>,
    connection: u64,
    news: Rc<News>,
    task: T,
}

impl<T: Task> Drop for Watch<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Task> Checkup<T> {
    /// Of an address that has been so until now.
    pub(super) fn new(health: Health, service: &str) -> Self {
        let words = format!("has not said whether {service:?} is healthy");
        Self { watch: None, said: Said { health, words, connection: None } }
    }

    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// Asks about this service on this connection from now on. What was known holds until there is an answer.
    pub(super) fn follow<D: Driver<Task = T>>(
        &mut self,
        asking: Asking<'_, D>,
        service: &Rc<str>,
        connection: Connection,
    ) {
        let id = connection.id();
        if self.watch.as_ref().is_none_or(|watch| watch.connection != id || watch.service != *service) {
            let news = Rc::new(News {
                told: RefCell::default(),
                subchannel: asking.subchannel,
                mailbox: Rc::clone(asking.mailbox),
            });
            let question = Question { service: Rc::clone(service), config: Arc::clone(asking.config), connection };
            let task = spawn(asking.driver, question, Rc::clone(&news));
            self.watch = Some(Watch { service: Rc::clone(service), connection: id, news, task });
        }
    }

    /// What the server has said since the last time, if it is something else.
    pub(super) fn take_news(&mut self) -> Option<&Said> {
        let watch = self.watch.as_ref()?;
        let (health, words) = watch.news.told.borrow_mut().take()?;
        if health == self.said.health && words == self.said.words {
            return None;
        }
        self.said = Said { health, words, connection: Some(watch.connection) };
        Some(&self.said)
    }
}

/// With what a subchannel asks.
pub(super) struct Asking<'a, D> {
    pub(super) driver: &'a D,
    pub(super) config: &'a Arc<ChannelConfig>,
    pub(super) mailbox: &'a Rc<Mailbox>,
    pub(super) subchannel: SubchannelId,
}

/// What the server said last; the control task gets one letter until it has taken it, so that no server can fill its mailbox.
struct News {
    told: RefCell<Option<(Health, String)>>,
    subchannel: SubchannelId,
    mailbox: Rc<Mailbox>,
}

impl News {
    fn tell(&self, health: Health, words: String) {
        if self.told.replace(Some((health, words))).is_none() {
            self.mailbox.post(Mail::HealthTold(self.subchannel));
        }
    }
}

/// Who is asked what.
struct Question {
    service: Rc<str>,
    config: Arc<ChannelConfig>,
    connection: Connection,
}

/// Asks until the server has told that it does not tell, or the task is aborted.
fn spawn<D: Driver>(driver: &D, question: Question, news: Rc<News>) -> D::Task {
    let driver_of_task = driver.clone();
    driver.spawn(async move {
        let driver = driver_of_task;
        let mut watch = HealthWatch::new(driver.now());
        loop {
            let ended = question.ask(&mut watch, &news).await;
            let asked_again_at = match watch.on_ended(driver.now(), ended.code, driver.random_unit()) {
                WatchEnd::NotTold => {
                    news.tell(Health::Healthy, "does not tell its health".to_owned());
                    return question.log_that_nothing_is_told();
                }
                WatchEnd::AskAgain(at) => at,
            };
            news.tell(Health::Unhealthy, question.words(&ended.cause));
            sleep_until(&driver, Some(asked_again_at)).await;
            watch.on_asked_again(driver.now());
        }
    })
}

/// How a stream ended.
struct Ended {
    code: Code,
    cause: String,
}

impl Question {
    /// One stream, to its end. Of one that ends with its connection the control task hears after it has heard of the connection, and does
    /// not listen any more.
    async fn ask(&self, watch: &mut HealthWatch, news: &News) -> Ended {
        let metadata = match self.credentials().await {
            Ok(metadata) => metadata,
            // Whatever the code: nobody has asked the server, so it has not said that it does not tell.
            Err(failure) => return Ended { code: Code::Unavailable, cause: failure.words(Dialect::Native) },
        };
        let ended = match self.open(&metadata) {
            Ok((mut stream, _watching)) => self.listen(&mut stream, watch, news).await,
            Err(NotOpened::BadRequest(failure)) => Err(Outcome::local(failure)),
            Err(NotOpened::ConnectionOver) => {
                return Ended { code: Code::Unavailable, cause: "the connection takes no streams".to_owned() };
            }
        };
        match ended.map_err(|outcome| outcome.ending) {
            Ok(unreadable) => unreadable,
            Err(Ending::Peer { status, .. }) if status.is_ok() => {
                Ended { code: Code::Ok, cause: "the server ended the Watch".to_owned() }
            }
            Err(Ending::Peer { status, .. }) => {
                Ended { code: status.code(), cause: format!("{}: {}", status.code().name(), status.message()) }
            }
            Err(Ending::Local(failure)) => Ended { code: failure.code(), cause: failure.words(Dialect::Native) },
        }
    }

    /// [HC-13]
    async fn credentials(&self) -> Result<Metadata, Failure> {
        let Some(credentials) = &self.config.call_credentials else { return Ok(Metadata::new()) };
        let context = AuthContext::new(self.config.request.authority(), METHOD);
        credentials.generate(&context).await
    }

    fn open(&self, metadata: &Metadata) -> Result<(Stream, Watching), NotOpened> {
        let path = MethodPath::parse(METHOD)
            .map_err(|cause| NotOpened::BadRequest(Failure::Internal { text: cause.to_string() }))?;
        let request = headers::request(&self.config.request, &path, None, metadata, None, 0, Compression::Identity)
            .map_err(NotOpened::BadRequest)?;
        let message = Outbound::message(bytes::Bytes::from(health_watch::request(&self.service)), None)
            .map_err(NotOpened::BadRequest)?;
        let (mut stream, watching) = self.connection.open_watch(request)?;
        // Why it took nothing, if it did, comes from the receiving half.
        let _ = stream.sender.send_now(message, true);
        Ok((stream, watching))
    }

    /// Tells every answer; ends with the stream, or at an answer that nobody can read ([LB-124]).
    async fn listen(&self, stream: &mut Stream, watch: &mut HealthWatch, news: &News) -> Result<Ended, Outcome> {
        let limits = ReceiveLimits { message: Some(LONGEST_ANSWER), headers: self.config.receive.headers };
        stream.receiver.head(limits, &Coding::new(self.config.compression)).await?;
        loop {
            let answer = stream.receiver.message().await?;
            let Some(status) = ServingStatus::read(&answer) else {
                return Ok(Ended { code: Code::Internal, cause: "it sent an answer that cannot be read".to_owned() });
            };
            watch.on_answer();
            let health = if status.is_serving() { Health::Healthy } else { Health::Unhealthy };
            news.tell(health, format!("says {status} for {:?}", self.service));
        }
    }

    fn words(&self, cause: &str) -> String {
        format!("does not say whether {:?} is healthy: {cause}", self.service)
    }

    /// [LB-122]
    fn log_that_nothing_is_told(&self) {
        log(LogLevel::Error, Room::HealthCheckClient, || {
            format!(
                "{}: the server has no {METHOD}; it is taken for healthy as long as it is connected",
                self.connection.name()
            )
        });
    }
}
