//! What `/etc/resolv.conf` says: which servers the system asks, and how (resolv.conf(5)).

use std::{fs, io};

pub(in crate::runtime) const PLACE: &str = "/etc/resolv.conf";

/// The servers the system asks, for whoever reads of a failure; empty where the system says it elsewhere.
pub(super) fn told() -> String {
    match nameservers(&read().unwrap_or_default()).collect::<Vec<_>>() {
        servers if servers.is_empty() => String::new(),
        servers => format!("; nameservers in {PLACE}: {}", servers.join(", ")),
    }
}

/// The file's text; nothing where there is none.
pub(in crate::runtime) fn read() -> io::Result<String> {
    match fs::read(PLACE) {
        // A comment may be in any encoding.
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(cause),
    }
}

pub(in crate::runtime) fn nameservers(text: &str) -> impl Iterator<Item = &str> {
    settings(text).filter(|(keyword, _)| *keyword == "nameserver").filter_map(|(_, mut values)| values.next())
}

/// Each line's keyword, and the words after it.
pub(in crate::runtime) fn settings(text: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?, words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_between_comments_and_other_lines() {
        let text = "# nameserver 1.1.1.1\nsearch a.test b.test\nnameserver 10.0.0.53\n\tnameserver  fe80::1%eth0 \nnameserver\n; x\noptions ndots:5";
        assert_eq!(nameservers(text).collect::<Vec<_>>(), ["10.0.0.53", "fe80::1%eth0"]);
        assert_eq!(nameservers("").next(), None);
    }
}
