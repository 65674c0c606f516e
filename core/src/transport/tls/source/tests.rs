use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::error::ErrorKind;
use crate::transport::tls::{Roots, TlsVersion};

/// A certificate of its own signature and its key, as PEM.
pub(crate) fn pair(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A folder that goes with its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("linkspan-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// Options with a pair from here.
    pub(crate) fn options(&self) -> TlsOptions {
        TlsOptions { certificate_file: Some(self.path("tls.crt")), key_file: Some(self.path("tls.key")), ..bundled() }
    }

    pub(crate) fn write_pair(&self, (certificate, key): &(String, String)) {
        self.write("tls.crt", certificate);
        self.write("tls.key", key);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bundled() -> TlsOptions {
    TlsOptions { roots: Roots::Bundled, ..TlsOptions::default() }
}

fn refusal(options: &TlsOptions) -> String {
    let Err(error) = Source::new(options) else { panic!("must be refused") };
    assert_eq!(error.kind(), ErrorKind::Credentials);
    error.message().to_owned()
}

fn look(source: &Source) -> Look {
    Contents::read(&source.recipe).map_err(|cause| cause.message().to_owned())
}

#[test]
fn looks_that_do_not_end_are_bounded() {
    let source = Arc::new(Source::new(&bundled()).expect("good options"));
    let hanging: Vec<_> = (0..8).map(|_| source.begin_look().expect("one more")).collect();
    assert!(source.begin_look().is_none());
    drop(hanging);
    assert!(source.begin_look().is_some_and(|looking| looking.look().is_ok()));
}

/// What a look and taking what it found come to.
fn renew(source: &Source) -> Result<(), String> {
    source.take(look(source)?)
}

#[test]
fn broken_pem_is_refused_by_field_and_never_shown() {
    let secret = b"-----BEGIN CERTIFICATE-----\nSECRET!\n-----END CERTIFICATE-----\n".to_vec();
    let text = refusal(&TlsOptions { roots: Roots::Pem(secret), ..TlsOptions::default() });
    assert!(text.starts_with("root certificates:"), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
    let text = refusal(&TlsOptions { roots: Roots::Pem(b"nothing".to_vec()), ..TlsOptions::default() });
    assert!(text.contains("no certificate found"), "{text}");
}

#[test]
fn certificate_and_key_come_together_and_each_in_one_way() {
    let (certificate, key) = (Some(b"x".to_vec()), Some(b"x".to_vec()));
    let file = Some(Path::new("/x").to_owned());
    let lonely = TlsOptions { certificate_pem: certificate.clone(), ..bundled() };
    assert!(refusal(&lonely).contains("without a private key"));
    assert!(refusal(&TlsOptions { key_file: file.clone(), ..bundled() }).contains("without a certificate chain"));
    let both = TlsOptions { certificate_pem: certificate.clone(), certificate_file: file, ..bundled() };
    assert_eq!(refusal(&both), "certificate chain: given as PEM and as a file; give one of them");
    let broken = TlsOptions { certificate_pem: certificate, key_pem: key, ..bundled() };
    assert!(refusal(&broken).starts_with("certificate chain:"));
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let (one, other) = (pair("one"), pair("other"));
    let options =
        TlsOptions { certificate_pem: Some(one.0.into_bytes()), key_pem: Some(other.1.into_bytes()), ..bundled() };
    assert!(refusal(&options).ends_with("cannot be used together: the key is not the certificate's"));
    let fitting = TlsOptions { key_pem: Some(one.1.into_bytes()), ..options };
    let source = Source::new(&fitting).expect("fits");
    assert_eq!(source.material().config.alpn_protocols, [b"h2".to_vec()]);
    assert!(!source.has_files());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let missing = folder.path("ca.crt");
    let text = refusal(&TlsOptions { roots: Roots::File(missing.clone()), ..TlsOptions::default() });
    assert!(text.starts_with(&format!("root certificates in {}: cannot be read: ", missing.display())), "{text}");
}

#[test]
fn roots_of_several_places_count_together() {
    let folder = Folder::new();
    let file = folder.write("ca.crt", pair("in a file").0);
    let pem = Roots::Pem(pair("given").0.into_bytes());
    let roots = Roots::All(vec![Roots::Bundled, pem, Roots::File(file)]);
    let source = Source::new(&TlsOptions { roots, ..TlsOptions::default() }).expect("all can be used");
    assert!(source.has_files());
    assert_eq!(source.recipe.fixed_roots.len(), webpki_roots::TLS_SERVER_ROOTS.len());
    assert_eq!(source.recipe.roots.len(), 2);
}

/// [WIRE-3]
#[test]
fn the_oldest_version_is_1_2_unless_it_is_1_3() {
    let versions = |min_version| {
        let source = Source::new(&TlsOptions { min_version, ..bundled() }).expect("good options");
        source.recipe.versions.iter().map(|version| format!("{:?}", version.version)).collect::<Vec<_>>()
    };
    assert_eq!(versions(TlsVersion::Tls12), ["TLSv1_3", "TLSv1_2"]);
    assert_eq!(versions(TlsVersion::Tls13), ["TLSv1_3"]);
}

#[test]
fn other_files_make_other_material_with_sessions_of_its_own() {
    let folder = Folder::new();
    folder.write_pair(&pair("first"));
    let source = Source::new(&folder.options()).expect("good files");
    let first = source.material();
    assert!(source.is_in_use(&look(&source).expect("readable")));
    renew(&source).expect("good files");
    assert_eq!(source.material().version, 1, "nothing has changed");

    folder.write_pair(&pair("second"));
    assert!(!source.is_in_use(&look(&source).expect("readable")));
    renew(&source).expect("good files");
    let second = source.material();
    assert_eq!(second.version, 2);
    assert!(!Arc::ptr_eq(&first.config, &second.config));
    assert!(second.certificate.is_some());
}

#[test]
fn what_cannot_be_used_leaves_what_is() {
    let folder = Folder::new();
    let (first, second) = (pair("first"), pair("second"));
    folder.write_pair(&first);
    let source = Source::new(&folder.options()).expect("good files");
    folder.write("tls.crt", &second.0);
    let cause = renew(&source).expect_err("the key is the first one's");
    assert!(cause.ends_with("the key is not the certificate's"), "{cause}");
    for length in [0, 1, second.0.len() / 2, second.0.len() - 30] {
        folder.write("tls.crt", &second.0[..length]);
        let cause = renew(&source).expect_err("half a certificate");
        assert!(cause.starts_with("certificate chain in "), "{cause}");
    }
    fs::remove_file(folder.path("tls.key")).expect("it is there");
    let cause = renew(&source).expect_err("no key");
    assert!(cause.starts_with("private key in ") && cause.contains("cannot be read"), "{cause}");
    assert_eq!(source.material().version, 1);
    folder.write_pair(&second);
    renew(&source).expect("a whole pair");
    assert_eq!(source.material().version, 2);
}
