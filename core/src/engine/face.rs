//! Rust's own face: futures over the same submissions and completions every other language uses. Any executor will do.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::completion::{Event, Reply};
use super::handle::{CallHandle, Channel, SendError};
use crate::call::{CallEnd, CallRequest, Timeout, UnaryEnd};
use crate::error::Error;
use crate::metadata::Metadata;
use crate::status::{Code, Status};
use crate::transport::call_credentials::CallCredentials;
use crate::transport::compression::Compression;

/// What a call may be told beside its method and message.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Sent with the request.
    pub metadata: Metadata,
    /// Default: the channel's. A shorter one that the service config has for the method counts.
    pub timeout: Timeout,
    /// Whether to wait through connect failures; `None` is what the service config says, else no.
    pub wait_for_ready: Option<bool>,
    /// The largest message to accept, if smaller than the channel's limit.
    pub max_receive_bytes: Option<u64>,
    /// `:authority` of this call instead of the channel's. With TLS the server's certificate must be for its host.
    pub authority: Option<Arc<str>>,
    /// What this call shows to be allowed, behind what its channel shows. On a channel that is not secure the call ends UNAUTHENTICATED, and nothing
    /// is sent. Default: nothing.
    pub credentials: Option<CallCredentials>,
    /// The call may run twice without harm: if its connection is lost before the server has answered, it is made again at once. Default: no.
    pub idempotent: bool,
    /// Neither retried nor hedged, whatever the service config or an option says. Default: no.
    pub no_retry: bool,
    /// How its messages are compressed, if the channel's options and what the server has said it reads allow it; `None` is the channel's
    /// default.
    pub compression: Option<Compression>,
}

impl CallOptions {
    pub(super) fn request(self, method: &str) -> CallRequest {
        CallRequest {
            metadata: self.metadata,
            timeout: self.timeout,
            wait_for_ready: self.wait_for_ready,
            max_receive_bytes: self.max_receive_bytes,
            authority: self.authority,
            credentials: self.credentials,
            idempotent: self.idempotent,
            no_retry: self.no_retry,
            compression: self.compression,
            ..CallRequest::new(method)
        }
    }
}

/// A unary call's success.
#[derive(Clone, Debug)]
pub struct UnaryResponse {
    /// The response.
    pub message: Bytes,
    /// Initial metadata.
    pub initial: Metadata,
    /// Trailing metadata.
    pub trailing: Metadata,
    /// The address that answered.
    pub peer: Arc<str>,
}

impl UnaryResponse {
    pub(super) fn of(end: UnaryEnd) -> Result<Self, CallError> {
        let UnaryEnd { end, initial, message } = end;
        match message {
            Some(message) => Ok(Self {
                message,
                initial: initial.unwrap_or_default(),
                trailing: end.trailing,
                peer: end.peer.unwrap_or_else(|| "".into()),
            }),
            None => Err(CallError::Rpc(RpcError::new(end, initial))),
        }
    }
}

/// A call's failure.
#[derive(Clone, Debug)]
pub struct RpcError(Box<Failed>);

#[derive(Clone, Debug)]
struct Failed {
    end: CallEnd,
    initial: Option<Metadata>,
}

impl RpcError {
    fn new(end: CallEnd, initial: Option<Metadata>) -> Self {
        Self(Box::new(Failed { end, initial }))
    }

    /// How the call ended.
    #[must_use]
    pub fn end(&self) -> &CallEnd {
        &self.0.end
    }

