use proptest::prelude::*;

use super::*;

fn fixed(text: &str) -> Vec<String> {
    match Target::parse(text).expect(text).endpoint {
        Endpoint::Fixed(addresses) => addresses.iter().map(Address::to_string).collect(),
        Endpoint::Name { host, port } => panic!("{text} is the name {host}:{port}"),
    }
}

fn name(text: &str) -> (String, u16) {
    match Target::parse(text).expect(text).endpoint {
        Endpoint::Name { host, port } => (host, port),
        Endpoint::Fixed(addresses) => panic!("{text} is {addresses:?}"),
    }
}

fn refusal(text: &str) -> String {
    let error = Target::parse(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::BadTarget);
    assert!(error.message().contains(&format!("{text:?}")), "{error} must show the target");
    error.message().to_owned()
}

/// [NAME-2], [NAME-8]
#[test]
fn names_with_and_without_scheme_and_port() {
    for text in ["localhost:50051", "dns:localhost:50051", "dns:///localhost:50051", "DNS:///localhost:50051"] {
        assert_eq!(name(text), ("localhost".to_owned(), 50_051), "{text}");
        let target = Target::parse(text).expect(text);
        assert_eq!((target.canonical.as_str(), target.authority.as_str()), ("dns:localhost:50051", "localhost:50051"));
    }
    assert_eq!(name("example.com"), ("example.com".to_owned(), 443));
    assert_eq!(name("example.com:http"), ("example.com".to_owned(), 80));
}

/// [NAME-20], [NAME-48]
#[test]
fn literals_need_no_resolver() {
    assert_eq!(fixed("127.0.0.1:80"), ["127.0.0.1:80"]);
    assert_eq!(fixed("[::1]:80"), ["[::1]:80"]);
    assert_eq!(fixed("::1"), ["[::1]:443"]);
    assert_eq!(fixed("ipv4:1.2.3.4:5,6.7.8.9"), ["1.2.3.4:5", "6.7.8.9:443"]);
    assert_eq!(fixed("ipv4:///1.2.3.4:5"), ["1.2.3.4:5"]);
    assert_eq!(fixed("ipv6:[::1]:5,[fe80::1%252]:6"), ["[::1]:5", "[fe80::1%2]:6"]);
    assert_eq!(fixed("unix:relative/path"), ["unix:relative/path"]);
    assert_eq!(fixed("unix:///absolute/path"), ["unix:/absolute/path"]);
}

/// [NAME-33]
#[test]
fn authorities() {
    let authority = |text: &str| Target::parse(text).expect(text).authority;
    assert_eq!(authority("unix:/tmp/s"), "localhost");
    assert_eq!(authority("ipv4:1.2.3.4:5,6.7.8.9:1"), "1.2.3.4:5");
    assert_eq!(authority("example.com"), "example.com");
    assert_eq!(authority("example.com:http"), "example.com:80");
    assert_eq!(authority("dns:foo%2ebar:80"), "foo.bar:80");
    assert_eq!(authority("::1"), "[::1]");
    assert_eq!(authority("[::1]:5"), "[::1]:5");
    assert_eq!(authority("ipv6:2607:f8b0:400e:c00::ef"), "[2607:f8b0:400e:c00::ef]");
    assert_eq!(authority("ipv6:[fe80::1%252]:6"), "[fe80::1]:6");
}

#[test]
fn bad_targets_say_what_is_wrong() {
    assert!(refusal("").contains("is empty"));
    assert!(refusal("localhost:0").contains("1 to 65535"));
    assert!(refusal("localhost:99999").contains("1 to 65535"));
    assert!(refusal("localhost:+80").contains("1 to 65535"));
    assert!(refusal("localhost:").contains("1 to 65535"));
    assert!(refusal(":80").contains("no host"));
    assert!(refusal("http://localhost:80").contains("unknown scheme \"http\""));
    assert!(refusal("http://localhost:80").contains("dns:, ipv4:, ipv6: and unix:"));
    assert!(refusal("dns://8.8.8.8/localhost:80").contains("names the DNS server"));
    assert!(refusal("ipv4:localhost:80").contains("not an ipv4 address"));
    assert!(refusal("ipv4:[::1]:80").contains("not an ipv4 address"));
    assert!(refusal("ipv6:1.2.3.4:80").contains("not an ipv6 address"));
    assert!(refusal("ipv4:").contains("lists no address"));
    assert!(refusal("ipv4://host/1.2.3.4:5").contains("has an authority"));
    assert!(refusal("unix:").contains("no path"));
    assert!(refusal("unix://host/path").contains("has an authority"));
    assert!(refusal(&format!("unix:/{}", "x".repeat(107))).contains("108 bytes"));
    assert!(refusal("[::1").contains("without a ']'"));
    assert!(refusal("[localhost]:80").contains("not an IPv6 address"));
    assert!(refusal("[::1]80").contains("after the ']'"));
    assert!(refusal("local host:80").contains("no host name"));
    assert!(refusal("xds:///service").contains("unknown scheme \"xds\""));
}

/// [NAME-5]
#[test]
fn escapes_are_decoded_and_invalid_ones_stay() {
    assert_eq!(fixed("unix:/a%20b"), ["unix:/a b"]);
    assert_eq!(fixed("unix:/a%2"), ["unix:/a%2"]);
    assert_eq!(fixed("unix:/a%zz%ff"), ["unix:/a%zz%ff"]);
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_and_never_panics(text in "\\PC*") {
        let _ = Target::parse(&text);
    }

    #[test]
    fn any_text_after_a_scheme_is_parsed_or_refused(scheme in "dns|ipv4|ipv6|unix|foo", rest in "[:/\\[\\]%,0-9a-f.\\PC]*") {
        let _ = Target::parse(&format!("{scheme}:{rest}"));
    }
}
