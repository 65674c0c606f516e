//! Sockets of this machine: `unix:`, `unix-abstract:` and `vsock:`, which joins a virtual machine and its host.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::{Endpoint, Refusal, Target};
use crate::address::Address;
use crate::percent;

/// A path must fit `sun_path` with the NUL behind it, an abstract name with the one before it.
const MAX_NAME: usize = 107;

/// Linux has abstract names and vsock; what is made of it has them too.
const IS_LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// [NAME-33]: servers refuse a path as authority.
const AUTHORITY: &str = "localhost";

pub(super) fn unix(path: &str) -> Result<Target, Refusal> {
    let bytes = named("unix", "path", path)?;
    if bytes.contains(&0) {
        return Err(
            "has a NUL in its path, which no path has; write \"unix-abstract:name\" for an abstract name".into()
        );
    }
    let address = Address::Unix(PathBuf::from(OsString::from_vec(bytes)));
    Ok(local("unix", path, address))
}

pub(super) fn unix_abstract(name: &str) -> Result<Target, Refusal> {
    only_on_linux("unix-abstract", IS_LINUX)?;
    let bytes = named("unix-abstract", "name", name)?;
    Ok(local("unix-abstract", name, Address::UnixAbstract(bytes)))
}

pub(super) fn vsock(text: &str) -> Result<Target, Refusal> {
    only_on_linux("vsock", IS_LINUX)?;
    let numbers = text.split_once(':').and_then(|(cid, port)| Some((number(cid)?, number(port)?)));
    let (cid, port) = numbers.ok_or_else(|| {
        format!(
            "has {text:?} after \"vsock:\"; write \"vsock:cid:port\", two numbers up to 4294967295; the host's cid is 2"
        )
    })?;
    Ok(local("vsock", text, Address::Vsock { cid, port }))
}

fn local(scheme: &str, written: &str, address: Address) -> Target {
    // Two slashes at its beginning would be taken for those before an authority.
    let slashes = if written.starts_with("//") { "//" } else { "" };
    Target {
        canonical: format!("{scheme}:{slashes}{written}"),
        authority: AUTHORITY.to_owned(),
        endpoint: Endpoint::Fixed(vec![address]),
    }
}

/// The bytes of a path or name; neither need be UTF-8 ([NAME-5]).
fn named(scheme: &str, what: &str, written: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = percent::decode(written.as_bytes());
    match bytes.len() {
        0 => Err(Refusal::from(format!("has no {what}; write \"{scheme}:{what}\""))),
        1..=MAX_NAME => Ok(bytes),
        length => Err(Refusal::from(format!(
            "has a {what} of {length} bytes; the {what} of a unix socket has at most {MAX_NAME}"
        ))),
    }
}

fn only_on_linux(scheme: &str, is_linux: bool) -> Result<(), Refusal> {
    if is_linux {
        return Ok(());
    }
    Err(Refusal::unsupported(format!(
        "has the scheme {scheme:?}, which only Linux has; this is {}; \"unix:path\" and \"host:port\" work everywhere",
        std::env::consts::OS
    )))
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn told(parsed: Result<Target, Refusal>) -> (String, Address) {
        let target = parsed.unwrap_or_else(|refusal| panic!("{}", refusal.what));
        // [NAME-33]
        assert_eq!(target.authority, "localhost");
        let Endpoint::Fixed(mut addresses) = target.endpoint else { panic!("a name") };
        (target.canonical, addresses.remove(0))
    }

    fn bytes_of(address: &Address) -> &[u8] {
        use std::os::unix::ffi::OsStrExt as _;
        match address {
            Address::Unix(path) => path.as_os_str().as_bytes(),
            Address::UnixAbstract(name) => name,
            _ => panic!("{address} has no bytes"),
        }
    }

    fn what(parsed: Result<Target, Refusal>) -> String {
        parsed.expect_err("a refusal").what
    }

    /// [NAME-5], [NAME-6]
    #[test]
    fn paths_and_names_are_bytes_and_keep_their_slashes() {
        for (written, canonical, bytes) in [
            ("relative/path", "relative/path", &b"relative/path"[..]),
            ("/absolute/path", "/absolute/path", b"/absolute/path"),
            ("//two", "////two", b"//two"),
            ("/a%20b", "/a%20b", b"/a b"),
            ("/a%zz%ff%2", "/a%zz%ff%2", b"/a%zz\xff%2"),
        ] {
            let (of_path, path) = told(unix(written));
            let (of_name, name) = told(unix_abstract(written));
            assert_eq!(of_path, format!("unix:{canonical}"));
            assert_eq!(of_name, format!("unix-abstract:{canonical}"));
            assert_eq!((bytes_of(&path), bytes_of(&name)), (bytes, bytes));
        }
    }

    #[test]
    fn paths_and_names_have_one_to_107_bytes_and_paths_no_nul() {
        let (longest, too_long) = ("x".repeat(107), "x".repeat(108));
        told(unix(&longest));
        told(unix_abstract(&longest));
        told(unix_abstract(&"%00".repeat(107)));
        assert!(what(unix(&too_long)).contains("has a path of 108 bytes"));
        assert!(what(unix_abstract(&too_long)).contains("has a name of 108 bytes"));
        assert!(what(unix("")).contains("has no path; write \"unix:path\""));
        assert!(what(unix_abstract("")).contains("has no name; write \"unix-abstract:name\""));
        assert!(what(unix("%00name")).contains("write \"unix-abstract:name\""));
    }

    /// [NAME-23]
    #[test]
    fn a_vsock_has_two_numbers() {
        let wanted = |cid, port| Address::Vsock { cid, port };
        assert_eq!(told(vsock("2:50051")), ("vsock:2:50051".into(), wanted(2, 50_051)));
        assert_eq!(told(vsock("4294967295:0")).1, wanted(u32::MAX, 0));
        for text in ["", ":", "2", "2:", ":1", "a:1", "2:+1", "-2:1", "2:4294967296", "2:1:1", "2 :1"] {
            assert!(what(vsock(text)).contains("write \"vsock:cid:port\""), "{text}");
        }
    }

    #[test]
    fn what_only_linux_has_is_refused_elsewhere() {
        only_on_linux("vsock", true).expect("is there");
        let refusal = only_on_linux("vsock", false).expect_err("is not there");
        assert_eq!(refusal.kind, ErrorKind::Unsupported);
        assert!(refusal.what.contains("only Linux has"), "{}", refusal.what);
    }
}