    /// Code and text.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.0.end.status
    }

    /// The status code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status().code()
    }

    /// Initial metadata, if some came.
    #[must_use]
    pub fn initial(&self) -> Option<&Metadata> {
        self.0.initial.as_ref()
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

impl std::error::Error for RpcError {}

/// Why a call could not be made or did not succeed.
#[derive(Clone, Debug)]
pub enum CallError {
    /// It was refused before it existed.
    Refused(Error),
    /// It ended with a status other than OK.
    Rpc(RpcError),
}

impl CallError {
    /// The call's failure, if there was a call.
    #[must_use]
    pub fn rpc(&self) -> Option<&RpcError> {
        match self {
            Self::Rpc(failure) => Some(failure),
            Self::Refused(_) => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Rpc(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for CallError {}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Channel {
    /// A unary call.
    ///
    /// # Errors
    /// [`CallError::Refused`] as [`Channel::start_unary`]; [`CallError::Rpc`] when the call ends with another status than OK.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn unary(
        &self,
        method: &str,
        message: impl Into<Bytes>,
        options: CallOptions,
    ) -> Result<UnaryResponse, CallError> {
        let (sender, receiver) = oneshot::channel();
        let sender = Mutex::new(Some(sender));
        let reply = Reply::callback(move |event| {
            if let (Event::Unary(end), Some(sender)) =
                (event, sender.lock().unwrap_or_else(PoisonError::into_inner).take())
            {
                // The caller may have gone; its guard has cancelled the call then.
                let _ = sender.send(end);
            }
        });
        let request = CallRequest { message: Some(message.into()), ..options.request(method) };
        let guard = CancelOnDrop(self.start_unary(request, reply)?);
        match guard.unless_forked(receiver).await {
            Some(Ok(end)) => UnaryResponse::of(*end),
            // The completion is owed, so the sender is dropped only after it was used.
            Some(Err(_)) => Err(lost().into()),
            None => Err(CallError::Rpc(RpcError::new(CallEnd::in_forked_child(), None))),
        }
    }

    /// A call with streams. It starts at once.
    ///
    /// # Errors
    /// As [`Channel::start_stream`].
    pub fn stream(&self, method: &str, options: CallOptions) -> Result<StreamCall, Error> {
        let (arrived, events) = mpsc::channel(MOST_EVENTS);
        let room = Arc::new(Notify::new());
        let has_room = Arc::clone(&room);
        let reply = Reply::callback(move |event| {
            // A sender that waits for room looks again; at the end it will not find any.
            if matches!(event, Event::Writable | Event::Status(_)) {
                has_room.notify_one();
            }
            if !matches!(event, Event::Writable) {
                // Never full, see MOST_EVENTS; closed when the call's owner has gone.
                let _ = arrived.try_send(event);
            }
        });
        let request = CallRequest { read_credit: READ_AHEAD, ..options.request(method) };
        let handle = Arc::new(CancelOnDrop(self.start_stream(request, reply)?));
        let sender = StreamSender { handle: Arc::clone(&handle), room };
        let receiver = StreamReceiver { handle, events, initial: None, ready: VecDeque::new(), taken: 0, end: None };
        Ok(StreamCall { receiver, sender })
    }
}

/// How many messages may wait to be taken. Credit for more goes back by halves, so that a fast stream costs few hand-overs.
const READ_AHEAD: u32 = 16;

/// Events that can wait in a call at once: headers, messages by credit, the status.
const MOST_EVENTS: usize = READ_AHEAD as usize + 2;

fn lost() -> Error {
    Error::new(crate::error::ErrorKind::Internal, "the call's completion was lost; this is a bug in linkspan")
}

struct CancelOnDrop(CallHandle);

impl CancelOnDrop {
    /// Waits for what the parent's engine brings; `None` in a forked child, where it brings nothing.
    async fn unless_forked<T>(&self, coming: impl Future<Output = T>) -> Option<T> {
        let mut coming = pin!(coming);
        let come =
            poll_fn(|cx| if self.0.is_parents() { Poll::Ready(None) } else { coming.as_mut().poll(cx).map(Some) });
        come.await
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel(Code::Cancelled, "the call was dropped by its caller");
    }
}

/// A call with streams. Dropping it cancels the call.
#[derive(Debug)]
pub struct StreamCall {
    /// Dropped first, so that the sender sees that the whole call is dropped.
    receiver: StreamReceiver,
    sender: StreamSender,
}

/// The sending half of a call with streams. Dropping it says that no message follows.
pub struct StreamSender {
    handle: Arc<CancelOnDrop>,
    /// Rung when a refused sender may look again.
    room: Arc<Notify>,
}

/// The receiving half of a call with streams. Dropping it lets what the server still sends go unread.
pub struct StreamReceiver {
    handle: Arc<CancelOnDrop>,
    events: mpsc::Receiver<Event>,
    initial: Option<Metadata>,
    /// Messages that were received while headers were waited for.
    ready: VecDeque<Bytes>,
    /// Messages taken whose credit has not gone back yet.
    taken: u32,
    end: Option<CallEnd>,
}

impl StreamCall {
    /// The two halves, for sending and receiving at the same time. When both are dropped the call is cancelled.
    #[must_use]
    pub fn split(self) -> (StreamSender, StreamReceiver) {
        (self.sender, self.receiver)
    }

    /// [`StreamSender::send`]
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// A dropped wait has sent nothing.
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// [`StreamSender::send_uncompressed`]
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// A dropped wait has sent nothing.
    pub async fn send_uncompressed(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.sender.send_uncompressed(message).await
    }

    /// [`StreamSender::close_send`]
    pub fn close_send(&self) {
        self.sender.close_send();
    }

    /// [`StreamReceiver::headers`]
    pub async fn headers(&mut self) -> Option<&Metadata> {
        self.receiver.headers().await
    }

    /// [`StreamReceiver::message`]
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// A dropped wait has lost nothing.
    pub async fn message(&mut self) -> Result<Option<Bytes>, RpcError> {
        self.receiver.message().await
    }

    /// [`StreamReceiver::end`]
    #[must_use]
    pub fn end(&self) -> Option<&CallEnd> {
        self.receiver.end()
    }

    /// Cancels the call; [`StreamCall::message`] then tells CANCELLED with this text.
    pub fn cancel(&self, details: &str) {
        self.receiver.cancel(details);
    }
}

impl StreamSender {
    /// Sends a message, waiting while too much waits to be sent.
    ///
    /// # Errors
    /// [`SendError::HalfClosed`] after [`StreamSender::close_send`]; [`SendError::Ended`] when the call has ended: its status is
    /// told by [`StreamReceiver::message`].
    ///
    /// # Cancel safety
    /// A dropped wait has sent nothing.
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.send_by(CallHandle::send, message.into()).await
    }

    /// The same for a message that is sent as it is, whatever the call compresses.
    ///
    /// # Errors
    /// As [`StreamSender::send`].
    ///
    /// # Cancel safety
    /// A dropped wait has sent nothing.
    pub async fn send_uncompressed(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.send_by(CallHandle::send_uncompressed, message.into()).await
    }

    async fn send_by(
        &mut self,
        send: fn(&CallHandle, Bytes, bool) -> Result<(), SendError>,
        mut message: Bytes,
    ) -> Result<(), SendError> {
        loop {
            match send(&self.handle.0, message, false) {
                Err(SendError::Full(back)) => message = back,
                other => return other,
            }
            // In a forked child the next try says that the call has ended.
            let mut room = Box::pin(self.room.notified());
            if self.handle.unless_forked(&mut room).await.is_none() {
                // To drop it, a lock would be asked for that the parent's engine may have held.
                std::mem::forget(room);
            }
        }
    }

    /// Says that no message follows.
    pub fn close_send(&self) {
        // Said before, or over: either way nothing follows.
        let _ = self.handle.0.half_close();
    }
}

impl Drop for StreamSender {
    fn drop(&mut self) {
        // Without the other half the call is cancelled, and must not look complete before.
        if Arc::strong_count(&self.handle) > 1 {
            self.close_send();
        }
    }
}

impl StreamReceiver {
    /// Initial metadata; `None` when the call ended without.
    pub async fn headers(&mut self) -> Option<&Metadata> {
        while self.initial.is_none() && self.end.is_none() {
            self.take_event().await;
        }
        self.initial.as_ref()
    }

    /// The next message; `None` when the call ended OK.
    ///
    /// # Errors
    /// The call ended with another status; told again each time.
    ///
    /// # Cancel safety
    /// A dropped wait has lost nothing.
    pub async fn message(&mut self) -> Result<Option<Bytes>, RpcError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.taken += 1;
                if self.taken >= READ_AHEAD / 2 {
                    self.handle.0.read(std::mem::take(&mut self.taken));
                }
                return Ok(Some(message));
            }
            match &self.end {
                None => self.take_event().await,
                Some(end) if end.status.is_ok() => return Ok(None),
                Some(end) => return Err(RpcError::new(end.clone(), self.initial.clone())),
            }
        }
    }

    /// How the call ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<&CallEnd> {
        self.end.as_ref()
    }

    /// Cancels the call; [`StreamReceiver::message`] then tells CANCELLED with this text.
    pub fn cancel(&self, details: &str) {
        self.handle.0.cancel(Code::Cancelled, details);
    }

    async fn take_event(&mut self) {
        let Some(event) = self.handle.unless_forked(self.events.recv()).await else {
            self.end = Some(CallEnd::in_forked_child());
            return;
        };
        match event {
            Some(Event::Headers { initial, .. }) => self.initial = Some(initial),
            Some(Event::Message(message)) => self.ready.push_back(message),
            Some(Event::Status(end)) => self.end = Some(*end),
            Some(Event::Writable | Event::Unary(_) | Event::Connectivity { .. }) => {}
            // The status is owed and comes before this.
            None => self.events.close(),
        }
    }
}

impl Drop for StreamReceiver {
    fn drop(&mut self) {
        // Nobody takes messages any more; one that waited for credit would hold up the call's end.
        self.handle.0.read(u32::MAX);
    }
}

impl fmt::Debug for StreamSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").field("handle", &self.handle.0).finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReceiver").field("handle", &self.handle.0).field("end", &self.end).finish_non_exhaustive()
    }
}
