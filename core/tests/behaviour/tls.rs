//! TLS: whom a channel trusts, whom it says it is, and what it tells when a handshake fails.

mod failures;
mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use linkspan_core::{CallOptions, Channel, Code, Credentials, ErrorKind, OptionValue, Roots, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::peer::client::{Unary, call, call_with, failure, options, response};
use crate::peer::proxy::Proxy;
use crate::peer::server::{Connection, Server};
use crate::peer::{beside, run};
use crate::targets::listen_abstractly;

const DAY: Duration = Duration::from_secs(86_400);

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: Vec<u8>,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self::named(&format!("authority {}", NEXT.fetch_add(1, Relaxed)))
    }

    fn named(name: &str) -> Self {
        let mut parameters = CertificateParams::new([]).expect("parameters");
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    fn identity(&self, names: &[&str]) -> Identity {
        self.identity_until(names, SystemTime::now() + DAY * 365)
    }

    fn identity_until(&self, names: &[&str], end: SystemTime) -> Identity {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(names).expect("parameters");
        parameters.not_after = end.into();
        let signed = parameters.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: signed.der().clone(), certificate_pem: signed.pem().into_bytes(), key }
    }

    fn roots(&self) -> Roots {
        Roots::Pem(self.0.pem().into_bytes())
    }
}

/// How a server presents itself.
struct Setup<'a> {
    names: &'a [&'a str],
    protocols: &'a [&'a [u8]],
    /// Whoever signs the clients it lets in.
    clients: Option<&'a Authority>,
    versions: &'a [&'static SupportedProtocolVersion],
    /// When its certificate expires.
    end: SystemTime,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        let end = SystemTime::now() + DAY * 365;
        Self { names: &["localhost", "127.0.0.1"], protocols: &[b"h2"], clients: None, versions: ALL_VERSIONS, end }
    }
}

struct TlsServer {
    server: Server,
    acceptor: TlsAcceptor,
}

impl TlsServer {
    fn start(authority: &Authority, setup: &Setup<'_>) -> Self {
        let identity = authority.identity_until(setup.names, setup.end);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(setup.versions)
            .expect("versions");
        let builder = match setup.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let mut config = builder.with_single_cert(vec![identity.certificate], key).expect("an identity");
        config.alpn_protocols = setup.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self { server: Server::start(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    fn port(&self) -> String {
        self.server.address().rsplit(':').next().expect("a port").to_owned()
    }

    async fn shake_hands(&self) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(self.server.accept_stream().await).await
    }

    async fn accept(&self) -> Connection {
        Connection::serve(self.shake_hands().await.expect("a handshake"), &h2::server::Builder::new()).await
    }

    /// Lets one client try, whatever comes of it.
    fn let_one_try(self) {
        beside(async move {
            if let Ok(stream) = self.shake_hands().await {
                // A client that is refused reads that from here.
                Connection::serve_if_it_can(stream).await;
            }
        });
    }
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions { roots: authority.roots(), ..TlsOptions::default() }
}

fn channel(target: &str, tls: TlsOptions, set: &[(&str, OptionValue)]) -> Channel {
    let credentials = Credentials::tls(tls).expect("good credentials");
    Channel::new(target, &credentials, &options(set)).expect("a channel")
}

/// A call that names this authority and waits for a connection, if it must.
fn call_naming(channel: &Channel, authority: &str) -> JoinHandle<Unary> {
    let options =
        CallOptions { authority: Some(authority.into()), wait_for_ready: Some(true), ..CallOptions::default() };
    call_with(channel, "", options)
}

/// [WIRE-2], [WIRE-3]
#[test]
fn a_server_signed_by_the_given_root_is_trusted() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup::default());
        let channel = channel(&format!("ipv4:{}", server.server.address()), trusting(&authority), &[]);
        let call = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.scheme_str(), Some("https"));
        request.answer(b"secret");
        assert_eq!(response(call).await.message, "secret");
        let link = &channel.metrics().connections[0];
        assert!(link.connect.is_some() && link.tls.is_some());
        let snapshot = channel.snapshot();
        let tls = snapshot.subchannels[0].connections[0].tls.as_ref().expect("TLS");
        assert_eq!((tls.version, tls.resumed), ("TLSv1.3", false));
        assert!(tls.cipher.starts_with("TLS13_"), "{}", tls.cipher);
    });
}

/// [NAME-35]
#[test]
fn the_name_asked_for_is_the_targets_or_the_one_given_instead() {
    run(async {
        let authority = Authority::new();
        let setup = Setup { names: &["service.example"], ..Setup::default() };
        let by_options: (&str, OptionValue) = ("grpc.ssl_target_name_override", "service.example".into());
        let named = TlsOptions { server_name: Some("service.example".into()), ..trusting(&authority) };
        let authority_option: (&str, OptionValue) = ("grpc.default_authority", "service.example:443".into());
        for (tls, set) in
            [(trusting(&authority), &[by_options][..]), (named, &[]), (trusting(&authority), &[authority_option])]
        {
            let server = TlsServer::start(&authority, &setup);
            let channel = channel(&format!("localhost:{}", server.port()), tls, set);
            let call = call(&channel);
            let stream = server.shake_hands().await.expect("a handshake");
            assert_eq!(stream.get_ref().1.server_name(), Some("service.example"));
            let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
            let request = connection.request().await;
            assert_eq!(request.head.uri.host(), Some("service.example"));
            request.answer(b"");
            response(call).await;
        }
    });
}

