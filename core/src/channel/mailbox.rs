//! The control task's mailbox.
//!
//! It lives on one loop, so it needs no lock. It cannot grow without bound: a dial posts once, a connection a few times, and
//! wishes from outside are folded into the one that waits already.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::certificate_watch::CertificateNews;
use crate::failure::Failure;
use crate::observe::snapshot::ChannelTree;
use crate::policy::balancer::SubchannelId;
use crate::resolver::Resolution;
use crate::transport::connection::Connection;

/// Takes what the control task shows; dropped unused where there is nothing to show any more.
pub(super) type Show = Box<dyn FnOnce(ChannelTree)>;

/// What the control task is told.
pub(super) enum Mail {
    /// Leave IDLE, because of this.
    Wake(&'static str),
    ResetBackoff,
    /// A call needs a connection, the first for a while.
    CallWaits,
    /// Picks asked the policy for connections.
    ConnectionWanted,
    /// An address the channel waits for can be dialed.
    GateOpened,
    /// A server told its load, and the policy's next deadline may be an earlier one now.
    LoadReported,
    /// A call's end changed something about a circuit breaker, or a probe began.
    BreakerChanged,
    /// The files of the channel's certificates say something else than before.
    Certificates(CertificateNews),
    /// Somebody wants to see how things stand.
    Show(Show),
    Close {
        linger: Option<Duration>,
    },
    /// The look-up with this number is over.
    Resolved(u32, Result<Resolution, Failure>),
    /// A dial is over, for this subchannel, under this connection's id.
    Dialed(SubchannelId, u64, Result<Connection, String>),
    /// The server wants fewer PINGs than come on the connection with this id, which had this keepalive time.
    TooManyPings(u64, Option<Duration>),
    /// The connection with this id takes no new streams, because of this.
    Draining(SubchannelId, u64, String),
    /// Calls wait for streams to this subchannel's address, and it may have a further connection.
    StreamsWanted(SubchannelId),
    /// The server of this subchannel has said something of its health.
    HealthTold(SubchannelId),
    /// Another connection should take over from this one, because of this.
    SuccessorWanted(SubchannelId, u64, String),
    /// The connection with this id is over, because of this.
    Ended(SubchannelId, u64, String),
}

#[derive(Default)]
pub(super) struct Mailbox {
    letters: RefCell<VecDeque<Mail>>,
    /// Who waits for mail.
    reader: RefCell<Option<Waker>>,
}

impl Mailbox {
    pub(super) fn post(&self, mail: Mail) {
        let mut letters = self.letters.borrow_mut();
        let is_wish = |mail: &Mail| {
            use Mail::{BreakerChanged, CallWaits, ConnectionWanted, GateOpened, LoadReported, ResetBackoff, Wake};
            matches!(
                mail,
                Wake(_) | ResetBackoff | CallWaits | ConnectionWanted | GateOpened | LoadReported | BreakerChanged
            )
        };
        let same = |waiting: &Mail| std::mem::discriminant(waiting) == std::mem::discriminant(&mail);
        if !(is_wish(&mail) && letters.iter().any(same)) {
            letters.push_back(mail);
        }
        drop(letters);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn take(&self) -> Option<Mail> {
        let mut letters = self.letters.borrow_mut();
        let mail = letters.pop_front();
        if letters.is_empty() {
            // Mail is rare: no room is kept for it.
            *letters = VecDeque::new();
        }
        mail
    }

    /// Completes when there is a letter. One task at a time may wait.
    pub(super) async fn arrived(&self) {
        poll_fn(|cx| {
            if !self.letters.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.reader.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
