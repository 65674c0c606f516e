use proptest::prelude::*;

use super::*;

fn target(text: &str) -> Target {
    Target::parse(text, &|_| None).unwrap_or_else(|error| panic!("{error}"))
}

fn fixed(text: &str) -> Vec<String> {
    match target(text).endpoint {
        Endpoint::Fixed(addresses) => addresses.iter().map(Address::to_string).collect(),
        other => panic!("{text} is {other:?}"),
    }
}

fn name(text: &str) -> (String, u16) {
    match target(text).endpoint {
        Endpoint::Name { host, port, .. } => (host, port),
        other => panic!("{text} is {other:?}"),
    }
}

fn refusal(text: &str) -> String {
    let error = Target::parse(text, &|_| None).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::BadTarget);
    assert!(error.message().contains(&format!("{text:?}")), "{error} must show the target");
    error.message().to_owned()
}

/// [NAME-2], [NAME-6], [NAME-7]
#[test]
fn names_with_and_without_scheme_are_for_dns() {
    for text in [
        "localhost:50051",
        "dns:localhost:50051",
        "dns:/localhost:50051",
        "dns:///localhost:50051",
        "DNS:///localhost:50051",
    ] {
        assert_eq!(name(text), ("localhost".to_owned(), 50_051), "{text}");
        let target = target(text);
        assert_eq!((target.canonical.as_str(), target.authority.as_str()), ("dns:localhost:50051", "localhost:50051"));
    }
    assert_eq!(name("example.com"), ("example.com".to_owned(), 443));
    assert_eq!(name("vsock"), ("vsock".to_owned(), 443));
    assert_eq!(name("unix.example:http"), ("unix.example".to_owned(), 80));
}

/// [NAME-20], [NAME-21], [NAME-24], [NAME-48]
#[test]
fn every_other_scheme_needs_no_resolver() {
    for (text, addresses) in [
        ("127.0.0.1:80", &["127.0.0.1:80"][..]),
        ("[::1]:80", &["[::1]:80"]),
        ("::1", &["[::1]:443"]),
        ("fe80::1%eth0", &["[fe80::1%eth0]:443"]),
        ("dns:///[fe80::1%25eth0]:80", &["[fe80::1%eth0]:80"]),
        ("ipv4:1.2.3.4:5,6.7.8.9", &["1.2.3.4:5", "6.7.8.9:443"]),
        ("ipv4:///1.2.3.4:5", &["1.2.3.4:5"]),
        ("ipv6:[::1]:5,[fe80::1%252]:6", &["[::1]:5", "[fe80::1%2]:6"]),
        ("ipv6:/[::1]:5", &["[::1]:5"]),
        ("unix:relative/path", &["unix:relative/path"]),
        ("unix:/absolute/path", &["unix:/absolute/path"]),
        ("unix:///absolute/path", &["unix:/absolute/path"]),
        ("unix:/a%20b", &["unix:/a b"]),
        ("unix-abstract:a name", &["unix-abstract:a%20name"]),
        ("unix-abstract:%00%ff", &["unix-abstract:%00%FF"]),
        ("vsock:2:50051", &["vsock:2:50051"]),
        ("vsock:///2:50051", &["vsock:2:50051"]),
        ("passthrough:///localhost:50051", &["localhost:50051"]),
        ("passthrough:localhost", &["localhost:443"]),
        ("passthrough:///[::1]:5", &["[::1]:5"]),
    ] {
        assert_eq!(fixed(text), addresses, "{text}");
    }
}

/// [NAME-31], [NAME-33]
#[test]
fn authorities() {
    for (text, authority) in [
        ("example.com", "example.com"),
        ("example.com:50051", "example.com:50051"),
        ("dns:foo%2ebar:80", "foo.bar:80"),
        ("[::1]:5", "[::1]:5"),
        ("ipv4:1.2.3.4:5,6.7.8.9:1", "1.2.3.4:5"),
        ("ipv6:[fe80::1%25eth0]:6", "[fe80::1]:6"),
        ("passthrough:///example.com:1", "example.com:1"),
        ("unix:/tmp/s", "localhost"),
        ("unix-abstract:s", "localhost"),
        ("vsock:2:50051", "localhost"),
    ] {
        assert_eq!(target(text).authority, authority, "{text}");
    }
}

/// [NAME-5]
#[test]
fn queries_and_fragments_of_every_scheme_are_passed_over() {
    for text in ["localhost:1", "dns:///localhost:1", "ipv4:1.2.3.4:5", "unix:/a", "vsock:1:2", "passthrough:///a:1"] {
        assert_eq!(target(&format!("{text}?x=1#y")), target(text), "{text}");
        assert!(refusal(&format!("{text}?x y")).contains("' ' in its query"));
    }
    assert_eq!(fixed("unix:/a%3fb%23c"), ["unix:/a?b#c"]);
}

