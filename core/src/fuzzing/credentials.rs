//! What people give for TLS.

use super::input::Input;
use crate::error::ErrorKind;
use crate::transport::credentials::Credentials;
use crate::transport::tls::{Roots, TlsOptions};

/// A byte that says what is given, 1 for roots, 2 for a certificate chain and 4 for a key, and their PEM, parted by lines of `=`.
///
/// They can be used, or an error says which cannot, and shows none of a key.
pub fn tls_options(data: &[u8]) {
    let mut input = Input(data);
    let given = input.byte();
    let mut parts = parts(input.0).into_iter();
    let mut part = |bit: u8| (given & bit != 0).then(|| parts.next().unwrap_or_default());
    let roots = part(1).map_or(Roots::Bundled, Roots::Pem);
    let options = TlsOptions {
        roots,
        certificate_pem: part(2),
        key_pem: part(4),
        verify: given & 8 == 0,
        ..TlsOptions::default()
    };
    let key = options.key_pem.clone().unwrap_or_default();
    if let Err(refused) = Credentials::tls(options) {
        assert_eq!(refused.kind(), ErrorKind::Credentials);
        let shown = refused.message();
        assert!(!shown.is_empty() && shown.len() < 500, "{shown}");
        // What is shorter is in any text.
        let key = String::from_utf8_lossy(&key);
        assert!(!key.lines().any(|line| line.len() > 60 && shown.contains(line)), "{shown}");
    }
}

fn parts(data: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        match parts.last_mut() {
            Some(part) if line != b"=\n" => part.extend_from_slice(line),
            _ => parts.push(Vec::new()),
        }
    }
    parts
}
