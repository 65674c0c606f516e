//! What `/etc/resolv.conf` says: which servers the system asks (resolv.conf(5)).

use std::fs;

const PLACE: &str = "/etc/resolv.conf";

/// The servers the system asks, for whoever reads of a failure; empty where the system says it elsewhere.
pub(super) fn told() -> String {
    let text = fs::read_to_string(PLACE).unwrap_or_default();
    match nameservers(&text).collect::<Vec<_>>() {
        servers if servers.is_empty() => String::new(),
        servers => format!("; nameservers in {PLACE}: {}", servers.join(", ")),
    }
}

fn nameservers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|keyword| *keyword == "nameserver")?;
        words.next()
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
