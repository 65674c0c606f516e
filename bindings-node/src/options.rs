//! Channel options and credentials, as JavaScript hands them over.

use linkspan_core::{
    ChannelOptions, Credentials, Dialect, Error, OptionKind, OptionValue, Preset, Roots, TlsOptions, TlsVersion,
    option_docs,
};
use napi::bindgen_prelude::{Buffer, Either3};
use napi_derive::napi;

use crate::errors::{self, Result};

/// One option: its key, and a value of one of the three types JavaScript has for it.
#[napi(object, object_to_js = false)]
pub struct Setting {
    pub key: String,
    pub value: Either3<bool, f64, String>,
}

/// Which of linkspan's faces a channel serves: its default set, and the words its errors are told in.
#[napi(object, object_to_js = false)]
pub struct Face {
    /// "grpc" or "resilient".
    pub preset: String,
    /// "native" or "grpc-js".
    pub dialect: String,
}

/// The name `lib/options.cjs` knows the type of a key by.
pub(crate) fn kind_name(key: &str) -> Option<&'static str> {
    kind_of(key).map(|kind| match kind {
        OptionKind::Int => "int",
        OptionKind::Bool => "bool",
        OptionKind::Text => "text",
        OptionKind::Float => "float",
    })
}

pub(crate) fn channel_options(settings: Vec<Setting>, face: &Face) -> Result<ChannelOptions> {
    let mut options = ChannelOptions::new();
    options.set_language("node");
    options.set_preset(if face.preset == "grpc" { Preset::Grpc } else { Preset::Resilient });
    options.set_dialect(if face.dialect == "grpc-js" { Dialect::GrpcJs } else { Dialect::Native });
    for setting in settings {
        set(&mut options, setting).map_err(|error| errors::to_js(&error))?;
    }
    Ok(options)
}

/// Whether the engine would take this option.
pub(crate) fn check(setting: Setting) -> std::result::Result<(), Error> {
    set(&mut ChannelOptions::new(), setting)
}

fn set(options: &mut ChannelOptions, Setting { key, value }: Setting) -> std::result::Result<(), Error> {
    let value = match value {
        Either3::A(flag) => OptionValue::Bool(flag),
        Either3::B(number) => number_value(&key, number),
        Either3::C(text) => OptionValue::Text(text),
    };
    options.set(&key, value)
}

/// JavaScript has one kind of number; the registry says which of its two is meant.
fn number_value(key: &str, number: f64) -> OptionValue {
    let whole = number.fract() == 0.0 && number.abs() <= 2f64.powi(53);
    if whole && kind_of(key) != Some(OptionKind::Float) {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
        return OptionValue::Int(number as i64);
    }
    OptionValue::Float(number)
}

fn kind_of(key: &str) -> Option<OptionKind> {
    option_docs().iter().find(|doc| doc.key == key).map(|doc| doc.kind)
}

/// TLS as JavaScript gives it, each part as PEM or as the path of a file that is read again.
#[napi(object, object_to_js = false)]
pub struct NativeTls {
    pub ca: Option<Buffer>,
    pub ca_file: Option<String>,
    pub cert: Option<Buffer>,
    pub cert_file: Option<String>,
    pub key: Option<Buffer>,
    pub key_file: Option<String>,
    pub servername: Option<String>,
    pub reject_unauthorized: bool,
    pub needs_tls13: bool,
}

/// Channel credentials. Parsed once, shared by all channels made with them.
#[napi]
pub struct NativeCredentials {
    credentials: Credentials,
}

#[napi]
impl NativeCredentials {
    #[napi(factory, catch_unwind)]
    pub fn insecure() -> Self {
        Self { credentials: Credentials::insecure() }
    }

    /// Without roots the system's are trusted.
    #[napi(factory, catch_unwind)]
    pub fn tls(tls: NativeTls) -> Result<Self> {
        let pem = |bytes: Option<Buffer>| bytes.map(|bytes| bytes.to_vec());
        let roots = [pem(tls.ca).map(Roots::Pem), tls.ca_file.map(|path| Roots::File(path.into()))];
        let roots: Vec<_> = roots.into_iter().flatten().collect();
        let options = TlsOptions {
            roots: if roots.is_empty() { Roots::System } else { Roots::All(roots) },
            certificate_pem: pem(tls.cert),
            certificate_file: tls.cert_file.map(Into::into),
            key_pem: pem(tls.key),
            key_file: tls.key_file.map(Into::into),
            server_name: tls.servername,
            verify: tls.reject_unauthorized,
            min_version: if tls.needs_tls13 { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
            ..TlsOptions::default()
        };
        let credentials = Credentials::tls(options).map_err(|error| errors::to_js(&error))?;
        Ok(Self { credentials })
    }
}

impl NativeCredentials {
    pub(crate) fn core(&self) -> &Credentials {
        &self.credentials
    }
}
