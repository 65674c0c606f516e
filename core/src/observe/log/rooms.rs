//! The rooms lines come from. Where the C core has a name for what a room tells, it has that name.

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Call,
    Channel,
    CircuitBreaker,
    ConnectivityState,
    DnsResolver,
    Engine,
    HealthCheckClient,
    Http,
    Http2Ping,
    HttpKeepalive,
    LoadBalancing,
    Options,
    PickFirst,
    Resolver,
    Retry,
    RoundRobin,
    Subchannel,
    Tls,
    WeightedRoundRobin,
}

/// Each with its name and what its lines tell, in the order of the names.
const TABLE: [(Room, &str, &str); Room::COUNT] = [
    (Room::Call, "call", "a call's streams and its end"),
    (Room::Channel, "channel", "what a channel is told and what it does"),
    (Room::CircuitBreaker, "circuit_breaker", "circuit breakers that open and close"),
    (Room::ConnectivityState, "connectivity_state", "a channel's changes of state, with their causes"),
    (Room::DnsResolver, "dns_resolver", "look-ups of names, and of service configs in DNS"),
    (Room::Engine, "engine", "engines, and what breaks in them"),
    (Room::HealthCheckClient, "health_check_client", "what servers say of their health"),
    (Room::Http, "http", "a connection's HTTP/2: GOAWAY, and how it ended"),
    (Room::Http2Ping, "http2_ping", "PINGs and their answers, with round-trip times"),
    (
        Room::HttpKeepalive,
        "http_keepalive",
        "connections that are given up by keepalive or liveness, and what is wrong with a keepalive",
    ),
    (Room::LoadBalancing, "load_balancing", "pickers of the policies that have no room of their own"),
    (Room::Options, "options", "options without effect"),
    (Room::PickFirst, "pick_first", "pickers of pick_first"),
    (Room::Resolver, "resolver", "look-ups of all other targets, a host's own resolvers among them"),
    (Room::Retry, "retry", "whether another attempt follows a failed one, and why not"),
    (Room::RoundRobin, "round_robin", "pickers of round_robin"),
    (Room::Subchannel, "subchannel", "addresses, and the dials and connections to them"),
    (Room::Tls, "tls", "certificates that are read again or expire"),
    (Room::WeightedRoundRobin, "weighted_round_robin_lb", "pickers of weighted_round_robin"),
];

/// What others call them, for `GRPC_TRACE` alone.
const ALIASES: &[(&str, Room)] = &[
    ("cares_resolver", Room::DnsResolver),
    ("client_channel", Room::Channel),
    ("client_channel_call", Room::Call),
    ("event_engine_client_channel_resolver", Room::DnsResolver),
    ("keepalive", Room::HttpKeepalive),
    ("load_balancing_call", Room::Call),
    ("resolving_call", Room::Call),
    ("resolving_load_balancer", Room::Resolver),
    ("retrying_call", Room::Retry),
    ("subchannel_call", Room::Call),
    ("transport", Room::Http),
    ("tsi", Room::Tls),
    ("weighted_round_robin", Room::WeightedRoundRobin),
];

impl Room {
    pub(crate) const COUNT: usize = Self::WeightedRoundRobin as usize + 1;

    pub(crate) const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::Call; Self::COUNT];
        let mut place = 0;
        while place < Self::COUNT {
            all[place] = TABLE[place].0;
            place += 1;
        }
        all
    };

    pub(crate) fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// What its lines tell.
    pub(super) fn tells(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// Those the pattern means; `*` stands for any letters.
    pub(super) fn matching(pattern: &str) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |room| matches(pattern, room.name()))
    }

    /// Those others call so.
    pub(super) fn called(pattern: &str) -> impl Iterator<Item = Self> {
        ALIASES.iter().filter(move |(name, _)| matches(pattern, name)).map(|(_, room)| *room)
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            let Some(after) = name.strip_prefix(start) else { return false };
            let mut tails = (0..=after.len()).filter_map(|from| after.get(from..));
            tails.any(|tail| matches(rest, tail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_room_in_its_place() {
        for (place, (room, ..)) in TABLE.iter().enumerate() {
            assert_eq!(*room as usize, place, "{room:?}");
        }
        assert!(TABLE.is_sorted_by_key(|(_, name, _)| *name));
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, does) in [
            ("call", "call", true),
            ("call", "calls", false),
            ("*", "", true),
            ("http*", "http2_ping", true),
            ("*_ping", "http2_ping", true),
            ("h*_p*g", "http2_ping", true),
            ("h*x*g", "http2_ping", false),
        ] {
            assert_eq!(matches(pattern, name), does, "{pattern} {name}");
        }
    }
}
