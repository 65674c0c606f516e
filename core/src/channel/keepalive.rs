//! A channel's keepalive settings: options, then the environment, then a preset for what lies on the way to the server.

use std::time::Duration;

use super::options::{ChannelOptions, Preset, warn_once};
use crate::error::{Error, ErrorKind};
use crate::policy::keepalive::KeepaliveOptions;

/// What a keepalive preset and the environment say of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// `None` is off.
    pub(super) keepalive: Option<KeepaliveOptions>,
    /// `GRPC_MAX_CONNECTION_IDLE_MS`, read with the preset `kubernetes`: stands where `grpc.client_idle_timeout_ms` is not set.
    pub(super) idle_timeout_ms: Option<i64>,
    /// `GRPC_MAX_CONNECTION_AGE_MS`, likewise: stands where `linkspan.max_connection_age_ms` is not set.
    pub(super) max_connection_age_ms: Option<i64>,
}

/// [OPT-3]: as good as never.
const NEVER: i64 = i32::MAX as i64;

/// With less every connection would be given up before an answer can be there; ten milliseconds are grpc-java's least.
const LEAST_TIMEOUT: i64 = 10;

/// The settings, with `variable` to ask the environment.
///
/// # Errors
/// [`ErrorKind::BadOption`], naming the option or the variable.
pub(super) fn settings(
    options: &ChannelOptions,
    preset: Preset,
    variable: impl Fn(&'static str) -> Option<String>,
) -> Result<Settings, Error> {
    let path = PathPreset::chosen(options)?;
    let reads_environment = path.reads_environment;
    let number = |name| if reads_environment { milliseconds(name, variable(name)) } else { Ok(None) };
    let time = number("GRPC_KEEPALIVE_TIME_MS")?;
    let timeout = number("GRPC_KEEPALIVE_TIMEOUT_MS")?;
    let without_calls = match reads_environment {
        true => flag("GRPC_KEEPALIVE_PERMIT_WITHOUT_CALLS", variable("GRPC_KEEPALIVE_PERMIT_WITHOUT_CALLS"))?,
        false => None,
    };
    let time = options.int("grpc.keepalive_time_ms").or(time).unwrap_or(path.time);
    let timeout = options.int("grpc.keepalive_timeout_ms").or(timeout).unwrap_or(path.timeout);
    let without_calls = options.flag("grpc.keepalive_permit_without_calls").or(without_calls);
    Ok(Settings {
        // [CONN-98], [OPT-33]
        keepalive: (1..NEVER).contains(&time).then(|| KeepaliveOptions {
            time: clamped(time, options, preset),
            timeout: Duration::from_millis(if timeout < 0 { NEVER } else { timeout.max(LEAST_TIMEOUT) }.unsigned_abs()),
            without_calls: without_calls.unwrap_or(path.without_calls),
            is_policed: false,
        }),
        idle_timeout_ms: number("GRPC_MAX_CONNECTION_IDLE_MS")?,
        max_connection_age_ms: number("GRPC_MAX_CONNECTION_AGE_MS")?,
    })
}

/// [CONN-94]
fn clamped(time: i64, options: &ChannelOptions, preset: Preset) -> Duration {
    let key = "linkspan.keepalive_min_time_ms";
    let least = options.number(key, preset);
    if options.int(key).is_some() {
        warn_once(key, || {
            format!(
                "option {key:?} lets connections be pinged more often than most servers allow; they may answer too_many_pings"
            )
        });
    }
    if time < least {
        warn_once("grpc.keepalive_time_ms below its least", || {
            format!("a keepalive time of {time} ms is less than servers allow; it is {least} ms (option {key:?})")
        });
    }
    Duration::from_millis(time.max(least).unsigned_abs())
}

/// What suits the load balancers and translators of a known path. They forget a connection without traffic, silently.
struct PathPreset {
    name: &'static str,
    time: i64,
    timeout: i64,
    without_calls: bool,
    reads_environment: bool,
}

const fn path(name: &'static str, time: i64, timeout: i64) -> PathPreset {
    PathPreset { name, time, timeout, without_calls: true, reads_environment: false }
}

const PATHS: &[PathPreset] = &[
    PathPreset { without_calls: false, ..path("none", NEVER, 20_000) },
    // Forgets after 60 s.
    path("aws-alb", 30_000, 10_000),
    // 350 s.
    path("aws-nlb", 120_000, 20_000),
    // 600 s.
    path("gcp", 300_000, 20_000),
    // 240 s.
    path("azure", 120_000, 20_000),
    PathPreset { reads_environment: true, ..path("kubernetes", 60_000, 20_000) },
];

impl PathPreset {
    fn chosen(options: &ChannelOptions) -> Result<&'static Self, Error> {
        let name = options.text("linkspan.keepalive_preset").unwrap_or("none");
        PATHS.iter().find(|path| path.name == name).ok_or_else(|| {
            let names: Vec<_> = PATHS.iter().map(|path| format!("{:?}", path.name)).collect();
            let text = format!("option \"linkspan.keepalive_preset\" may be {}, not {name:?}", names.join(", "));
            Error::new(ErrorKind::BadOption, text)
        })
    }
}

