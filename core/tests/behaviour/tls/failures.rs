//! What a call is told of a handshake that failed: that it was TLS, with which address, and what to look at.

use linkspan_core::TlsVersion;
use rustls::version::TLS12;

use super::*;

/// Words of this, in this order, are in the text of a call to that server with these settings.
async fn is_told(server: TlsServer, tls: TlsOptions, words: &[&str]) {
    let address = server.server.address();
    let channel = channel(&format!("localhost:{}", server.port()), tls, &[]);
    let call = call(&channel);
    server.let_one_try();
    let failure = failure(call, Code::Unavailable).await;
    let text = failure.status().message();
    let mut rest = text;
    for word in [&[address.as_str()], words, &["; not sent"]].concat() {
        let (_, after) = rest.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {rest:?}, of {text:?}"));
        rest = after;
    }
    assert!(rest.is_empty(), "{text}");
    let told = channel.metrics().last_error.expect("it failed");
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

fn showing(identity: Identity, authority: &Authority) -> TlsOptions {
    TlsOptions {
        certificate_pem: Some(identity.certificate_pem),
        key_pem: Some(identity.key.serialize_pem().into_bytes()),
        ..trusting(authority)
    }
}

#[test]
fn a_servers_certificate_that_has_expired() {
    run(async {
        let authority = Authority::new();
        let setup = Setup { end: SystemTime::now() - DAY * 3 - DAY / 2, ..Setup::default() };
        let server = TlsServer::start(&authority, &setup);
        let words = ["TLS handshake failed: ", "the server's certificate expired 3 days ago"];
        is_told(server, trusting(&authority), &words).await;
    });
}

#[test]
fn a_server_signed_by_somebody_else() {
    run(async {
        let server = TlsServer::start(&Authority::new(), &Setup::default());
        let words = ["TLS handshake failed: ", "signed by nobody who is trusted (UnknownIssuer); trust its root"];
        is_told(server, trusting(&Authority::new()), &words).await;
    });
}

/// As when an authority has a new key and the client has the old root.
#[test]
fn a_server_signed_by_somebody_of_the_same_name() {
    run(async {
        let (old, new) = (Authority::named("the same"), Authority::named("the same"));
        let server = TlsServer::start(&new, &Setup::default());
        let words = ["TLS handshake failed: ", "not signed by who it says (BadSignature); a root", "another key"];
        is_told(server, trusting(&old), &words).await;
    });
}

#[test]
fn a_certificate_for_other_names() {
    run(async {
        let authority = Authority::new();
        let setup = Setup { names: &["other.example", "10.1.2.3"], ..Setup::default() };
        let server = TlsServer::start(&authority, &setup);
        let words =
            ["TLS handshake failed: ", "is not for \"localhost\"; it is for ", "\"other.example\"", "\"10.1.2.3\""];
        is_told(server, trusting(&authority), &words).await;
    });
}

/// In TLS 1.3 the refusal comes when the handshake is over for this side.
#[test]
fn a_client_certificate_that_is_asked_for_and_missing() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        for versions in [ALL_VERSIONS, &[&TLS12]] {
            let server = TlsServer::start(&authority, &Setup { clients: Some(&clients), versions, ..Setup::default() });
            let words = [
                "the server asks for a client certificate, and none was given; give the credentials one (alert CertificateRequired)",
            ];
            is_told(server, trusting(&authority), &words).await;
        }
    });
}

#[test]
fn a_client_certificate_that_the_server_refuses() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        for versions in [ALL_VERSIONS, &[&TLS12]] {
            let server =
                || TlsServer::start(&authority, &Setup { clients: Some(&clients), versions, ..Setup::default() });
            let stranger = showing(Authority::new().identity(&["a client"]), &authority);
            let words = ["refused the client's certificate: it does not trust whoever signed it (alert UnknownCA)"];
            is_told(server(), stranger, &words).await;
            let late = clients.identity_until(&["a client"], SystemTime::now() - DAY);
            let words = ["refused the client's certificate: it has expired (alert CertificateExpired)"];
            is_told(server(), showing(late, &authority), &words).await;
        }
    });
}

#[test]
fn a_server_without_tls() {
    run(async {
        let server = Server::start();
        let channel = channel(&format!("ipv4:{}", server.address()), trusting(&Authority::new()), &[]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let failure = failure(call, Code::Unavailable).await;
        let words = "TLS handshake failed: the server's answer is not TLS; if it is a plaintext server, use insecure credentials";
        assert!(failure.status().message().contains(words), "{failure}");
    });
}

/// [WIRE-3]
#[test]
fn a_server_that_is_too_old() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup { versions: &[&TLS12], ..Setup::default() });
        let tls = TlsOptions { min_version: TlsVersion::Tls13, ..trusting(&authority) };
        let words =
            ["TLS handshake failed: ", "none of the versions of TLS that this side does (alert ProtocolVersion)"];
        is_told(server, tls, &words).await;
    });
}

/// [WIRE-3]
#[test]
fn a_server_that_does_not_agree_on_http_2() {
    run(async {
        let authority = Authority::new();
        for protocols in [&[][..], &[&b"http/1.1"[..]]] {
            let server = TlsServer::start(&authority, &Setup { protocols, ..Setup::default() });
            let words = ["TLS handshake failed: ", "the server did not agree on HTTP/2 (ALPN \"h2\")"];
            is_told(server, trusting(&authority), &words).await;
        }
    });
}
