//! Texts that say where servers and proxies are, and what a proxy answers.

use bytes::BytesMut;
use http::uri::Authority;

use super::input::Input;
use crate::resolver::proxy::Proxies;
use crate::resolver::proxy::exceptions::Exceptions;
use crate::resolver::proxy::url::Proxy;
use crate::resolver::target::{Endpoint, Target};
use crate::transport::proxy::answer::Reading;

/// A target's text.
///
/// It is refused with its own text, or means something that requests can name, and its canonical form means the same ([NAME-1], [NAME-32]).
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Target::parse(text, &|_| None) {
        Ok(target) => check(text, &target),
        Err(refused) => assert!(refused.message().contains(&format!("{text:?}")), "{refused}"),
    }
    if let Ok(address) = Target::parse_address(text) {
        assert!(!address.to_string().is_empty());
    }
}

fn check(text: &str, target: &Target) {
    assert!(target.authority.parse::<Authority>().is_ok(), "{} of {text:?}", target.authority);
    let again = Target::parse(&target.canonical, &|_| None);
    assert_eq!(again.as_ref(), Ok(target), "{} of {text:?}", target.canonical);
    match &target.endpoint {
        Endpoint::Fixed(addresses) => assert!(!addresses.is_empty(), "{text:?} is nowhere"),
        Endpoint::Name { host, port, .. } => assert!(!host.is_empty() && *port > 0, "{text:?} names nothing"),
        Endpoint::Proxied(_) | Endpoint::OfHost(_) => panic!("{text:?} says what no text says"),
    }
}

/// URLs that are wrong in every way there is, and hold nothing secret.
const WRONG: [&str; 11] = [
    "",
    "a://",
    "https://",
    "socks://",
    "socks4://",
    "socks4a://",
    "socks5://",
    "socks5h://",
    "http://",
    "http://#@",
    "http://[fe80::9%a]:1",
];

/// Three lines: a proxy's URL, the servers that are excepted from it, and a target.
///
/// Of a URL that is refused nothing is quoted, for it may have a password: what is said is said of others, too ([CONN-177]).
pub fn proxy(data: &[u8]) {
    let mut input = Input(data);
    let (url, exceptions, target) = (input.line(), Exceptions::parse(input.line()), input.line());
    let for_targets = match Proxy::parse(url) {
        Ok(proxy) => Some(proxy),
        Err(what) => {
            let is_said_of = |wrong: &&str| Proxy::parse(wrong).is_err_and(|other| other == what);
            assert!(WRONG.iter().any(is_said_of), "{what}");
            None
        }
    };
    let is_led = for_targets.is_some();
    let proxies = Proxies { for_targets, exceptions, for_addresses: None };
    if let Ok(target) = Target::parse(target, &|_| None) {
        let (canonical, authority) = (target.canonical.clone(), target.authority.clone());
        let led = proxies.lead(target);
        assert_eq!((led.canonical, led.authority), (canonical, authority), "a proxy changes the way alone");
        assert!(is_led || !matches!(led.endpoint, Endpoint::Proxied(_)), "through a proxy that is none");
    }
}

/// A byte that decides how the rest is cut, and what a proxy sends.
///
/// However it is cut, it is the same answer with the same bytes behind it, the same refusal, or not yet either ([CONN-176]).
pub fn connect_answer(data: &[u8]) {
    let mut input = Input(data);
    let cut = u32::from(input.byte());
    let whole = read([input.0].into_iter());
    let pieces = read(input.pieces(cut));
    match (&whole, &pieces) {
        // How much of what is no answer is shown depends on how much of it was there.
        (Err(whole), Err(pieces)) => assert!(!whole.is_empty() && !pieces.is_empty()),
        _ => assert_eq!(whole, pieces),
    }
    if let Ok(Some((status, reason, _))) = whole {
        assert!((200..1_000).contains(&status));
        assert!(reason.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{reason:?} cannot be shown");
    }
}

type Answered = Result<Option<(u16, String, Vec<u8>)>, String>;

/// The answer, and what is left behind it.
fn read<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> Answered {
    let (mut reading, mut received) = (Reading::default(), BytesMut::new());
    while let Some(piece) = pieces.next() {
        received.extend_from_slice(piece);
        if let Some(answer) = reading.read(&mut received)? {
            let left = pieces.fold(received.to_vec(), |left, piece| [&left[..], piece].concat());
            return Ok(Some((answer.status, answer.reason, left)));
        }
    }
    Ok(None)
}