fn milliseconds(name: &str, value: Option<String>) -> Result<Option<i64>, Error> {
    let Some(value) = value else { return Ok(None) };
    match value.trim().parse::<i64>() {
        Ok(number) if (-1..=NEVER).contains(&number) => Ok(Some(number)),
        _ => {
            let text = format!("environment variable {name} is {value:?}; it may be -1 to {NEVER} ms");
            Err(Error::new(ErrorKind::BadOption, text))
        }
    }
}

fn flag(name: &str, value: Option<String>) -> Result<Option<bool>, Error> {
    let Some(value) = value else { return Ok(None) };
    match value.trim() {
        "1" | "true" => Ok(Some(true)),
        "0" | "false" => Ok(Some(false)),
        _ => {
            let text = format!("environment variable {name} is {value:?}; it may be 1, 0, true or false");
            Err(Error::new(ErrorKind::BadOption, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::options::OptionValue;

    fn options(set: &[(&str, OptionValue)]) -> ChannelOptions {
        let mut options = ChannelOptions::new();
        for (key, value) in set {
            options.set(key, value.clone()).expect(key);
        }
        options
    }

    fn config(set: &[(&str, OptionValue)]) -> Settings {
        settings(&options(set), Preset::Grpc, |_| None).expect("valid")
    }

    fn keepalive(time: u64, timeout: u64, without_calls: bool) -> Option<KeepaliveOptions> {
        let (time, timeout) = (Duration::from_millis(time), Duration::from_millis(timeout));
        Some(KeepaliveOptions { time, timeout, without_calls, is_policed: false })
    }

    fn kubernetes(set: &[(&str, OptionValue)], variables: &[(&str, &str)]) -> Result<Settings, Error> {
        let mut all = vec![("linkspan.keepalive_preset", "kubernetes".into())];
        all.extend_from_slice(set);
        let find = |wanted| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        settings(&options(&all), Preset::Grpc, find)
    }

    /// [CONN-98], [OPT-33]
    #[test]
    fn it_is_off_unless_asked_for_and_by_each_word_for_never() {
        assert_eq!(config(&[]).keepalive, None);
        for never in [-1, 0, i32::MAX] {
            assert_eq!(config(&[("grpc.keepalive_time_ms", never.into())]).keepalive, None, "{never}");
        }
    }

    /// A8
    #[test]
    fn options_set_it_and_the_timeout_is_20_seconds_by_default() {
        let time = ("grpc.keepalive_time_ms", 30_000.into());
        assert_eq!(config(std::slice::from_ref(&time)).keepalive, keepalive(30_000, 20_000, false));
        let all = [time, ("grpc.keepalive_timeout_ms", 50.into()), ("grpc.keepalive_permit_without_calls", 1.into())];
        assert_eq!(config(&all).keepalive, keepalive(30_000, 50, true));
    }

    #[test]
    fn a_timeout_leaves_time_for_an_answer_and_may_be_never() {
        let time = ("grpc.keepalive_time_ms", 30_000.into());
        for (timeout, milliseconds) in [(0, 10), (9, 10), (10, 10), (i32::MAX, 2_147_483_647)] {
            let set = [time.clone(), ("grpc.keepalive_timeout_ms", timeout.into())];
            assert_eq!(config(&set).keepalive, keepalive(30_000, milliseconds, false), "{timeout}");
        }
        let never = kubernetes(&[], &[("GRPC_KEEPALIVE_TIMEOUT_MS", "-1")]).expect("valid");
        assert_eq!(never.keepalive, keepalive(60_000, 2_147_483_647, true));
    }

    /// [CONN-94]
    #[test]
    fn a_small_time_is_clamped_and_the_least_can_be_lifted() {
        let time = ("grpc.keepalive_time_ms", 1_000.into());
        assert_eq!(config(std::slice::from_ref(&time)).keepalive, keepalive(10_000, 20_000, false));
        let lifted = config(&[time.clone(), ("linkspan.keepalive_min_time_ms", 1.into())]);
        assert_eq!(lifted.keepalive, keepalive(1_000, 20_000, false));
        let raised = config(&[time, ("linkspan.keepalive_min_time_ms", 60_000.into())]);
        assert_eq!(raised.keepalive, keepalive(60_000, 20_000, false));
    }

    #[test]
    fn presets_know_their_path_and_options_win_over_them() {
        let of = |name: &str| config(&[("linkspan.keepalive_preset", name.into())]).keepalive;
        assert_eq!(of("none"), None);
        assert_eq!(of("aws-alb"), keepalive(30_000, 10_000, true));
        assert_eq!(of("aws-nlb"), keepalive(120_000, 20_000, true));
        assert_eq!(of("gcp"), keepalive(300_000, 20_000, true));
        assert_eq!(of("azure"), keepalive(120_000, 20_000, true));
        assert_eq!(of("kubernetes"), keepalive(60_000, 20_000, true));
        let mixed = config(&[
            ("linkspan.keepalive_preset", "gcp".into()),
            ("grpc.keepalive_time_ms", 40_000.into()),
            ("grpc.keepalive_permit_without_calls", false.into()),
        ]);
        assert_eq!(mixed.keepalive, keepalive(40_000, 20_000, false));
        let off = [("linkspan.keepalive_preset", "gcp".into()), ("grpc.keepalive_time_ms", i32::MAX.into())];
        assert_eq!(config(&off).keepalive, None);
    }

    #[test]
    fn an_unknown_preset_is_refused_with_the_known_ones() {
        let error = settings(&options(&[("linkspan.keepalive_preset", "aws".into())]), Preset::Grpc, |_| None);
        let error = error.expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::BadOption);
        assert!(error.message().contains("\"aws-alb\""), "{error}");
    }

    #[test]
    fn in_kubernetes_the_environment_stands_between_options_and_preset() {
        let variables = [
            ("GRPC_KEEPALIVE_TIME_MS", "45000"),
            ("GRPC_KEEPALIVE_TIMEOUT_MS", " 7000 "),
            ("GRPC_KEEPALIVE_PERMIT_WITHOUT_CALLS", "0"),
            ("GRPC_MAX_CONNECTION_IDLE_MS", "600000"),
            ("GRPC_MAX_CONNECTION_AGE_MS", "900000"),
        ];
        let from_environment = kubernetes(&[], &variables).expect("valid");
        assert_eq!(from_environment.keepalive, keepalive(45_000, 7_000, false));
        assert_eq!(from_environment.idle_timeout_ms, Some(600_000));
        assert_eq!(from_environment.max_connection_age_ms, Some(900_000));
        let option = kubernetes(&[("grpc.keepalive_time_ms", 50_000.into())], &variables).expect("valid");
        assert_eq!(option.keepalive, keepalive(50_000, 7_000, false));
    }

    #[test]
    fn other_presets_do_not_read_the_environment() {
        let gcp = options(&[("linkspan.keepalive_preset", "gcp".into())]);
        let read = settings(&gcp, Preset::Grpc, |name| panic!("{name} was read")).expect("valid");
        assert_eq!(read.keepalive, keepalive(300_000, 20_000, true));
    }

    #[test]
    fn a_malformed_variable_is_an_error_that_names_it() {
        for name in [
            "GRPC_KEEPALIVE_TIME_MS",
            "GRPC_KEEPALIVE_TIMEOUT_MS",
            "GRPC_KEEPALIVE_PERMIT_WITHOUT_CALLS",
            "GRPC_MAX_CONNECTION_IDLE_MS",
            "GRPC_MAX_CONNECTION_AGE_MS",
        ] {
            for value in ["30s", "", "1.5", "-7", "99999999999"] {
                let error = kubernetes(&[], &[(name, value)]).expect_err(value);
                assert_eq!(error.kind(), ErrorKind::BadOption);
                assert!(error.message().starts_with(&format!("environment variable {name} is {value:?}")), "{error}");
            }
        }
    }
}
