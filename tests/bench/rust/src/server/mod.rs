//! A cheap HTTP/2 server for measuring clients: it echoes, or sends a stream of messages, and does nothing else.
//!
//! It reads no header block, so it needs no HPACK decoder; what it does is decided by the port. Real servers cost ten times as
//! much per call, and a client measured against one waits more and batches less.

mod connection;
mod frame;

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a port does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gives every byte back as it comes.
    Echo,
    /// Reads a number and sends as many messages.
    Stream,
}

/// Accepts for ever; each connection is a task of its own. Runs on a `LocalSet`.
///
/// # Errors
/// The system accepts no more.
pub async fn serve(listener: TcpListener, mode: Mode, tls: Option<TlsAcceptor>) -> io::Result<()> {
    let tls = Rc::new(tls);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let tls = Rc::clone(&tls);
        #[expect(clippy::disallowed_methods, reason = "a program of its own, not a room of the engine")]
        tokio::task::spawn_local(async move {
            // A client that leaves is no event here.
            let _ = match &*tls {
                None => connection::serve(socket, mode).await,
                Some(tls) => match tls.accept(socket).await {
                    Ok(stream) => connection::serve(stream, mode).await,
                    Err(cause) => Err(cause),
                },
            };
        });
    }
}

/// A certificate for `localhost` and `127.0.0.1`, and the PEM of who issued it.
///
/// # Errors
/// The certificate could not be made.
pub fn certificate() -> Result<(TlsAcceptor, String), Box<dyn std::error::Error>> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    // Two certificates of the same name would be taken for one that signed itself.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "linkspan bench authority");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);

    let key = rcgen::KeyPair::generate()?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut certificate = rcgen::CertificateParams::new(names)?;
    certificate.distinguished_name.push(rcgen::DnType::CommonName, "linkspan bench server");
    let certificate = certificate.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), pem))
}
