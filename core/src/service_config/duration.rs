//! A length of time as proto3 writes it in JSON: decimal seconds and an `s` ([SC-04]).

use std::time::Duration;

/// What a proto `Duration` may hold: about ten thousand years.
const MOST_SECONDS: u64 = 315_576_000_000;

/// Like Go, reads `.5s` and `1.s` too.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let Some(number) = text.strip_suffix('s') else {
        let meant = text.trim_end_matches('S');
        let example = if seconds(meant).is_ok() { meant } else { "1.5" };
        return Err(format!("{text:?} has no \"s\"; write for example \"{example}s\""));
    };
    seconds(number).map_err(|what| format!("{text:?} {what}"))
}

fn seconds(number: &str) -> Result<Duration, String> {
    const NO_NUMBER: &str = "is not a number of seconds; write for example \"1.5s\"";

    if number.starts_with('-') {
        // [SC-21]
        return Err("is negative".to_owned());
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !are_digits(whole) || !are_digits(fraction) {
        return Err(NO_NUMBER.to_owned());
    }
    if fraction.len() > 9 {
        return Err("has more than nine digits behind the point".to_owned());
    }
    // More digits than a number holds are too long as well.
    let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().map_err(|_| NO_NUMBER.to_owned())?;
    if whole > MOST_SECONDS || (whole == MOST_SECONDS && nanoseconds > 0) {
        return Err(format!("is longer than \"{MOST_SECONDS}s\""));
    }
    Ok(Duration::new(whole, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [SC-04], [SVC-8]
    #[test]
    fn decimal_seconds_with_up_to_nine_digits_behind_the_point() {
        let table = [
            ("0s", Duration::ZERO),
            ("5s", Duration::from_secs(5)),
            ("1.5s", Duration::from_millis(1_500)),
            ("0.000000001s", Duration::from_nanos(1)),
            ("007s", Duration::from_secs(7)),
            (".050s", Duration::from_millis(50)),
            ("1.s", Duration::from_secs(1)),
            ("315576000000s", Duration::from_secs(MOST_SECONDS)),
        ];
        for (text, length) in table {
            assert_eq!(parse(text), Ok(length), "{text}");
        }
    }

    /// [SC-04], [SC-21]
    #[test]
    fn everything_else_says_what_to_write() {
        let table = [
            ("5", "\"5\" has no \"s\"; write for example \"5s\""),
            ("5S", "\"5S\" has no \"s\"; write for example \"5s\""),
            ("", "\"\" has no \"s\"; write for example \"1.5s\""),
            ("5m", "\"5m\" has no \"s\"; write for example \"1.5s\""),
            ("s", "\"s\" is not a number of seconds; write for example \"1.5s\""),
            (".s", "\".s\" is not a number of seconds; write for example \"1.5s\""),
            ("5ms", "\"5ms\" is not a number of seconds; write for example \"1.5s\""),
            ("+5s", "\"+5s\" is not a number of seconds; write for example \"1.5s\""),
            ("1e3s", "\"1e3s\" is not a number of seconds; write for example \"1.5s\""),
            ("1.2.3s", "\"1.2.3s\" is not a number of seconds; write for example \"1.5s\""),
            ("٣s", "\"٣s\" is not a number of seconds; write for example \"1.5s\""),
            ("-1s", "\"-1s\" is negative"),
            ("1.0000000001s", "\"1.0000000001s\" has more than nine digits behind the point"),
            ("315576000000.1s", "\"315576000000.1s\" is longer than \"315576000000s\""),
            ("99999999999999999999s", "\"99999999999999999999s\" is longer than \"315576000000s\""),
        ];
        for (text, what) in table {
            assert_eq!(parse(text), Err(what.to_owned()), "{text}");
        }
    }
}
