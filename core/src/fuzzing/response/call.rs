//! A call, and how often it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::TIMEOUT;
use crate::call::{CallEnd, CallRequest, Timeout};
use crate::engine::completion::{Event, Reply};
use crate::engine::{CallHandle, Channel};
use crate::runtime::Driver as _;
use crate::runtime::simulated::SimulatedDriver;
use crate::status::Code;
use crate::time::Time;

pub(super) struct Call {
    handle: CallHandle,
    seen: Arc<Seen>,
}

/// Filled by the callback, which could run on any thread.
#[derive(Default)]
struct Seen {
    ends: AtomicUsize,
    /// A message came, or the end.
    progressed: Notify,
}

/// An end in time is at the deadline exactly: time stands still while the engine works.
const SLACK: Duration = Duration::from_millis(1);

impl Call {
    pub(super) fn start(channel: &Channel, is_stream: bool, waits_for_ready: bool) -> Self {
        let seen = Arc::<Seen>::default();
        let told = Arc::clone(&seen);
        let reply = Reply::callback(move |event| told.on_event(&event));
        let request = CallRequest {
            message: Some(Bytes::from_static(b"question")),
            timeout: Timeout::After(TIMEOUT),
            wait_for_ready: Some(waits_for_ready),
            read_credit: 1,
            ..CallRequest::new("/fuzzing.Any/Method")
        };
        let handle = if is_stream { channel.start_stream(request, reply) } else { channel.start_unary(request, reply) };
        Self { handle: handle.expect("taken"), seen }
    }

    pub(super) fn ends(&self) -> usize {
        self.seen.ends.load(Relaxed)
    }

    /// Reads what comes until the call ends, which is by `due` at the latest.
    pub(super) async fn must_end(&self, driver: &SimulatedDriver, due: Time) {
        let mut late = std::pin::pin!(driver.sleep_until(due + SLACK));
        while self.ends() == 0 {
            tokio::select! {
                biased;
                () = self.seen.progressed.notified() => self.handle.read(1),
                () = &mut late => panic!("a call has not ended at its deadline"),
            }
        }
    }
}

impl Seen {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Unary(end) => {
                assert_eq!(end.message.is_some(), end.end.status.is_ok(), "a message comes with OK alone");
                self.on_end(&end.end);
            }
            Event::Status(end) => self.on_end(end),
            Event::Message(_) => self.progressed.notify_one(),
            Event::Headers { .. } | Event::Writable => {}
            Event::Connectivity { .. } => panic!("not an event of a call"),
        }
    }

    fn on_end(&self, end: &CallEnd) {
        let status = &end.status;
        assert!(!end.local || !status.message().is_empty() || status.is_ok(), "an end without words");
        let may_be_cancelled = ["closed", "the server reset the stream with CANCEL"];
        let is_told = may_be_cancelled.iter().any(|words| status.message().contains(words));
        assert!(!end.local || status.code() != Code::Cancelled || is_told, "{status}");
        self.ends.fetch_add(1, Relaxed);
        self.progressed.notify_one();
    }
}
