//! Certificates for servers that speak TLS, good ones and bad ones: `NAME.pem` and `NAME.key` in a folder.

use std::error::Error;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// Whom servers show themselves as.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Writes `authority`, which vouches for `server`, `expired`, `early`, `other-name` and `client`; `self-signed`, whom nobody vouches for;
/// and `stranger`, a client of another authority.
///
/// # Errors
/// The folder cannot be written to, or no key be made.
pub fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (authority, key) = (authority("linkspan's tests")?, KeyPair::generate()?);
    save(folder, "authority", &authority.self_signed(&key)?.pem(), &key)?;
    let issuer = Issuer::new(authority, key);

    let server = CertificateParams::new(NAMES.map(str::to_owned))?;
    let mut expired = server.clone();
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let mut early = server.clone();
    (early.not_before, early.not_after) = (date_time_ymd(4000, 1, 1), date_time_ymd(4001, 1, 1));
    let other_name = CertificateParams::new(["other.example".to_owned()])?;
    let client = CertificateParams::new(["client.example".to_owned()])?;
    for (name, params) in [
        ("server", &server),
        ("expired", &expired),
        ("early", &early),
        ("other-name", &other_name),
        ("client", &client),
    ] {
        let key = KeyPair::generate()?;
        save(folder, name, &params.signed_by(&key, &issuer)?.pem(), &key)?;
    }

    let key = KeyPair::generate()?;
    save(folder, "self-signed", &server.self_signed(&key)?.pem(), &key)?;
    let elsewhere = Issuer::new(self::authority("somebody else")?, KeyPair::generate()?);
    let key = KeyPair::generate()?;
    save(folder, "stranger", &client.signed_by(&key, &elsewhere)?.pem(), &key)
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    Ok(params)
}

fn save(folder: &Path, name: &str, pem: &str, key: &KeyPair) -> Result<(), Box<dyn Error>> {
    std::fs::write(folder.join(name).with_extension("pem"), pem)?;
    std::fs::write(folder.join(name).with_extension("key"), key.serialize_pem())?;
    Ok(())
}
