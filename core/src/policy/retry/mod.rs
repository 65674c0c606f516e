//! Whether, when and how often a call is sent again: after a failure, or before there is an answer (A6).
//!
//! The types here are what a service config says of a method's calls; the files beside are the machines that follow it.

use std::time::Duration;

pub(crate) mod buffer;
pub(crate) mod codes;
pub(crate) mod hedging;
pub(crate) mod idempotent;
pub(crate) mod pushback;
pub(crate) mod rules;
pub(crate) mod sequence;
pub(crate) mod throttle;
pub(crate) mod why;

use codes::StatusCodes;

/// How a method's calls may be sent more than once: one of the two, never both ([SC-07]).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attempts {
    Retry(RetryPolicy),
    Hedge(HedgingPolicy),
}

/// Sent again after a failure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RetryPolicy {
    /// With the first, at least 2; the channel has a limit of its own ([RPOL-10]).
    pub(crate) max_attempts: u32,
    /// Above 0, as are the next two ([RPOL-11], [RPOL-12]).
    pub(crate) initial_backoff: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) backoff_multiplier: f64,
    /// At least one ([RPOL-13]).
    pub(crate) retryable: StatusCodes,
}

/// Sent again before there is an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HedgingPolicy {
    /// With the first, at least 2; the channel has a limit of its own ([HEDGE-10]).
    pub(crate) max_attempts: u32,
    /// 0 sends all at once ([HEDGE-11]).
    pub(crate) delay: Duration,
    /// Codes that do not end the other attempts, perhaps none ([HEDGE-12]).
    pub(crate) non_fatal: StatusCodes,
}

/// Tokens of a channel, in thousandths ([THR-10], [THR-11]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryThrottling {
    /// 1 to 1000 tokens.
    pub(crate) max_milli_tokens: u32,
    /// What a success gives back; at least one thousandth.
    pub(crate) milli_token_ratio: u32,
}
