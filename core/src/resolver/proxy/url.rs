//! A proxy's URL, `http://user:password@host:port` ([CONN-172], [CONN-177]).

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::address::{Address, ProxyAuthorization};
use crate::percent;
use crate::resolver::target::host::HostPort;

/// What a URL without a port means.
const DEFAULT_PORT: u16 = 80;

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(super) host: ProxyHost,
    pub(super) authorization: Option<ProxyAuthorization>,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProxyHost {
    Address(SocketAddr),
    Name { name: String, port: u16 },
}

impl Proxy {
    /// # Errors
    /// What is wrong with the text, and what would be right. It quotes nothing that may be a part of a password: where a URL is wrong, nobody
    /// knows where its password ends.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.trim().split_once("://").ok_or("has no scheme; write \"http://host:port\"")?;
        if !scheme.eq_ignore_ascii_case("http") {
            let known = ["https", "socks", "socks4", "socks4a", "socks5", "socks5h"];
            let scheme = known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).unwrap_or("another");
            return Err(format!("has the scheme {scheme}; only http proxies can be used, write \"http://host:port\""));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains('@') {
            return Err(
                "has an '@' behind the host; in user and password write '/', '?' and '#' as %2F, %3F and %23".into()
            );
        }
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Ok(Self { host: ProxyHost::parse(host)?, authorization: authorization(user) })
    }
}

impl ProxyHost {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = HostPort::parse(text).map_err(|_| {
            "has no host and port that can be used; write \"http://host:port\" or \"http://user:password@host:port\", and '@', ':' and '/' in user and password as %40, %3A and %2F"
        })?;
        let parsed = parsed.or_port(DEFAULT_PORT);
        match parsed.address() {
            Ok(Address::Inet(address)) => Ok(Self::Address(address)),
            Ok(_) => Err("has an address with an interface's name; write the interface's number".into()),
            Err(name) => Ok(Self::Name { name: name.to_owned(), port: parsed.port() }),
        }
    }
}

/// RFC 7617 §2: user and password have a colon between them, also where a password is not given.
fn authorization(user: &str) -> Option<ProxyAuthorization> {
    if user.is_empty() {
        return None;
    }
    let mut credentials = percent::decode(user.as_bytes());
    if !user.contains(':') {
        credentials.push(b':');
    }
    Some(ProxyAuthorization(format!("Basic {}", STANDARD.encode(credentials)).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(url: &str) -> Proxy {
        Proxy::parse(url).unwrap_or_else(|wrong| panic!("{url} {wrong}"))
    }

    fn host(url: &str) -> String {
        match parsed(url).host {
            ProxyHost::Address(address) => format!("the address {address}"),
            ProxyHost::Name { name, port } => format!("{name}:{port}"),
        }
    }

    /// [CONN-172], [CONN-177]
    #[test]
    fn a_proxy_is_a_host_and_a_port_which_is_80_if_none_is_given() {
        for (url, wanted) in [
            ("http://proxy.example:3128", "proxy.example:3128"),
            ("http://proxy.example", "proxy.example:80"),
            (" HTTP://proxy.example/ ", "proxy.example:80"),
            ("http://proxy.example:3128/path?query#fragment", "proxy.example:3128"),
            ("http://user:password@proxy.example:3128", "proxy.example:3128"),
            ("http://us@er:p@proxy.example:3128", "proxy.example:3128"),
            ("http://10.0.0.9:3128", "the address 10.0.0.9:3128"),
            ("http://10.0.0.9", "the address 10.0.0.9:80"),
            ("http://[2001:db8::9]:3128", "the address [2001:db8::9]:3128"),
            ("http://[fe80::9%2]:3128", "the address [fe80::9%2]:3128"),
        ] {
            assert_eq!(host(url), wanted, "{url}");
        }
    }

    /// [CONN-172]
    #[test]
    fn user_and_password_are_decoded_and_sent_as_rfc_7617_says() {
        let sent = |user: &str| parsed(&format!("http://{user}proxy.example")).authorization.map(|value| value.0);
        for (user, wanted) in [
            ("", None),
            ("@", None),
            // Of RFC 7617 §2.
            ("Aladdin:open%20sesame@", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
            ("a:b@c@", Some("Basic YTpiQGM=")),
            ("a%40b:c%3Ad%2f%25@", Some("Basic YUBiOmM6ZC8l")),
            ("user@", Some("Basic dXNlcjo=")),
            (":secret@", Some("Basic OnNlY3JldA==")),
        ] {
            assert_eq!(sent(user).as_deref(), wanted, "{user}");
        }
    }

    /// [CONN-172]
    #[test]
    fn what_is_no_http_proxy_says_what_would_be_one_and_quotes_no_secret() {
        for (url, said) in [
            ("", "has no scheme"),
            ("proxy.example:3128", "has no scheme; write \"http://host:port\""),
            ("user:secret@proxy.example:3128", "has no scheme"),
            ("https://user:secret@proxy.example", "has the scheme https; only http proxies can be used"),
            ("SOCKS5://user:secret@proxy.example", "has the scheme socks5"),
            ("secret://proxy.example", "has the scheme another"),
            ("http://", "has no host and port that can be used"),
            ("http://user:secret@", "has no host and port that can be used"),
            ("http://user:secret/word@proxy.example:3128", "write '/', '?' and '#' as %2F, %3F and %23"),
            ("http://user:12#secret@proxy.example:3128", "has an '@' behind the host"),
            ("http://user:secret", "has no host and port that can be used"),
            ("http://proxy.example:0", "has no host and port that can be used"),
            ("http://[fe80::9%secret]:1", "has an address with an interface's name"),
        ] {
            let wrong = Proxy::parse(url).expect_err(url);
            assert!(wrong.contains(said), "{url} {wrong}");
            assert!(!wrong.contains("secret"), "{wrong}");
        }
        let debugged = format!("{:?}", parsed("http://user:secret@proxy.example"));
        assert!(!debugged.contains("secret") && !debugged.contains("dXNlc"), "{debugged}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// [CONN-172]
        #[test]
        fn any_user_and_password_are_sent_as_they_are(user in "[^:\0]{0,8}", password in "\\PC{0,8}", port in 1_u16..) {
            let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let url = format!("http://{}:{}@proxy.example:{port}", escaped(&user), escaped(&password));
            let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            prop_assert_eq!(parsed(&url).authorization.map(|value| value.0), Some(wanted.into()));
            prop_assert_eq!(host(&url), format!("proxy.example:{port}"));
        }

        /// [CONN-177]
        #[test]
        fn any_text_is_a_proxy_or_refused_without_its_password(scheme in "(http|https|socks5|[a-z]{0,3})(://|:)", password in "[0-9]{8}[/?#@:%]?[0-9]{8}", host in "[a-z0-9.:\\[\\]%/@]{0,12}") {
            if let Err(wrong) = Proxy::parse(&format!("{scheme}user:{password}@{host}")) {
                prop_assert!(!wrong.contains(&password[..8]) && !wrong.contains(&password[9..]), "{wrong}");
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert!(Proxy::parse(&text).is_ok_and(|_| text.contains("://")) || Proxy::parse(&text).is_err_and(|wrong| wrong.starts_with("has ")));
        }
    }
}