/// [NAME-2], [NAME-3], [NAME-23]
#[test]
fn an_unknown_scheme_is_a_name_unless_two_slashes_say_otherwise() {
    assert_eq!(name("foo:80"), ("foo".to_owned(), 80));
    assert!(refusal("foo:bar").contains("has the port \"bar\""));
    for scheme in ["http", "https", "xds", "foo"] {
        let said = refusal(&format!("{scheme}://localhost:80"));
        assert!(said.contains(&format!("unknown scheme {scheme:?}; this build knows dns:, ipv4:,")), "{said}");
        assert!(said.ends_with("write \"host:port\""), "{said}");
    }
}

/// [NAME-3], [NAME-22], [NAME-23]
#[test]
fn bad_targets_say_what_is_wrong() {
    for (text, said) in [
        ("", "is empty; give for example \"localhost:50051\""),
        ("localhost:0", "has the port \"0\"; a port is 1 to 65535"),
        ("localhost:50051/path", "has the port \"50051/path\""),
        ("local host:80", "has ' ' in the host name \"local host\""),
        ("[::1", "'[' without a ']'"),
        ("dns:", "has no host; write \"host:port\""),
        ("dns:////host", "has '/' in the host name \"/host\""),
        ("dns://localhost", "write \"dns:///localhost\""),
        ("ipv4:localhost:80", "not an ipv4 address"),
        ("ipv4://1.2.3.4:5", "write \"ipv4:1.2.3.4:5\""),
        (
            "ipv4://host/1.2.3.4:5",
            "has \"host\" between \"//\" and \"/\", where ipv4 has nothing; write \"ipv4:1.2.3.4:5\"",
        ),
        ("ipv6:1.2.3.4:80", "not an ipv6 address"),
        ("unix:", "has no path"),
        ("unix://host/path", "write \"unix:host/path\" or \"unix:///host/path\""),
        ("unix-abstract://host/path", "where unix-abstract has nothing"),
        ("vsock://2/50051", "where vsock has nothing"),
        ("vsock:host:1", "write \"vsock:cid:port\""),
        ("passthrough://server/host:1", "write \"passthrough:host:1\""),
        ("passthrough:///", "has no host"),
    ] {
        let what = refusal(text);
        assert!(what.contains(said), "{what}");
    }
}

/// Whatever is accepted, its canonical form is accepted as well, and is the same; and requests can carry its authority.
fn holds(text: &str) -> Result<(), TestCaseError> {
    if let Ok(target) = Target::parse(text, &|_| None) {
        let authority = target.authority.parse::<http::uri::Authority>();
        prop_assert!(authority.is_ok(), "{} of {}", target.authority, text);
        let again = Target::parse(&target.canonical, &|_| None);
        prop_assert_eq!(again.as_ref(), Ok(&target), "{} of {}", target.canonical, text);
        let Endpoint::Fixed(addresses) = target.endpoint else { return Ok(()) };
        // A path may have bytes that are no text.
        for address in addresses.into_iter().filter(|address| !matches!(address, Address::Unix(_))) {
            let shown = address.to_string();
            prop_assert_eq!(Target::parse_address(&shown), Ok(address), "{} of {}", shown, text);
        }
    }
    Ok(())
}

const SCHEME: &str = "dns|ipv4|ipv6|unix|unix-abstract|vsock|passthrough|foo";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// [NAME-32]
    #[test]
    fn any_text_is_parsed_or_refused_and_never_panics(text in "\\PC*") {
        holds(&text)?;
    }

    #[test]
    fn any_text_after_a_scheme_is_parsed_or_refused(scheme in SCHEME, rest in "[:/\\[\\]%,?#0-9a-f.\\PC]*") {
        holds(&format!("{scheme}:{rest}"))?;
    }

    #[test]
    fn the_canonical_form_is_the_same_target(
        scheme in "(dns:|ipv4:|ipv6:|unix:|unix-abstract:|vsock:|passthrough:|)",
        slashes in "/{0,5}",
        body in "[0-9]{1,5}:[0-9]{1,5}|[a-z%2.]{1,9}(:[0-9]{1,5})?|[0-9.]{7,9}(:80)?|\\[?[0-9a-f]{0,4}::[0-9a-f]{1,4}(%(25)?[a-f0-9]{1,3})?(\\]:80)?",
        query in "(\\?[a-z]{0,3})?(#[a-z]{0,3})?",
    ) {
        holds(&format!("{scheme}{slashes}{body}{query}"))?;
    }
}
