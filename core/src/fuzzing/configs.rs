//! Service configs, and the choices among them that DNS has.

use crate::resolver::txt;
use crate::service_config::ServiceConfig;
use crate::service_config::choices::Client;

use super::input::Input;

/// A service config's text.
///
/// It is a config, the same each time, or every mistake is told with the field it is in ([SC-08]).
pub fn service_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = ServiceConfig::parse(text);
    assert_eq!(read, ServiceConfig::parse(text));
    match read {
        Ok(config) => {
            for path in ["", "/", "/S/M", "S/M", text] {
                // One that names the method more exactly is never passed over for all there are.
                let found = config.methods.of(path);
                assert!(found.is_some() || config.methods.of("").is_none(), "{path:?}");
            }
        }
        Err(mistakes) => names_places(&mistakes.to_string()),
    }
}

/// Each line has a place, a colon and what is wrong there.
fn names_places(mistakes: &str) {
    if mistakes.starts_with("the text is ") {
        return;
    }
    let lines = mistakes.split_once(" mistakes\n  ").map_or(mistakes, |(_, lines)| lines);
    for line in lines.split("\n  ") {
        let (place, what) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} names no place"));
        assert!(!place.is_empty() && !what.is_empty(), "{line:?}");
    }
}

/// A byte that is the fraction of clients ours belongs to, then a line for each TXT record. A NUL parts the strings of a record. A line that begins
/// with `[` is a list of choices, and gets what such a record begins with.
///
/// Records say nothing, give a config, or are told to be wrong ([NAME-59]).
pub fn service_config_choices(data: &[u8]) {
    let mut input = Input(data);
    let unit = f64::from(input.byte()) / 256.0;
    let client = Client { languages: txt::languages("python"), hostname: "host", unit };
    let records: Vec<Vec<Vec<u8>>> = input.0.split(|byte| *byte == b'\n').map(record).collect();
    let found = txt::service_config(&records, &client);
    let again = txt::service_config(&records, &client);
    assert_eq!(found, again);
    if let Some(Err(what)) = found {
        assert!(what.starts_with("the TXT record"), "{what}");
    }
}

fn record(line: &[u8]) -> Vec<Vec<u8>> {
    let prefix: &[u8] = if line.starts_with(b"[") { b"grpc_config=" } else { b"" };
    [prefix, line].concat().split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}
