//! Certificates in files: what is there counts from the next connection on, and what is no good changes nothing.

use std::path::PathBuf;

use linkspan_core::State;
use rustls::HandshakeKind;

use super::*;
use crate::peer::TemporaryFolder;
use crate::peer::client::{becomes, time_passes, told};

/// A client's certificate and key in files.
struct Files {
    folder: TemporaryFolder,
}

impl Files {
    fn with(identity: &Identity) -> Self {
        let files = Self { folder: TemporaryFolder::new() };
        files.write(identity);
        files
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn write(&self, identity: &Identity) {
        std::fs::write(self.folder.path().join("tls.key"), identity.key.serialize_pem()).expect("a file");
        std::fs::write(self.certificate(), &identity.certificate_pem).expect("a file");
    }

    fn options(&self, authority: &Authority) -> TlsOptions {
        TlsOptions {
            certificate_file: Some(self.certificate()),
            key_file: Some(self.folder.path().join("tls.key")),
            ..trusting(authority)
        }
    }
}

/// Waits until the channel tells of this.
async fn comes_to_tell(channel: &Channel, words: &str) {
    while !told(channel).iter().any(|event| event.contains(words)) {
        time_passes(Duration::from_millis(10)).await;
    }
}

/// A handshake, and the certificate the client showed in it.
async fn shown(server: &TlsServer) -> (TlsStream<TcpStream>, CertificateDer<'static>) {
    let stream = server.shake_hands().await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("a client's certificate")[0].clone().into_owned();
    (stream, shown)
}

async fn served(stream: TlsStream<TcpStream>) -> Connection {
    Connection::serve(stream, &h2::server::Builder::new()).await
}

#[test]
fn connections_with_an_older_certificate_get_successors_and_finish_their_calls() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&authority, &Setup { clients: Some(&clients), ..Setup::default() });
        // The replacement comes sooner, the sooner the old one expires.
        let old = clients.identity_until(&["a client"], SystemTime::now() + Duration::from_secs(20));
        let files = Files::with(&old);
        let set = [("linkspan.tls_reload_interval_ms", 20.into()), ("linkspan.connections_per_subchannel", 1.into())];
        let channel = channel(&format!("localhost:{}", server.port()), files.options(&authority), &set);
        let running = call(&channel);
        let (stream, certificate) = shown(&server).await;
        assert_eq!(certificate, old.certificate);
        let mut first = served(stream).await;
        let open = first.request().await;

        let new = clients.identity(&["a client"]);
        files.write(&new);
        comes_to_tell(&channel, "READY → READY: the TLS files were read again; the client's certificate expires in 36")
            .await;
        let (stream, certificate) = shown(&server).await;
        assert_eq!(certificate, new.certificate);
        let meanwhile = call(&channel);
        first.request().await.answer(b"the old one serves until the new one is there");
        response(meanwhile).await;

        let mut second = served(stream).await;
        while channel.metrics().connections.iter().filter(|connection| connection.state == "ready").count() != 1
            || channel.metrics().connections.len() != 2
        {
            time_passes(Duration::from_millis(5)).await;
        }
        let later = call(&channel);
        second.request().await.answer(b"");
        response(later).await;
        open.answer(b"finished");
        assert_eq!(response(running).await.message, "finished");
        first.closed_by_client().await;
        assert_eq!(channel.metrics().connect_failures, 0);
    });
}

