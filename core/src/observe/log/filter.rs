//! What is written: a level for each room, made of the texts of environment variables.
//!
//! `LINKSPAN_LOG` is ours. Where it is not set, `GRPC_VERBOSITY` and `GRPC_TRACE` are understood as the C core means them, and before these
//! the names Node has for them.

use super::{LogLevel, Room, number};

/// How loud a line of each room may be; 0 is that none is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter([u8; Room::COUNT]);

/// The variables' texts; one that is empty is not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    pub(crate) linkspan_log: Option<String>,
    /// Each the first that is set of its kind.
    pub(crate) verbosity: Option<Variable>,
    pub(crate) trace: Option<Variable>,
}

/// A variable that has more than one name, and the one it was found under.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// What follows from the variables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `None` is that nothing is written.
    pub(crate) filter: Option<Filter>,
    /// What is to be said of the variables themselves: one line for each that is wrong.
    pub(crate) notices: Vec<String>,
}

impl Filter {
    const NOTHING: Self = Self([0; Room::COUNT]);

    /// Lines of all rooms, this loud.
    fn of_level(level: u8) -> Self {
        Self([level; Room::COUNT])
    }

    pub(super) fn of(&self, room: Room) -> u8 {
        self.0[room as usize]
    }

    fn set(&mut self, rooms: impl Iterator<Item = Room>, level: u8) -> bool {
        let mut is_any = false;
        for room in rooms {
            self.0[room as usize] = level;
            is_any = true;
        }
        is_any
    }
}

impl Variables {
    pub(crate) fn wanted(&self) -> Wanted {
        let (filter, notices) = match &self.linkspan_log {
            Some(text) => {
                let (filter, wrong) = of_linkspan(text);
                (filter, wrong.into_iter().collect())
            }
            None => of_grpc(self.verbosity.as_ref(), self.trace.as_ref()),
        };
        Wanted { filter: Some(filter).filter(|filter| *filter != Filter::NOTHING), notices }
    }
}

/// `level`, or a list of `level`, `room=level`, `room` and `-room`; of two that mean one room the later holds. What is wrong, in words; the
/// rest of the list holds all the same.
fn of_linkspan(text: &str) -> (Filter, Option<String>) {
    let mut filter = Filter::NOTHING;
    let mut wrong = Vec::new();
    for item in items(text) {
        let is_known = if let Some(level) = level(item) {
            filter = Filter::of_level(level);
            true
        } else if let Some(room) = item.strip_prefix('-') {
            filter.set(Room::matching(room), 0)
        } else if let Some((room, name)) = item.split_once('=') {
            level(name.trim()).is_some_and(|level| filter.set(Room::matching(room.trim()), level))
        } else {
            filter.set(Room::matching(item), number(LogLevel::Trace))
        };
        if !is_known {
            wrong.push(item);
        }
    }
    let words = |wrong: &[&str]| {
        let rooms: Vec<_> = Room::ALL.into_iter().map(Room::name).collect();
        format!(
            "LINKSPAN_LOG: {} cannot be understood and counts for nothing; it may be a level (off, error, warn, info, debug, trace), or a comma \
             list of level, room=level, room (all of it) and -room (none of it), with * for any letters; the rooms are {}",
            quoted(wrong),
            rooms.join(", ")
        )
    };
    (filter, (!wrong.is_empty()).then(|| words(&wrong)))
}

/// A level by its name; `off` is none.
fn level(name: &str) -> Option<u8> {
    if name.eq_ignore_ascii_case("off") { Some(0) } else { name.parse().ok().map(number) }
}

