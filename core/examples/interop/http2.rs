//! The negative cases of HTTP/2: the server does what its script says, the client what follows from it.

use std::time::Duration;

use linkspan_core::{CallOptions, Channel, Code};

use crate::cases::{UNARY_CALL, large_request, large_unary};
use crate::judging::{Outcome, failed_as};
use crate::load::concurrent_large_unary;

pub(crate) const NAMES: [&str; 8] = [
    "goaway",
    "rst_after_header",
    "rst_during_data",
    "rst_after_data",
    "ping",
    "max_streams",
    "data_frame_padding",
    "no_df_padding_sanity_test",
];

/// Between the calls of `goaway`, as it is described.
const PAUSE: Duration = Duration::from_secs(1);
const CALLS_AT_ONCE: usize = 10;

pub(crate) async fn run(channel: &Channel, name: &str) -> Outcome {
    match name {
        "goaway" => {
            large_unary(channel).await?;
            tokio::time::sleep(PAUSE).await;
            large_unary(channel).await
        }
        "rst_after_header" | "rst_during_data" | "rst_after_data" => {
            // RST_STREAM with NO_ERROR and no trailers.
            failed_as(channel.unary(UNARY_CALL, large_request(), CallOptions::default()).await, Code::Internal, None)
        }
        "max_streams" => {
            large_unary(channel).await?;
            concurrent_large_unary(channel, CALLS_AT_ONCE).await
        }
        _ => large_unary(channel).await,
    }
}
