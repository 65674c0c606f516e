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
    /// [WIRE-140]
    #[test]
    fn any_message_decodes(encoded in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode_message(&encoded);
    }

    /// [WIRE-44]
    #[test]
    fn a_timeout_is_never_rounded_down(nanoseconds in 1_u64..) {
        let header = encode_timeout(Duration::from_nanos(nanoseconds));
        let text = header.to_str().expect("ascii");
        let (digits, unit) = text.split_at(text.len() - 1);
        prop_assert!(digits.len() <= 8);
        let length: u128 = match unit { "n" => 1, "u" => 1_000, "m" => 1_000_000, "S" => 1_000_000_000, "M" => 60_000_000_000, _ => 3_600_000_000_000 };
        prop_assert!(digits.parse::<u128>().expect("digits") * length >= u128::from(nanoseconds));
    }
}

#[test]
fn content_type_is_metadata_only_where_it_is_asked_for() {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let shown = |rules| Fields::read(&headers, rules).expect("readable").metadata.len();
    assert_eq!(shown(RULES), 0);
    assert_eq!(shown(HeaderRules { shows_content_type: true, ..RULES }), 1);
}