/// [CONN-178]
#[test]
fn tls_is_with_the_server_behind_the_proxy() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup { names: &["service.invalid"], ..Setup::default() });
        let mut proxy = Proxy::to("service.invalid:443", &server.server.address()).await;
        let set = [("grpc.http_proxy", proxy.url().as_str().into())];
        let channel = channel("service.invalid", trusting(&authority), &set);
        let call = call(&channel);
        let stream = server.shake_hands().await.expect("a handshake");
        assert_eq!(stream.get_ref().1.server_name(), Some("service.invalid"));
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), "service.invalid");
        request.answer(b"secret");
        assert_eq!(response(call).await.message, "secret");
        assert!(proxy.request().await.starts_with("CONNECT service.invalid:443 HTTP/1.1\r\n"));
    });
}

/// [NAME-36]
#[test]
fn calls_may_name_another_server_than_tls_asks_for() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup { names: &["for.tls"], ..Setup::default() });
        let set =
            [("grpc.default_authority", "for.calls:1".into()), ("grpc.ssl_target_name_override", "for.tls".into())];
        let channel = channel(&format!("localhost:{}", server.port()), trusting(&authority), &set);
        let call = call(&channel);
        let stream = server.shake_hands().await.expect("a handshake");
        assert_eq!(stream.get_ref().1.server_name(), Some("for.tls"));
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), "for.calls:1");
        request.answer(b"");
        response(call).await;
    });
}

/// [NAME-34]
#[test]
fn a_call_may_name_whatever_the_servers_certificate_is_for() {
    run(async {
        let authority = Authority::new();
        let setup = Setup { names: &["localhost", "*.of.example", "127.0.0.1"], ..Setup::default() };
        let server = TlsServer::start(&authority, &setup);
        let set = [("linkspan.connections_per_subchannel", 1.into())];
        let channel = channel(&format!("localhost:{}", server.port()), trusting(&authority), &set);
        let first = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(first).await;
        for named in ["a.of.example", "A.OF.example:99", "127.0.0.1:1", "localhost"] {
            let call = call_naming(&channel, named);
            let request = connection.request().await;
            assert_eq!(request.head.uri.authority().expect("an authority").as_str(), named);
            request.answer(b"");
            response(call).await;
        }
    });
}

/// [NAME-34]
#[test]
fn a_call_that_names_another_server_is_not_sent_and_its_connection_is_as_good_as_before() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup::default());
        let set = [("linkspan.connections_per_subchannel", 1.into())];
        let channel = channel(&format!("localhost:{}", server.port()), trusting(&authority), &set);
        let wrong = call_naming(&channel, "other.example:443");
        let mut connection = server.accept().await;
        for wrong in [wrong, call_naming(&channel, "other.example:443"), call_naming(&channel, "127.0.0.2")] {
            let text = failure(wrong, Code::Unavailable).await.status().message().to_owned();
            assert!(text.starts_with("failed to validate authority \""), "{text}");
            assert!(text.contains(" is for \"localhost\", \"127.0.0.1\"; give the call an authority"), "{text}");
            assert!(text.ends_with("; phase queue; not sent"), "{text}");
        }
        let right = call(&channel);
        let request = connection.request().await;
        assert_eq!(request.head.uri.host(), Some("localhost"), "nothing came before");
        request.answer(b"");
        response(right).await;
        let links = channel.metrics().connections;
        assert_eq!((links.len(), links[0].streams_total, links[0].state), (1, 1, "ready"), "{links:?}");
        assert!(!server.server.has_waiting_connection());
    });
}

/// [NAME-34]
#[test]
fn an_authority_is_checked_against_the_certificate_of_the_connection_that_the_call_is_on() {
    run(async {
        let authority = Authority::new();
        let setup = Setup { names: &["localhost", "of.example"], ..Setup::default() };
        let mut server = TlsServer::start(&authority, &setup);
        let set = [("linkspan.connections_per_subchannel", 1.into())];
        let channel = channel(&format!("localhost:{}", server.port()), trusting(&authority), &set);
        let fitting = call_naming(&channel, "of.example");
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(fitting).await;
        server.acceptor = TlsServer::start(&authority, &Setup::default()).acceptor;
        drop(connection);
        // round_robin connects again by itself.
        let _connection = server.accept().await;
        let renewed = call_naming(&channel, "of.example");
        let failure = failure(renewed, Code::Unavailable).await;
        assert!(failure.status().message().starts_with("failed to validate authority \"of.example\""), "{failure}");
    });
}

