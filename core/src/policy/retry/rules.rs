//! What a channel's options say of sending calls again.

use super::idempotent::IdempotentMethods;

/// The same for all calls of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RetryRules {
    /// Whether calls follow retry and hedging policies at all, and whether idempotent ones are repeated. What a server did not process is sent
    /// again all the same ([RPOL-03]).
    pub(crate) is_enabled: bool,
    /// More attempts than this are not made, whatever a policy wants ([RPOL-10], [HEDGE-10]).
    pub(crate) max_attempts: u32,
    /// How many bytes one call keeps to be sent again ([BUF-02]).
    pub(crate) call_buffer: u64,
    /// How many all calls keep.
    pub(crate) channel_buffer: u64,
    pub(crate) idempotent: IdempotentMethods,
}

impl RetryRules {
    /// How often a call is made at most whose policy wishes for so many attempts.
    pub(super) fn capped(&self, wished: u32) -> u32 {
        wished.min(self.max_attempts)
    }
}

/// The default of [`RetryRules::max_attempts`].
pub(crate) const MAX_ATTEMPTS: u32 = 5;

impl Default for RetryRules {
    fn default() -> Self {
        Self {
            is_enabled: true,
            max_attempts: MAX_ATTEMPTS,
            call_buffer: 256 << 10,
            channel_buffer: 16 << 20,
            idempotent: IdempotentMethods::default(),
        }
    }
}
