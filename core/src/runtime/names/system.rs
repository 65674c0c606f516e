//! One question to the system's resolver, and its refusals in words with their code.
//!
//! The standard library asks it too, but tells only the system's words for a failure, which differ between systems and languages.

use std::io;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};

use super::{Found, resolv_conf};

/// Blocks for as long as the system's resolver does.
pub(super) fn look_up(host: &str) -> Found {
    // Without it every address comes once for each type of socket.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(refused)?;
    found.map(|found| found.map(|one| one.sockaddr).map_err(|cause| cause.to_string())).collect()
}

fn refused(cause: LookupError) -> String {
    let words = words(cause.kind(), cause.error_num(), cause);
    words + &resolv_conf::told()
}

fn words(kind: LookupErrorKind, number: i32, cause: impl Into<io::Error>) -> String {
    match kind {
        LookupErrorKind::NoName => "no such name (EAI_NONAME; NXDOMAIN in DNS)".into(),
        LookupErrorKind::NoData => "the name has no address (EAI_NODATA)".into(),
        LookupErrorKind::Again => "temporary failure, as when no server answers (EAI_AGAIN; SERVFAIL in DNS)".into(),
        LookupErrorKind::Fail => "permanent failure (EAI_FAIL; REFUSED in DNS)".into(),
        LookupErrorKind::Memory => "the system is out of memory (EAI_MEMORY)".into(),
        LookupErrorKind::System => format!("{} (EAI_SYSTEM)", cause.into()),
        // A name of a valid form can bring about none of the others.
        _ => format!("{} (getaddrinfo's error {number})", cause.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(kind: LookupErrorKind, number: i32) -> String {
        super::words(kind, number, io::Error::other("the system's words"))
    }

    #[test]
    fn refusals_have_words_of_ours_and_the_code() {
        assert!(words(LookupErrorKind::NoName, -2).starts_with("no such name (EAI_NONAME;"));
        assert!(words(LookupErrorKind::Again, -3).contains("(EAI_AGAIN;"));
        assert_eq!(words(LookupErrorKind::System, -11), "the system's words (EAI_SYSTEM)");
        assert_eq!(words(LookupErrorKind::IO, -9), "the system's words (getaddrinfo's error -9)");
    }

    #[test]
    fn a_name_of_this_machine_is_found_once_per_address() {
        let found = look_up("localhost").expect("it has an address");
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        assert!((1..found.len()).all(|at| !found[at..].contains(&found[at - 1])), "{found:?}");
    }

    /// RFC 6761 keeps it from ever being there; a machine without DNS cannot say so.
    #[test]
    fn a_name_that_is_not_there_is_refused_with_a_code() {
        let refusal = look_up("nobody.invalid").expect_err("no such name");
        assert!(refusal.contains("EAI_NONAME") || refusal.contains("EAI_AGAIN"), "{refusal}");
    }
}
