use proptest::prelude::*;

use super::*;
use crate::status::Code;

const RULES: HeaderRules = HeaderRules { limit: 16_384, shows_content_type: false };

fn template() -> RequestTemplate {
    let user_agent = HeaderValue::from_static("grpc-rust-linkspan/0");
    RequestTemplate::of(Scheme::HTTP, Authority::from_static("example.com:1"), user_agent, Encodings::IDENTITY)
}

fn headers_of(metadata: &Metadata, remaining: Option<Duration>) -> HeaderMap {
    let method = MethodPath::parse("/package.Service/Method").expect("valid");
    let request = request(&template(), &method, None, metadata, remaining, 0, Compression::Identity).expect("valid");
    assert_eq!(request.uri().to_string(), "http://example.com:1/package.Service/Method");
    assert_eq!(request.method(), Method::POST);
    request.headers().clone()
}

fn fields(pairs: &[(&'static str, &'static str)]) -> Result<Fields<'static>, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    // What is read borrows from it.
    Fields::read(Box::leak(Box::new(headers)), RULES)
}

fn status(value: &'static str) -> Result<Option<Status>, Failure> {
    fields(&[("grpc-status", value)]).map(|fields| fields.status)
}

/// [WIRE-22], [WIRE-26], [WIRE-27], [WIRE-41]
#[test]
fn a_request_has_grpcs_headers_and_no_timeout_without_a_deadline() {
    let headers = headers_of(&Metadata::new(), None);
    let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["content-type", "te", "grpc-accept-encoding", "user-agent"]);
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["te"], "trailers");
}

/// [WIRE-28], [WIRE-29]
#[test]
fn the_timeout_comes_first_and_metadata_last() {
    let mut metadata = Metadata::new();
    metadata.append("a", "x").expect("valid key");
    let headers = headers_of(&metadata, Some(Duration::from_secs(1)));
    let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["grpc-timeout", "content-type", "te", "grpc-accept-encoding", "user-agent", "a"]);
}

/// [WIRE-111]
#[test]
fn what_is_read_is_always_told_and_what_is_sent_when_it_is_compressed() {
    let method = MethodPath::parse("/package.Service/Method").expect("valid");
    for bits in [0b111, 0b001, 0b111] {
        let authority = Authority::from_static("example.com");
        let template = RequestTemplate::new(false, authority, "agent", Encodings::of_bits(bits)).expect("valid");
        let headers = |compression| {
            let request = request(&template, &method, None, &Metadata::new(), None, 0, compression);
            request.expect("valid").headers().clone()
        };
        let plain = headers(Compression::Identity);
        let names = if bits == 1 { "identity" } else { "identity,deflate,gzip" };
        assert_eq!(plain["grpc-accept-encoding"], names);
        assert!(!plain.contains_key("grpc-encoding"));
        let compressed = headers(Compression::Gzip);
        assert_eq!(
            (&compressed["grpc-encoding"], &compressed["grpc-accept-encoding"]),
            (&"gzip".parse().expect("ASCII"), &names.parse().expect("ASCII"))
        );
        assert_eq!(compressed.len(), plain.len() + 1);
    }
}

/// [WIRE-23]
#[test]
fn the_scheme_says_whether_there_is_tls() {
    let method = MethodPath::parse("/package.Service/Method").expect("valid");
    for (is_secure, scheme) in [(false, "http"), (true, "https")] {
        let authority = Authority::from_static("example.com");
        let template = RequestTemplate::new(is_secure, authority, "agent", Encodings::IDENTITY).expect("valid");
        let request =
            request(&template, &method, None, &Metadata::new(), None, 0, Compression::Identity).expect("valid");
        assert_eq!(request.uri().scheme_str(), Some(scheme));
    }
}

/// [WIRE-138]
#[test]
fn status_details_are_metadata_as_any_other() {
    let fields = fields(&[("grpc-status", "5"), ("grpc-status-details-bin", "CAc")]).expect("valid");
    assert_eq!(fields.status.expect("there").code(), Code::NotFound, "whatever the details say");
    let details: Vec<_> = fields.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_vec())).collect();
    assert_eq!(details, [("grpc-status-details-bin".to_owned(), vec![8, 7])]);
}

/// [WIRE-40], [WIRE-44], [DL-1], [DL-2]
#[test]
fn timeouts_use_the_finest_unit_that_fits_and_round_up() {
    let text = |duration| encode_timeout(duration).to_str().expect("ascii").to_owned();
    assert_eq!(text(Duration::ZERO), "1n");
    assert_eq!(text(Duration::from_nanos(99_999_999)), "99999999n");
    assert_eq!(text(Duration::from_nanos(100_000_001)), "100001u");
    assert_eq!(text(Duration::from_secs(2)), "2000000u");
    assert_eq!(text(Duration::from_secs(100)), "100000m");
    assert_eq!(text(Duration::from_secs(100_000)), "100000S");
    assert_eq!(text(Duration::MAX), "99999999H");
}