/// [NAME-34], [NAME-36]
#[test]
fn a_call_may_repeat_its_channels_authority_and_name_any_where_nothing_is_verified() {
    run(async {
        let authority = Authority::new();
        let unverified = TlsOptions { verify: false, ..trusting(&authority) };
        let set =
            [("grpc.default_authority", "for.calls:1".into()), ("grpc.ssl_target_name_override", "for.tls".into())];
        for (tls, named) in [(trusting(&authority), "for.calls:1"), (unverified, "any.other")] {
            let server = TlsServer::start(&authority, &Setup { names: &["for.tls"], ..Setup::default() });
            let channel = channel(&format!("localhost:{}", server.port()), tls, &set);
            let call = call_naming(&channel, named);
            let mut connection = server.accept().await;
            let request = connection.request().await;
            assert_eq!(request.head.uri.authority().expect("an authority"), named);
            request.answer(b"");
            response(call).await;
        }
    });
}

/// [NAME-35]
#[test]
fn an_ip_address_is_checked_and_not_asked_for() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup::default());
        let port = server.port();
        for target in [format!("127.0.0.1:{port}"), format!("ipv4:127.0.0.1:{port},127.0.0.2:{port}")] {
            let channel = channel(&target, trusting(&authority), &[]);
            let call = call(&channel);
            let stream = server.shake_hands().await.expect("a handshake");
            assert_eq!(stream.get_ref().1.server_name(), None, "{target}");
            let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
            connection.request().await.answer(b"");
            response(call).await;
        }
        let other = TlsServer::start(&authority, &Setup { names: &["127.0.0.9", "localhost"], ..Setup::default() });
        let channel = channel(&format!("ipv4:{}", other.server.address()), trusting(&authority), &[]);
        let call = call(&channel);
        other.let_one_try();
        let failure = failure(call, Code::Unavailable).await;
        assert!(failure.status().message().contains("TLS handshake failed: "), "{failure}");
    });
}

/// [NAME-33], [NAME-35]
#[test]
fn a_socket_of_this_machine_is_asked_for_as_localhost() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup { names: &["localhost"], ..Setup::default() });
        let name = format!("linkspan/tls/{}", std::process::id());
        let listener = listen_abstractly(name.as_bytes());
        let channel = channel(&format!("unix-abstract:{name}"), trusting(&authority), &[]);
        let call = call(&channel);
        let (stream, _) = listener.accept().await.expect("a connection");
        let stream = server.acceptor.accept(stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.server_name(), Some("localhost"));
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        connection.request().await.answer(b"");
        response(call).await;
    });
}

#[test]
fn anybody_is_accepted_when_verification_is_turned_off() {
    run(async {
        let server = TlsServer::start(&Authority::new(), &Setup { names: &["other.example"], ..Setup::default() });
        let tls = TlsOptions { verify: false, ..trusting(&Authority::new()) };
        let channel = channel(&format!("localhost:{}", server.port()), tls, &[]);
        let call = call(&channel);
        server.accept().await.request().await.answer(b"");
        call.await.expect("no panic").expect_err("the connection is gone with the statement before");
        assert_eq!(channel.metrics().connect_failures, 0);
    });
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_the_clients() {
    run(async {
        let authority = Authority::new();
        let clients = Authority::new();
        let setup = Setup { clients: Some(&clients), ..Setup::default() };
        let server = TlsServer::start(&authority, &setup);
        let identity = clients.identity(&["a client"]);
        let tls = TlsOptions {
            certificate_pem: Some(identity.certificate_pem),
            key_pem: Some(identity.key.serialize_pem().into_bytes()),
            ..trusting(&authority)
        };
        let known = channel(&format!("localhost:{}", server.port()), tls, &[]);
        let call_of_known = call(&known);
        let stream = server.shake_hands().await.expect("a handshake");
        let shown = stream.get_ref().1.peer_certificates().expect("a client's certificate");
        assert_eq!(shown, [identity.certificate]);
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        connection.request().await.answer(b"");
        response(call_of_known).await;
    });
}

#[test]
fn a_plaintext_client_of_a_tls_server_is_told_what_came() {
    run(async {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, &Setup::default());
        let channel = crate::peer::client::channel(&server.server.address());
        let call = call(&channel);
        server.let_one_try();
        let failure = failure(call, Code::Unavailable).await;
        assert!(!failure.status().message().contains("closed by this side"), "{failure}");
        assert!(failure.status().message().contains("TLS"), "{failure}");
    });
}

/// A help link for programmers of the TLS library is none for users of this one.
#[test]
fn a_handshake_that_is_broken_off_is_told_without_links() {
    run(async {
        let server = Server::start();
        let channel = channel(&format!("ipv4:{}", server.address()), trusting(&Authority::new()), &[]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.stop_sending().await;
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.contains("TLS handshake failed: ") && !text.contains("://"), "{text}");
    });
}

#[test]
fn credentials_that_cannot_be_used_are_refused_by_name_of_the_field() {
    let identity = Authority::new().identity(&["a client"]);
    let key_pem = identity.key.serialize_pem().into_bytes();
    let broken = TlsOptions {
        roots: Roots::Bundled,
        certificate_pem: Some(key_pem.clone()),
        key_pem: Some(key_pem),
        ..TlsOptions::default()
    };
    let error = Credentials::tls(broken).expect_err("a key is no certificate");
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().starts_with("certificate chain: "), "{error}");
}
