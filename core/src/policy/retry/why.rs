//! Why a failed call is not sent again, and how that is told.

use super::buffer::Overflow;
use crate::status::Code;

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nobody said that its method's calls may be sent again.
    NoPolicy,
    /// `grpc.enable_retries` is off.
    Disabled,
    /// The policy does not have the code; of a hedged call: the code is fatal.
    NotRetryable(Code),
    /// The response had begun.
    Committed,
    /// More was sent than is kept.
    BufferExceeded(Overflow),
    /// The server's pushback forbids it.
    ToldNot,
    /// Too few tokens are left.
    Throttled,
    /// As many attempts were made as may be, of those that the policy wishes for.
    UsedUp { attempts: u32, wished: u32 },
    /// The channel's retries are used up.
    BudgetEmpty,
}

impl Why {
    /// For the trail of the call's error; `None` where nobody would expect another attempt.
    pub(crate) fn words(self) -> Option<String> {
        let reason = match self {
            Self::NoPolicy => return None,
            Self::Disabled => "option \"grpc.enable_retries\" is off".into(),
            Self::NotRetryable(code) => format!("its policy does not allow it after {code}"),
            Self::Committed => "the response had begun".into(),
            Self::BufferExceeded(Overflow::OfCall) => {
                "more was sent than option \"grpc.per_rpc_retry_buffer_size\" keeps".into()
            }
            Self::BufferExceeded(Overflow::OfChannel) => {
                "the channel's calls sent more than option \"grpc.retry_buffer_size\" keeps".into()
            }
            Self::ToldNot => "the server said not to".into(),
            Self::Throttled => {
                "too many of the channel's calls fail, says retryThrottling of the service config".into()
            }
            Self::UsedUp { attempts, wished } if wished > attempts => {
                format!(
                    "{attempts} attempts were made, all that option \"linkspan.max_retry_attempts\" allows of its policy's {wished}"
                )
            }
            Self::UsedUp { attempts, .. } => format!("{attempts} attempts were made, all that its policy allows"),
            Self::BudgetEmpty => "the channel's retries are used up, says option \"linkspan.retry_budget\"".into(),
        };
        Some(format!("no further attempt: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_what_would_have_to_be_changed() {
        let table = [
            (Why::Disabled, "grpc.enable_retries"),
            (Why::NotRetryable(Code::NotFound), "does not allow it after NOT_FOUND"),
            (Why::Committed, "no further attempt: the response had begun"),
            (Why::BufferExceeded(Overflow::OfCall), "grpc.per_rpc_retry_buffer_size"),
            (Why::BufferExceeded(Overflow::OfChannel), "grpc.retry_buffer_size"),
            (Why::ToldNot, "the server said not to"),
            (Why::Throttled, "retryThrottling"),
            (Why::UsedUp { attempts: 3, wished: 3 }, "3 attempts were made, all that its policy allows"),
            (Why::BudgetEmpty, "linkspan.retry_budget"),
        ];
        for (why, part) in table {
            let words = why.words().expect("words");
            assert!(words.contains(part), "{words}");
        }
        assert_eq!(Why::NoPolicy.words(), None);
    }

    /// [RPOL-10]
    #[test]
    fn a_limit_of_the_channel_that_was_below_the_policys_is_told() {
        let words = Why::UsedUp { attempts: 5, wished: 8 }.words().expect("words");
        assert!(words.contains("option \"linkspan.max_retry_attempts\" allows of its policy's 8"), "{words}");
    }
}
