//! How large a call's messages may be: what the call, its channel and its method's config say together.

use super::CallSpec;
use crate::channel::LocalChannel;
use crate::runtime::Driver;
use crate::transport::stream::ReceiveLimits;

/// The largest message to send; `None` is any.
pub(super) fn send<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> Option<u64> {
    let of_method = spec.method.config.as_ref().and_then(|config| config.max_request_bytes);
    smallest([channel.config().max_send_bytes, of_method])
}

pub(super) fn receive<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> ReceiveLimits {
    let (limits, is_default) = (channel.config().receive, channel.config().is_receive_limit_default);
    let of_method = spec.method.config.as_ref().and_then(|config| config.max_response_bytes);
    let message = received_message((limits.message, is_default), of_method, spec.max_receive_bytes);
    ReceiveLimits { message, ..limits }
}

/// The smallest of what was set ([WIRE-102]). The channel's default was set by nobody: it holds where the method's config sets
/// nothing ([SC-23]).
fn received_message(
    (of_channel, is_default): (Option<u64>, bool),
    of_method: Option<u64>,
    of_call: Option<u64>,
) -> Option<u64> {
    let of_channel = if is_default && of_method.is_some() { None } else { of_channel };
    smallest([of_channel, of_method, of_call])
}

fn smallest<const N: usize>(limits: [Option<u64>; N]) -> Option<u64> {
    limits.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [SC-23], [WIRE-102]
    #[test]
    fn the_smallest_limit_that_was_set_holds_and_a_default_gives_way_to_the_methods() {
        let (set, default) = (|limit| (limit, false), (Some(4), true));
        let table = [
            (default, None, None, Some(4)),
            (default, Some(9), None, Some(9)),
            (default, Some(3), None, Some(3)),
            (default, Some(9), Some(5), Some(5)),
            (default, None, Some(5), Some(4)),
            (set(Some(4)), Some(9), None, Some(4)),
            (set(Some(4)), Some(0), None, Some(0)),
            (set(None), Some(9), None, Some(9)),
            (set(None), None, None, None),
        ];
        for (of_channel, of_method, of_call, wanted) in table {
            let of = (of_channel, of_method, of_call);
            assert_eq!(received_message(of_channel, of_method, of_call), wanted, "{of:?}");
        }
    }
}