#[test]
fn a_new_connection_shows_what_is_in_the_files_then_and_resumes_no_session_of_another_certificate() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&authority, &Setup { clients: Some(&clients), ..Setup::default() });
        let (old, new) = (clients.identity(&["a client"]), clients.identity(&["a client"]));
        let files = Files::with(&old);
        // Nobody looks but who connects.
        let set = [("linkspan.tls_reload_interval_ms", 0.into()), ("linkspan.connections_per_subchannel", 1.into())];
        let channel = channel(&format!("localhost:{}", server.port()), files.options(&authority), &set);
        for (identity, is_new_session) in [(&old, true), (&old, false), (&new, true), (&new, false)] {
            files.write(identity);
            channel.state(true);
            let (stream, certificate) = shown(&server).await;
            assert_eq!(certificate, identity.certificate);
            let kind = stream.get_ref().1.handshake_kind().expect("it is over");
            assert_eq!(kind != HandshakeKind::Resumed, is_new_session, "{kind:?}");
            let mut connection = served(stream).await;
            let call = call(&channel);
            connection.request().await.answer(b"");
            response(call).await;
        }
    });
}

#[test]
fn a_broken_file_is_told_and_the_certificate_from_before_is_shown() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&authority, &Setup { clients: Some(&clients), ..Setup::default() });
        let good = clients.identity(&["a client"]);
        let files = Files::with(&good);
        let set = [("linkspan.tls_reload_interval_ms", 20.into()), ("linkspan.connections_per_subchannel", 1.into())];
        let channel = channel(&format!("localhost:{}", server.port()), files.options(&authority), &set);
        channel.state(true);
        let first = served(shown(&server).await.0).await;
        becomes(&channel, State::Ready).await;
        std::fs::write(files.certificate(), "-----BEGIN CERTIFICATE-----\nhalf").expect("a file");
        let words =
            "READY → READY: the TLS files cannot be used, so what was read before stays in use: certificate chain in ";
        comes_to_tell(&channel, words).await;
        drop(first);
        let (stream, certificate) = shown(&server).await;
        assert_eq!(certificate, good.certificate);
        let mut second = served(stream).await;
        let call = crate::peer::client::patient_call(&channel);
        second.request().await.answer(b"");
        response(call).await;
        assert_eq!(told(&channel).iter().filter(|event| event.contains(words)).count(), 1);
    });
}

#[test]
fn roots_are_read_again_too() {
    run(async {
        let (old, new) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&new, &Setup::default());
        let folder = TemporaryFolder::new();
        let file = folder.path().join("ca.crt");
        std::fs::write(&file, old.0.pem()).expect("a file");
        let tls = TlsOptions { roots: Roots::File(file.clone()), ..TlsOptions::default() };
        let set = [("linkspan.tls_reload_interval_ms", 0.into()), ("grpc.initial_reconnect_backoff_ms", 100.into())];
        let channel = channel(&format!("localhost:{}", server.port()), tls, &set);
        let call = crate::peer::client::patient_call(&channel);
        server.shake_hands().await.expect_err("it is not trusted yet");
        // Both, as long as there are servers of each.
        std::fs::write(&file, old.0.pem() + &new.0.pem()).expect("a file");
        let mut connection = loop {
            if let Ok(stream) = server.shake_hands().await {
                break served(stream).await;
            }
        };
        connection.request().await.answer(b"");
        response(call).await;
    });
}

#[test]
fn a_client_certificate_that_expires_soon_is_told_of_when_it_is_used() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&authority, &Setup { clients: Some(&clients), ..Setup::default() });
        let soon = clients.identity_until(&["a client"], SystemTime::now() + DAY * 3 + DAY / 2);
        let tls = TlsOptions {
            certificate_pem: Some(soon.certificate_pem.clone()),
            key_pem: Some(soon.key.serialize_pem().into_bytes()),
            ..trusting(&authority)
        };
        let channel = channel(&format!("localhost:{}", server.port()), tls, &[]);
        channel.state(true);
        let _connection = served(shown(&server).await.0).await;
        becomes(&channel, State::Ready).await;
        let words = "the client's certificate expires in 3 days; put a new one in its place";
        assert_eq!(told(&channel).iter().filter(|event| event.contains(words)).count(), 1, "{:?}", told(&channel));
        let days_left = channel.metrics().certificate_days_left.expect("there is a certificate");
        assert!((3.0..3.6).contains(&days_left), "{days_left}");
    });
}
