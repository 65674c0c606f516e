//! What a channel calls its server: the `:authority` of its calls, and the name TLS asks for and checks ([NAME-30] to [NAME-36]).

use http::uri::Authority;

use super::options::ChannelOptions;
use crate::error::{Error, ErrorKind};
use crate::resolver::target::Target;
use crate::transport::credentials::{Credentials, check_server_name};
use crate::transport::headers::{host_of, parse_authority};

const DEFAULT_AUTHORITY: &str = "grpc.default_authority";
const NAME_OVERRIDE: &str = "grpc.ssl_target_name_override";

/// The two names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerNames {
    pub(super) authority: Authority,
    /// An IP address without brackets, or a name.
    pub(super) for_tls: String,
}

impl ServerNames {
    /// # Errors
    /// [`ErrorKind::BadOption`] for a name that cannot be used, and for two that contradict each other.
    pub(super) fn new(target: &Target, credentials: &Credentials, options: &ChannelOptions) -> Result<Self, Error> {
        let of_credentials = credentials.as_tls().and_then(|tls| tls.server_name.as_deref());
        let name_override = options.text(NAME_OVERRIDE);
        let by_option = options.text(DEFAULT_AUTHORITY);
        // [NAME-30]
        let authority = by_option.or(name_override).or(of_credentials).unwrap_or(&target.authority);
        let authority = parse_authority(authority)?;
        // [NAME-36]: calls may name another server than TLS does, but nobody is to guess which of two names TLS has.
        match (name_override, of_credentials) {
            (Some(one), Some(other)) if !is_same(one, other) => {
                return Err(contradiction(NAME_OVERRIDE, one, other, ""));
            }
            (None, Some(name)) if !is_same(host_of(&authority), name) => {
                let instead =
                    format!(", or to have TLS ask for a name that calls do not have, set {NAME_OVERRIDE:?} alone");
                return Err(contradiction(DEFAULT_AUTHORITY, authority.as_str(), name, &instead));
            }
            _ => {}
        }
        // [NAME-35]
        let for_tls = name_override.or(of_credentials).unwrap_or_else(|| host_of(&authority)).to_owned();
        if credentials.is_secure() {
            check_server_name(&for_tls)?;
        }
        Ok(Self { authority, for_tls })
    }
}

fn is_same(name: &str, other: &str) -> bool {
    name.trim_matches(['[', ']']).eq_ignore_ascii_case(other.trim_matches(['[', ']']))
}

fn contradiction(option: &str, value: &str, of_credentials: &str, instead: &str) -> Error {
    let text = format!(
        "option {option:?} is {value:?}, but the credentials name the server {of_credentials:?}; leave one of them out{instead}"
    );
    Error::new(ErrorKind::BadOption, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tls::{Roots, TlsOptions};

    const TARGET: &str = "of.target:1";

    fn secure(server_name: Option<&str>) -> Credentials {
        let server_name = server_name.map(str::to_owned);
        Credentials::tls(TlsOptions { roots: Roots::Bundled, server_name, ..TlsOptions::default() }).expect("usable")
    }

    fn names(target: &str, credentials: &Credentials, set: &[(&str, &str)]) -> Result<(String, String), Error> {
        let mut options = ChannelOptions::new();
        for (key, value) in set {
            options.set(key, *value).expect("text");
        }
        let names = ServerNames::new(&Target::parse(target, &|_| None).expect(target), credentials, &options)?;
        Ok((names.authority.to_string(), names.for_tls))
    }

    /// [NAME-30], [NAME-35], [NAME-36]
    #[test]
    fn the_authority_is_the_options_the_overrides_the_credentials_or_the_targets() {
        let (by_option, by_override) = ((DEFAULT_AUTHORITY, "of.option:2"), (NAME_OVERRIDE, "of.override"));
        for (server_name, set, authority, for_tls) in [
            (None, &[][..], TARGET, "of.target"),
            (Some("of.tls"), &[], "of.tls", "of.tls"),
            (None, &[by_override], "of.override", "of.override"),
            (None, &[by_option], "of.option:2", "of.option"),
            (None, &[by_option, by_override], "of.option:2", "of.override"),
            (Some("of.override"), &[by_option, by_override], "of.option:2", "of.override"),
            (Some("OF.option"), &[by_option], "of.option:2", "OF.option"),
        ] {
            let wanted = (authority.to_owned(), for_tls.to_owned());
            assert_eq!(names(TARGET, &secure(server_name), set), Ok(wanted), "{server_name:?} {set:?}");
        }
        // Without TLS too.
        let wanted = ("of.override".to_owned(), "of.override".to_owned());
        assert_eq!(names(TARGET, &Credentials::insecure(), &[by_override]), Ok(wanted));
    }

    /// [NAME-31], [NAME-33], [NAME-35]
    #[test]
    fn the_name_for_tls_is_the_targets_host_without_its_port() {
        for (target, authority, for_tls) in [
            ("example.com", "example.com", "example.com"),
            ("example.com:50051", "example.com:50051", "example.com"),
            ("ipv4:1.2.3.4:5,6.7.8.9:1", "1.2.3.4:5", "1.2.3.4"),
            ("[::1]:5", "[::1]:5", "::1"),
            ("ipv6:fe80::1%eth0", "[fe80::1]", "fe80::1"),
            ("unix:/tmp/s", "localhost", "localhost"),
            ("unix-abstract:s", "localhost", "localhost"),
            ("vsock:2:1", "localhost", "localhost"),
            ("passthrough:///example.com:1", "example.com:1", "example.com"),
        ] {
            let wanted = (authority.to_owned(), for_tls.to_owned());
            assert_eq!(names(target, &secure(None), &[]), Ok(wanted), "{target}");
        }
    }

    /// [NAME-36]
    #[test]
    fn names_that_contradict_each_other_are_refused() {
        let refusal = |server_name, set: (&str, &str)| {
            let error = names(TARGET, &secure(Some(server_name)), &[set]).expect_err("a contradiction");
            assert_eq!(error.kind(), ErrorKind::BadOption);
            error.message().to_owned()
        };
        let text = refusal("of.tls", (NAME_OVERRIDE, "of.override"));
        assert!(text.contains("\"grpc.ssl_target_name_override\" is \"of.override\""), "{text}");
        assert!(text.ends_with("the credentials name the server \"of.tls\"; leave one of them out"), "{text}");
        let text = refusal("of.tls", (DEFAULT_AUTHORITY, "of.option:2"));
        assert!(text.contains("\"grpc.default_authority\" is \"of.option:2\""), "{text}");
        assert!(text.ends_with("set \"grpc.ssl_target_name_override\" alone"), "{text}");
    }

    /// [NAME-32], [NAME-35]
    #[test]
    fn names_that_cannot_be_used_are_refused_when_the_channel_is_made() {
        let of = |target: &str, credentials: &Credentials, set: &[(&str, &str)]| {
            let error = names(target, credentials, set).expect_err(target);
            assert_eq!(error.kind(), ErrorKind::BadOption);
            error.message().to_owned()
        };
        let text = of(TARGET, &Credentials::insecure(), &[(DEFAULT_AUTHORITY, "two words")]);
        assert!(text.contains("authority \"two words\" cannot be used"), "{text}");
        let text = of("a..b:1", &secure(None), &[]);
        assert!(text.contains("\"a..b\"") && text.contains("\"grpc.ssl_target_name_override\""), "{text}");
        names("a..b:1", &Credentials::insecure(), &[]).expect("the resolver's to refuse");
    }
}
