//! `ipv4:` and `ipv6:`: lists of addresses as they are ([NAME-20]).

use std::net::IpAddr;

use super::host::{Host, HostPort};
use super::{Endpoint, Refusal, Target};

pub(super) fn ipv4(list: &str) -> Result<Target, Refusal> {
    literals("ipv4", list, "ipv4:1.2.3.4:443,5.6.7.8:443", |host| matches!(host, Host::Ip(IpAddr::V4(_))))
}

pub(super) fn ipv6(list: &str) -> Result<Target, Refusal> {
    let is_ipv6 = |host: &Host| matches!(host, Host::Ip(IpAddr::V6(_)) | Host::Scoped(..));
    literals("ipv6", list, "ipv6:[::1]:443,[::2]:443", is_ipv6)
}

fn literals(scheme: &str, list: &str, example: &str, is_of_scheme: fn(&Host) -> bool) -> Result<Target, Refusal> {
    let mut addresses = Vec::new();
    let mut first_authority = None;
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let parsed = HostPort::parse(item)?;
        let address = parsed.address().ok().filter(|_| is_of_scheme(&parsed.host)).ok_or_else(|| {
            Refusal::from(format!(
                "has {item:?}, which is not an {scheme} address; write for example {example:?}, or \"dns:\" before a name"
            ))
        })?;
        // [NAME-33]
        first_authority.get_or_insert_with(|| parsed.authority());
        addresses.push(address);
    }
    let authority = first_authority.ok_or_else(|| format!("lists no address; write for example {example:?}"))?;
    addresses.shrink_to_fit();
    Ok(Target { canonical: format!("{scheme}:{list}"), authority, endpoint: Endpoint::Fixed(addresses) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(parsed: Result<Target, Refusal>) -> (Vec<String>, String) {
        let target = parsed.unwrap_or_else(|refusal| panic!("{}", refusal.what));
        let Endpoint::Fixed(addresses) = target.endpoint else { panic!("a name") };
        (addresses.iter().map(ToString::to_string).collect(), target.authority)
    }

    /// [NAME-20], [NAME-33]
    #[test]
    fn every_address_of_a_list_is_kept_in_order_and_the_first_is_the_authority() {
        let owned = |addresses: &[&str], authority: &str| {
            (addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), authority.to_owned())
        };
        assert_eq!(told(ipv4("1.2.3.4:5,0.7.8.9")), owned(&["1.2.3.4:5", "0.7.8.9:443"], "1.2.3.4:5"));
        assert_eq!(told(ipv4(",1.2.3.4,,5.6.7.8:9,")), owned(&["1.2.3.4:443", "5.6.7.8:9"], "1.2.3.4"));
        assert_eq!(told(ipv6("[::2]:5,::1")), owned(&["[::2]:5", "[::1]:443"], "[::2]:5"));
    }

    /// [NAME-10]
    #[test]
    fn zones_are_kept_as_scope_and_are_not_part_of_the_authority() {
        let (addresses, authority) = told(ipv6("[fe80::1%252]:6,[fe80::2%eth0]:6,[fe80::3%25eth1]:6"));
        assert_eq!(addresses, ["[fe80::1%2]:6", "[fe80::2%eth0]:6", "[fe80::3%eth1]:6"]);
        assert_eq!(authority, "[fe80::1]:6");
    }

    /// [NAME-23]
    #[test]
    fn what_is_no_address_of_the_family_is_refused_and_not_looked_up() {
        for (parsed, said) in [
            (ipv4("localhost:80"), "has \"localhost:80\", which is not an ipv4 address"),
            (ipv4("1.2.3.4:5,[::1]:80"), "has \"[::1]:80\", which is not an ipv4 address"),
            (ipv4("1.2.3.256"), "which is not an ipv4 address"),
            (ipv6("1.2.3.4:80"), "which is not an ipv6 address; write for example \"ipv6:[::1]:443,[::2]:443\""),
            (ipv6("localhost"), "or \"dns:\" before a name"),
            (ipv6("[::1]:0"), "has the port \"0\""),
            (ipv4(""), "lists no address"),
            (ipv6(",,"), "lists no address"),
        ] {
            let refusal = parsed.expect_err(said);
            assert!(refusal.what.contains(said), "{}", refusal.what);
        }
    }
}
