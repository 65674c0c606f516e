//! How an attempt begins: wait for a snapshot that says where to, open a stream there.

use super::CallSpec;
use super::credentials::Authorization;
use super::progress::Attempt;
use super::waiting::{Place, Waiting};
use crate::channel::LocalChannel;
use crate::channel::slot::Turn;
use crate::channel::snapshot::{Pick, Snapshot};
use crate::failure::Failure;
use crate::observe::trail::Phase;
use crate::policy::balancer::PickArgs;
use crate::runtime::Driver;
use crate::state::State;
use crate::transport::connection::{Connection, NotOpened};
use crate::transport::headers;
use crate::transport::stream::Stream;

/// Opens a stream for this call. `is_last` half-closes with the headers.
///
/// A pick may be stale; the stream is then not opened and nothing was sent. The attempt takes another connection of the pool, or else waits for a
/// *newer* snapshot ([CONN-25]).
pub(super) async fn open<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    attempt: &Attempt,
    is_last: bool,
) -> Result<Stream, Failure> {
    let mut authorization = Authorization::of(channel, spec)?;
    let mut waiting = None;
    let mut turn = Turn::default();
    let mut place = Place::at(channel);
    let mut snapshot = channel.snapshot();
    let mut looks_at = attempt.looks_at(channel.driver());
    let mut has_moved_on = false;
    let random_unit = || channel.driver().random_unit();
    let connection_wanted = || channel.on_connection_wanted();
    let args = PickArgs {
        random_unit: &random_unit,
        metadata: &spec.metadata,
        connection_wanted: &connection_wanted,
        would_go_to: None,
    };
    loop {
        let may_look = place.is_first() || snapshot.state == State::Shutdown;
        let pick = if may_look { snapshot.pick(&args, attempt.avoids()) } else { Pick::Full };
        match pick {
            Pick::Ready(subchannel, pool, in_flight) => {
                if authorization.is_due() {
                    // Others need not wait for this call's plug-ins.
                    place.leave();
                    // Boxed, because few calls have any and every call would have room for it.
                    Box::pin(authorization.obtain(channel, spec, attempt)).await?;
                    looks_at = channel.driver().now();
                }
                attempt.phase.set(Phase::Queue);
                let mut placed = pool.take(looks_at, attempt.avoids());
                if placed.is_none() {
                    // One that is in doubt now is waited for only if the next one is, too.
                    if pool.is_in_doubt() && snapshot.has_unchecked() && !std::mem::replace(&mut has_moved_on, true) {
                        in_flight.leave_unseen();
                        continue;
                    }
                    if waiting.is_none() {
                        waiting = Some(Waiting::enter(channel, None)?);
                    }
                    let waits = || {
                        attempt.on_waits_for(channel.driver(), &pool);
                        if pool.ask_for_more() {
                            channel.on_stream_wanted(subchannel);
                        }
                    };
                    place.leave();
                    placed = pool.wait(looks_at, attempt.avoids(), waits).await;
                }
                if let Some((connection, place)) = placed {
                    check_authority(channel, spec, &connection)?;
                    // Made after the wait: the time left is what is left then, and nothing large waits.
                    let request = headers::request(
                        &channel.config().request,
                        &spec.method.path,
                        spec.authority.as_ref(),
                        authorization.metadata(spec),
                        attempt.remaining(channel.driver()),
                        attempt.previous.get(),
                        spec.compression(),
                    )?;
                    match connection.open_stream(place, request, is_last) {
                        Ok(stream) => {
                            let path = spec.method.path.as_str();
                            attempt.log_stream(&connection, || format!("stream {} opened for {path}", stream.id()));
                            attempt.on_opened(connection, in_flight);
                            return Ok(stream);
                        }
                        Err(NotOpened::BadRequest(failure)) => return Err(failure),
                        // The control task will hear of it. There may be others to the same address; each turn here is the end of one.
                        Err(NotOpened::ConnectionOver) => {
                            connection.drain();
                            if !pool.is_over() {
                                continue;
                            }
                        }
                    }
                }
            }
            Pick::Full => {
                attempt.phase.set(Phase::Queue);
                if waiting.is_none() {
                    waiting = Some(Waiting::enter(channel, place.limit())?);
                }
                authorization.forget();
                snapshot = match place.wait(channel, attempt, &snapshot, &mut turn).await {
                    Some(newest) => newest,
                    None => return Err(no_control()),
                };
                (looks_at, has_moved_on) = (channel.driver().now(), false);
                continue;
            }
            Pick::Queue if snapshot.state == State::Idle => channel.wake("a call was started"),
            Pick::Queue => {}
            Pick::Fail(failure) if !spec.waits_for_ready() => {
                attempt.phase.set(phase_of(&snapshot));
                channel.on_call_waits();
                return Err(failure);
            }
            Pick::Fail(_) => {}
            Pick::Closed => return Err(Failure::ChannelClosed),
        }
        place.leave();
        authorization.forget();
        attempt.phase.set(phase_of(&snapshot));
        channel.on_call_waits();
        if waiting.is_none() {
            waiting = Some(Waiting::enter(channel, None)?);
        }
        snapshot = match channel.snapshots().newer_than(&snapshot, &mut turn).await {
            Some(newer) => newer,
            None => return Err(no_control()),
        };
        (looks_at, has_moved_on) = (channel.driver().now(), false);
    }
}

/// [NAME-34]: a call may name only whom the server has shown to be. That its channel's own authority may be another ([NAME-36]) is its user's
/// choice for all calls, also for those that repeat it.
fn check_authority<D: Driver>(
    channel: &LocalChannel<D>,
    spec: &CallSpec,
    connection: &Connection,
) -> Result<(), Failure> {
    let of_channel = channel.config().request.authority();
    match &spec.authority {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(of_channel) => {
            connection.check_authority(authority)
        }
        _ => Ok(()),
    }
}

fn no_control() -> Failure {
    Failure::Internal { text: "the channel's control task ended".into() }
}

fn phase_of(snapshot: &Snapshot) -> Phase {
    if snapshot.is_resolving { Phase::Resolve } else { Phase::Connect }
}
