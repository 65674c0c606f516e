//! Which method config a call follows where its channel's resolver brings service configs: what holds when the call starts, else the first that
//! does ([SVC-9], [SVC-10]).
//!
//! Calls of all other channels know theirs when they are made and never come here.

use std::pin::pin;
use std::sync::Arc;

use super::CallSpec;
use super::inbox::Inbox;
use super::progress::Progress;
use super::waiting::Waiting;
use crate::channel::LocalChannel;
use crate::channel::slot::Turn;
use crate::failure::Failure;
use crate::observe::trail::Phase;
use crate::runtime::Driver;
use crate::service_config::ServiceConfig;
use crate::state::State;
use crate::transport::Outcome;

/// Gives the call its method's config. The error is the end of a call that got none.
pub(super) async fn bind<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &mut CallSpec,
    progress: &mut Progress,
    inbox: &Inbox,
) -> Result<(), Outcome> {
    let current = channel.snapshot().service_config.clone();
    let service_config = match current {
        Some(config) => config,
        // In a box: what few calls wait for is not to make all calls larger.
        None => Box::pin(first(channel, spec, progress, inbox)).await?,
    };
    spec.method.config = service_config.methods.of(spec.method.path.as_str()).cloned();
    progress.on_configured(channel, spec);
    Ok(())
}

/// The first config there is, within the call's own deadline.
async fn first<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    progress: &Progress,
    inbox: &Inbox,
) -> Result<Arc<ServiceConfig>, Outcome> {
    let waiting = pin!(wait(channel, spec, progress));
    let ended = progress.supervised(channel.driver(), inbox, waiting).await;
    ended.and_then(|waited| waited).map_err(|failure| progress.attempt.local(failure))
}

/// A failure to resolve ends the call unless it was told to wait; a config that is not known cannot say so ([SC-22]).
async fn wait<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    progress: &Progress,
) -> Result<Arc<ServiceConfig>, Failure> {
    let mut turn = Turn::default();
    let mut snapshot = channel.snapshot();
    progress.attempt.phase.set(Phase::Resolve);
    let _waiting = Waiting::enter(channel, None)?;
    loop {
        if let Some(config) = &snapshot.service_config {
            return Ok(Arc::clone(config));
        }
        match (snapshot.state, &snapshot.failure) {
            (State::Shutdown, _) => return Err(Failure::ChannelClosed),
            (State::Idle, _) => channel.wake("a call was started"),
            (State::TransientFailure, Some(failure)) if spec.wait_for_ready != Some(true) => {
                return Err(failure.clone());
            }
            (State::TransientFailure | State::Connecting | State::Ready, _) => {}
        }
        snapshot = match channel.snapshots().newer_than(&snapshot, &mut turn).await {
            Some(newer) => newer,
            None => return Err(Failure::Internal { text: "the channel's control task ended".into() }),
        };
    }
}