/// A verbosity is for all rooms, as loud as lines may be; the rooms of `GRPC_TRACE` are told in full where it lets them through, which is from INFO on.
fn of_grpc(verbosity: Option<&Variable>, trace: Option<&Variable>) -> (Filter, Vec<String>) {
    let mut notices = Vec::new();
    let loudness = verbosity.and_then(|Variable { name, text }| {
        let known = ["DEBUG", "INFO", "ERROR", "NONE"];
        let found = known.into_iter().find(|known| known.eq_ignore_ascii_case(text.trim()));
        if found.is_none() {
            notices.push(format!("{name}: {text:?} counts for nothing; it may be DEBUG, INFO, ERROR or NONE"));
        }
        found
    });
    let untraced = match loudness {
        Some("DEBUG") => number(LogLevel::Debug),
        Some("INFO") => number(LogLevel::Info),
        Some("ERROR") => number(LogLevel::Error),
        // Nothing is asked for: a program is silent then.
        Some(_) | None => 0,
    };
    let mut filter = Filter::of_level(untraced);
    if let Some(Variable { name, text }) = trace {
        let lets_through = matches!(loudness, Some("DEBUG" | "INFO"));
        let mut unknown = Vec::new();
        for item in items(text) {
            if item == "list_tracers" {
                let rooms = Room::ALL.map(|room| format!("{}: {}", room.name(), room.tells()));
                notices.push(format!("available tracers: {}", rooms.join("; ")));
                continue;
            }
            let (item, is_on) = item.strip_prefix('-').map_or((item, true), |item| (item, false));
            let pattern = if item == "all" { "*" } else { item };
            let mut is_known = false;
            for room in Room::matching(pattern).chain(Room::called(pattern)) {
                is_known = true;
                if lets_through {
                    filter.0[room as usize] = if is_on { number(LogLevel::Trace) } else { untraced };
                }
            }
            if !is_known && !pattern.contains('*') {
                unknown.push(item);
            }
        }
        if !unknown.is_empty() && lets_through {
            notices.push(format!(
                "{name}: {} is not known here and is ignored; list_tracers tells what is",
                quoted(&unknown)
            ));
        }
    }
    (filter, notices)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn quoted(items: &[&str]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rooms and levels where they differ from the level of `http`.
    fn told(filter: &Filter) -> String {
        let base = filter.of(Room::Http);
        let others = Room::ALL.into_iter().filter(|room| filter.of(*room) != base);
        let others: Vec<_> = others.map(|room| format!("{}={}", room.name(), filter.of(room))).collect();
        format!("{base} {}", others.join(" ")).trim_end().to_owned()
    }

    #[test]
    fn what_linkspan_log_means() {
        for (text, means) in [
            ("info", "3"),
            ("OFF", "0"),
            ("debug,-call", "4 call=0"),
            ("call", "0 call=5"),
            ("warn, call=trace", "2 call=5"),
            ("*=info", "3"),
            ("*_robin*=debug,info", "3"),
            ("info,*_robin*=debug", "3 round_robin=4 weighted_round_robin_lb=4"),
            ("call,-*,error", "1"),
            ("", "0"),
            (" , ,", "0"),
        ] {
            let (filter, wrong) = of_linkspan(text);
            assert_eq!((told(&filter).as_str(), wrong), (means, None), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_linkspan_log_is_told_once_and_the_rest_holds() {
        for (text, means, quoted) in [
            ("loud", "0", "\"loud\""),
            ("info,call=loud,chanel=info,tls=debug", "3 tls=4", "\"call=loud\", \"chanel=info\""),
            ("-calls,info", "3", "\"-calls\""),
            ("=", "0", "\"=\""),
        ] {
            let (filter, wrong) = of_linkspan(text);
            assert_eq!(told(&filter), means, "{text}");
            let wrong = wrong.expect(text);
            assert!(wrong.starts_with(&format!("LINKSPAN_LOG: {quoted} cannot")), "{wrong}");
            assert!(wrong.contains("info, debug, trace") && wrong.contains("pick_first"), "{wrong}");
        }
    }

    fn grpc(verbosity: &str, trace: &str) -> Wanted {
        let set = |name, text: &str| (!text.is_empty()).then(|| Variable { name, text: text.to_owned() });
        let variables = Variables {
            linkspan_log: None,
            verbosity: set("GRPC_VERBOSITY", verbosity),
            trace: set("GRPC_TRACE", trace),
        };
        variables.wanted()
    }

    #[test]
    fn what_grpcs_variables_mean() {
        for (verbosity, trace, means) in [
            ("", "", ""),
            ("NONE", "all", ""),
            ("ERROR", "all", "1"),
            ("info", "", "3"),
            ("DEBUG", "", "4"),
            ("", "all", ""),
            ("INFO", "call,retry", "3 call=5 retry=5"),
            (
                "DEBUG",
                "all,-http*,-tls",
                "4 call=5 channel=5 circuit_breaker=5 connectivity_state=5 dns_resolver=5 engine=5 \
             health_check_client=5 load_balancing=5 options=5 pick_first=5 resolver=5 retry=5 round_robin=5 subchannel=5 weighted_round_robin_lb=5",
            ),
            ("DEBUG", "-all", "4"),
            ("INFO", "tsi,cares_*", "3 dns_resolver=5 tls=5"),
            ("INFO", "refcount*", "3"),
        ] {
            let Wanted { filter, notices } = grpc(verbosity, trace);
            assert_eq!(filter.map(|filter| told(&filter)).unwrap_or_default(), means, "{verbosity} {trace}");
            assert_eq!(notices, [""; 0], "{verbosity} {trace}");
        }
    }

    #[test]
    fn what_is_wrong_with_grpcs_variables_is_told() {
        let wanted = grpc("LOUD", "call");
        assert_eq!(wanted.filter, None);
        assert_eq!(
            wanted.notices,
            ["GRPC_VERBOSITY: \"LOUD\" counts for nothing; it may be DEBUG, INFO, ERROR or NONE"]
        );
        let wanted = grpc("INFO", "call,chaotic_good,glb");
        let words =
            "GRPC_TRACE: \"chaotic_good\", \"glb\" is not known here and is ignored; list_tracers tells what is";
        assert_eq!(wanted.notices, [words]);
        assert_eq!(wanted.filter.map(|filter| told(&filter)).as_deref(), Some("3 call=5"));
    }

    #[test]
    fn list_tracers_tells_every_room_however_loud() {
        let [list] = &grpc("", "list_tracers").notices[..] else { panic!("one line") };
        assert!(Room::ALL.into_iter().all(|room| list.contains(&format!(" {}: ", room.name()))), "{list}");
    }

    #[test]
    fn linkspan_log_stands_before_grpcs_variables() {
        let verbosity = Some(Variable { name: "GRPC_VERBOSITY", text: "DEBUG".to_owned() });
        let variables = Variables { linkspan_log: Some("off".to_owned()), verbosity, trace: None };
        assert_eq!(variables.wanted(), Wanted { filter: None, notices: Vec::new() });
    }
}