/// [WIRE-54], [WIRE-56]
#[test]
fn library_headers_of_the_application_do_not_reach_the_wire() {
    let mut metadata = Metadata::new();
    for key in
        ["te", "user-agent", "grpc-timeout", "grpc-previous-rpc-attempts", "connection", "content-length", "mine"]
    {
        metadata.append(key, "x").expect("valid key");
    }
    let headers = headers_of(&metadata, None);
    assert_eq!(headers.len(), 5);
    assert_eq!(headers["mine"], "x");
    assert_eq!(headers["te"], "trailers");
}

/// [WIRE-60], [WIRE-61], [WIRE-65]
#[test]
fn binary_metadata_is_sent_as_base64_without_padding() {
    let mut metadata = Metadata::new();
    metadata.append("a-bin", Bytes::from_static(&[0xab, 0xab, 0xab, 0xab])).expect("valid");
    metadata.append("b-bin", Bytes::new()).expect("valid");
    let headers = headers_of(&metadata, None);
    assert_eq!(headers["a-bin"], "q6urqw");
    assert_eq!(headers["b-bin"], "");
}

/// [WIRE-62], [WIRE-63]
#[test]
fn binary_metadata_is_read_padded_unpadded_and_joined() {
    let fields = fields(&[("a-bin", "q6urqw=="), ("a-bin", "q6urqw,AAE, /w")]).expect("valid");
    let values: Vec<_> = fields.metadata.iter().map(|(_, value)| value.to_vec()).collect();
    assert_eq!(values, [vec![0xab; 4], vec![0xab; 4], vec![0, 1], vec![0xff]]);
}

/// [WIRE-64]
#[test]
fn broken_base64_is_an_internal_error_naming_the_key() {
    let failure = fields(&[("a-bin", "!!")]).expect_err("broken");
    assert_eq!(failure.code(), Code::Internal);
    assert!(failure.words(crate::failure::Dialect::Native).contains("\"a-bin\""));
}

/// [WIRE-135], [WIRE-136], [WIRE-137], [WIRE-141]
#[test]
fn statuses() {
    let raw = |value| status(value).expect("readable").expect("there").raw_code();
    assert_eq!(raw("0"), 0);
    assert_eq!(raw("00"), 0);
    assert_eq!(raw("16"), 16);
    assert_eq!(raw("17"), 17);
    for unreadable in ["", "-1", "OK", "1.0", "99999999999"] {
        assert_eq!(status(unreadable).expect_err(unreadable).code(), Code::Unknown, "{unreadable:?}");
    }
    let twice = fields(&[("grpc-status", "0"), ("grpc-status", "1")]).expect_err("two");
    assert_eq!(twice.code(), Code::Unknown);
    assert!(fields(&[("grpc-status", "1"), ("grpc-status", "1")]).is_ok());
    assert_eq!(fields(&[]).expect("nothing").status, None);
}

/// [WIRE-139], [WIRE-140]
#[test]
fn messages_are_decoded_and_stay_valid_text() {
    assert_eq!(decode_message(b"%09%0Atest%20with \xE2%98%BA"), "\t\ntest with ☺");
    assert_eq!(decode_message(b"100% %4 %ZZ %e2%98%ba"), "100% %4 %ZZ ☺");
    assert_eq!(decode_message(b"%FF%FEx"), "%FF%FEx");
    assert_eq!(decode_message(b"%+1"), "%+1");
}

/// [WIRE-72]
#[test]
fn a_header_block_above_the_limit_is_refused_by_its_size_on_the_wire() {
    let mut headers = HeaderMap::new();
    headers.insert("k", HeaderValue::from_static("value"));
    let rules = |limit| HeaderRules { limit, ..RULES };
    assert!(Fields::read(&headers, rules(38)).is_ok());
    assert!(matches!(Fields::read(&headers, rules(37)), Err(Failure::HeadersTooLarge { size: 38, limit: 37 })));
}

/// [WIRE-27], [WIRE-154]
#[test]
fn content_types() {
    let is_grpc = |value| fields(&[("content-type", value)]).expect("readable").is_grpc();
    assert!(is_grpc("application/grpc"));
    assert!(is_grpc("application/grpc+proto"));
    assert!(is_grpc("application/grpc;charset=utf-8"));
    assert!(!is_grpc("application/grpcx"));
    assert!(!is_grpc("text/html"));
    assert!(!fields(&[]).expect("readable").is_grpc());
}

