//! What the end of a call says of the address it was on, to that address's circuit breaker.

use crate::failure::Failure;
use crate::observe::trail::Sent;
use crate::policy::balancer::breaker::Verdict;
use crate::status::Code;
use crate::transport::{Ending, Outcome};

/// `None` is nothing: the call was cancelled, or broke a limit of this side, or the server said that it did not process it, as every server
/// does that goes away in good order.
///
/// A failure is what a server in trouble answers, or what becomes of calls to it. Other codes are answers: a server that does not find
/// something works.
pub(super) fn verdict(outcome: &Outcome) -> Option<Verdict> {
    let code = match &outcome.ending {
        _ if outcome.sent == Sent::Refused => return None,
        Ending::Local(failure) if is_about_this_side(failure) => return None,
        Ending::Local(failure) => failure.code(),
        Ending::Peer { status, .. } => status.code(),
    };
    match code {
        Code::Cancelled => None,
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Some(Verdict::Failed(code)),
        _ => Some(Verdict::Succeeded),
    }
}

fn is_about_this_side(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Cancelled { .. }
            | Failure::ChannelClosed
            | Failure::SentTooLarge { .. }
            | Failure::ReceivedTooLarge { .. }
            | Failure::DecompressedTooLarge { .. }
            | Failure::TooMuchMetadata { .. }
            | Failure::SentHeadersTooLarge { .. }
            | Failure::HeadersTooLarge { .. }
            | Failure::AuthorityNotValid { .. }
            | Failure::Internal { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Metadata;
    use crate::status::Status;

    #[test]
    fn a_server_in_trouble_fails_and_one_that_answers_does_not() {
        const IN_TROUBLE: [Code; 6] = [
            Code::Unknown,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Internal,
            Code::Unavailable,
            Code::DataLoss,
        ];
        for code in Code::ALL {
            let ending = Ending::Peer { status: Status::new(code, ""), trailing: Metadata::new() };
            let wanted = match code {
                Code::Cancelled => None,
                code if IN_TROUBLE.contains(&code) => Some(Verdict::Failed(code)),
                _ => Some(Verdict::Succeeded),
            };
            assert_eq!(verdict(&Outcome { ending, sent: Sent::Processed }), wanted, "{code}");
        }
    }

    #[test]
    fn what_this_side_did_and_what_the_server_did_not_process_says_nothing_and_the_rest_counts_by_its_code() {
        let cancelled = Failure::Cancelled { code: Code::Unavailable, text: String::new() };
        let table = [
            (Outcome::local(Failure::DeadlineExceeded { timeout: None }), Some(Code::DeadlineExceeded)),
            (Outcome::local(Failure::ConnectionLost { cause: String::new() }), Some(Code::Unavailable)),
            (Outcome::local(Failure::StreamReset { http2_code: 11 }), Some(Code::ResourceExhausted)),
            (Outcome::local(Failure::ReceivedTooLarge { size: 2, limit: 1 }), None),
            (Outcome::local(cancelled), None),
            (Outcome::local(Failure::ChannelClosedWhileRunning), None),
            (Outcome::refused(String::new()), None),
        ];
        for (outcome, wanted) in table {
            assert_eq!(verdict(&outcome), wanted.map(Verdict::Failed), "{outcome:?}");
        }
    }
}