/// [WIRE-24]
#[test]
fn methods_without_a_slash_or_with_a_query_are_refused_by_name() {
    for bad in ["", "package.Service/Method", "/a?b", "/a#b", "/a b"] {
        let error = MethodPath::parse(bad).expect_err(bad);
        assert_eq!(error.kind(), ErrorKind::State);
        assert!(error.message().contains(&format!("{bad:?}")), "{error}");
    }
    assert!(MethodPath::parse("/a/b/c/Method").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// [WIRE-140]
    #[test]
    fn any_message_decodes_and_what_has_no_escape_stays(encoded in prop::collection::vec(any::<u8>(), 0..60)) {
        let decoded = decode_message(&encoded);
        if let Ok(text) = str::from_utf8(&encoded) && !text.contains('%') {
            prop_assert_eq!(decoded, text);
        }
    }

    /// [WIRE-139]
    #[test]
    fn any_text_comes_back_as_it_was_sent(text in any::<String>(), escapes_all in any::<bool>()) {
        let must_escape = |byte: &u8| escapes_all || !matches!(byte, b' '..=b'~') || *byte == b'%';
        let escaped = |byte: u8| if must_escape(&byte) { format!("%{byte:02X}") } else { char::from(byte).to_string() };
        let encoded: String = text.bytes().map(escaped).collect();
        prop_assert_eq!(decode_message(encoded.as_bytes()), text);
    }

    /// [WIRE-40], [WIRE-44]
    #[test]
    fn a_timeout_is_read_as_no_shorter_and_less_than_a_unit_longer(seconds in 0_u64..360_000_000_000, scale in 0_u32..12, nanoseconds in 0_u32..1_000_000_000) {
        let sent = Duration::new(seconds / 10_u64.pow(scale), nanoseconds);
        let header = encode_timeout(sent);
        let (read, unit) = decode_timeout(header.to_str().expect("ASCII"));
        prop_assert!(read >= sent, "{:?} is shorter than {:?}", header, sent);
        prop_assert!(read < sent + unit || sent.is_zero(), "{:?} is longer than {:?}", header, sent);
    }

    /// [WIRE-50] to [WIRE-52], [WIRE-60] to [WIRE-63]
    #[test]
    fn metadata_is_read_as_it_was_sent_key_by_key(entries in entries()) {
        let mut metadata = Metadata::new();
        for (key, value) in &entries {
            metadata.append(key, value.clone()).expect("valid");
        }
        let headers = headers_of(&metadata, None);
        let read = Fields::read(&headers, RULES).expect("readable");
        for (key, _) in &entries {
            prop_assert_eq!(values(&read.metadata, key), values(&metadata, key), "{}", key);
        }
        // The library's `te` and `user-agent` are there too; no server sends them.
        prop_assert_eq!(read.metadata.len(), entries.len() + 2);
    }

    /// [WIRE-62], [WIRE-63]
    #[test]
    fn binary_values_may_be_joined_by_commas_and_padded(values in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..20), any::<bool>()), 1..6)) {
        let encoded = |(value, is_padded): &(Vec<u8>, bool)| {
            let text = BASE64.encode(value);
            if *is_padded { format!("{text:=<length$}", length = text.len().next_multiple_of(4)) } else { text }
        };
        let joined: Vec<String> = values.iter().map(encoded).collect();
        let mut headers = HeaderMap::new();
        headers.insert("key-bin", HeaderValue::try_from(joined.join(",")).expect("ASCII"));
        let read = Fields::read(&headers, RULES).expect("readable").metadata;
        let read: Vec<Vec<u8>> = read.iter().map(|(_, value)| value.to_vec()).collect();
        prop_assert_eq!(read, values.into_iter().map(|(value, _)| value).collect::<Vec<_>>());
    }

    /// [WIRE-72]
    #[test]
    fn a_block_has_its_size_on_the_wire_whatever_is_in_it(entries in entries()) {
        let mut headers = HeaderMap::new();
        for (key, value) in &entries {
            let value = if is_binary(key) { BASE64.encode(value).into() } else { value.clone() };
            headers.append(HeaderName::try_from(key).expect("valid"), HeaderValue::from_maybe_shared(value).expect("valid"));
        }
        let size = headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 32) as u64).sum();
        let read = |limit| Fields::read(&headers, HeaderRules { limit, ..RULES }).map(|fields| fields.metadata.len());
        prop_assert_eq!(read(size), Ok(entries.len()));
        if let Some(limit) = size.checked_sub(1) {
            prop_assert_eq!(read(limit), Err(Failure::HeadersTooLarge { size, limit }));
        }
    }
}

/// `TimeoutValue TimeoutUnit` of gRPC's grammar: how long it is, and its unit.
fn decode_timeout(text: &str) -> (Duration, Duration) {
    let (digits, unit) = text.split_at(text.len() - 1);
    assert!((1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
    let unit = match unit {
        "H" => Duration::from_secs(3_600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => panic!("{text} has no unit"),
    };
    (unit * digits.parse::<u32>().expect("eight digits"), unit)
}

/// Entries that an application may send, with few keys, so that they repeat.
fn entries() -> impl Strategy<Value = Vec<(String, Bytes)>> {
    let ascii = ("[a-c._]{1,2}", "[ -~]{0,12}").prop_map(|(key, value)| (key, Bytes::from(value)));
    let binary =
        ("[a-c]-bin", prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(key, value)| (key, Bytes::from(value)));
    prop::collection::vec(prop_oneof![ascii, binary], 0..12)
}

fn values(metadata: &Metadata, key: &str) -> Vec<Bytes> {
    metadata.iter().filter(|(name, _)| *name == key).map(|(_, value)| value.clone()).collect()
}

#[test]
fn content_type_is_metadata_only_where_it_is_asked_for() {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let shown = |rules| Fields::read(&headers, rules).expect("readable").metadata.len();
    assert_eq!(shown(RULES), 0);
    assert_eq!(shown(HeaderRules { shows_content_type: true, ..RULES }), 1);
}
