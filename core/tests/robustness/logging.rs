//! What the environment has a program write, and what it does not: each time in a process of its own.

use std::process::Command;

use linkspan_core::{Channel, ChannelOptions, Credentials, LogLevel, State, set_log_level, set_logger};

use crate::peer::client::{becomes, channel_with};
use crate::peer::run;

const CHILD: &str = "LINKSPAN_TEST_LOGGING";

/// What `body` writes to stderr in a process with these variables, and no others of this kind. `test` is the path of the test that calls this; in
/// that process there is nothing to look at.
fn written(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) -> Option<Vec<String>> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture"]);
    for name in ["LINKSPAN_LOG", "GRPC_VERBOSITY", "GRPC_TRACE", "GRPC_NODE_VERBOSITY", "GRPC_NODE_TRACE"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).env(CHILD, "1").output().expect("a process");
    let (told, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A name that no test has would pass with nothing run.
    assert!(output.status.success() && told.contains("1 passed"), "{told}{stderr}");
    Some(stderr.lines().map(str::to_owned).collect())
}

/// A dial that is refused, at a port nobody listens on.
fn fail_to_connect() {
    run(async {
        let channel = channel_with("127.0.0.1:1", &[]);
        channel.state(true);
        becomes(&channel, State::TransientFailure).await;
    });
}

#[test]
fn a_program_is_silent_unless_its_environment_asks_for_more() {
    const TEST: &str = "logging::a_program_is_silent_unless_its_environment_asks_for_more";
    for variables in [&[][..], &[("LINKSPAN_LOG", "")], &[("LINKSPAN_LOG", "off"), ("GRPC_VERBOSITY", "DEBUG")]] {
        let Some(lines) = written(TEST, variables, fail_to_connect) else { return };
        assert_eq!(lines, [""; 0], "{variables:?}");
    }
}

#[test]
fn linkspan_log_says_which_lines_are_written() {
    const TEST: &str = "logging::linkspan_log_says_which_lines_are_written";
    let variables = [("LINKSPAN_LOG", "connectivity_state=info,subchannel=debug"), ("GRPC_TRACE", "all")];
    let Some(lines) = written(TEST, &variables, fail_to_connect) else { return };
    let rooms = lines.iter().map(|line| {
        let words: Vec<_> = line.splitn(5, ' ').collect();
        let [time, level, process, room, text] = words[..] else { panic!("{line}") };
        assert!(time.len() == 13 && time.ends_with('Z'), "{line}");
        assert!(level == "I" || level == "D", "{line}");
        assert!(process.parse::<u32>().is_ok(), "{line}");
        assert!(text.starts_with("channel ") && text.contains(" ipv4:127.0.0.1:1: "), "{line}");
        room
    });
    let rooms: Vec<_> = rooms.collect();
    assert!(rooms.contains(&"connectivity_state:") && rooms.contains(&"subchannel:"), "{lines:#?}");
    assert!(rooms.iter().all(|room| ["connectivity_state:", "subchannel:"].contains(room)), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("refused")), "{lines:#?}");
}

#[test]
fn what_is_wrong_with_linkspan_log_is_one_line_and_the_rest_holds() {
    const TEST: &str = "logging::what_is_wrong_with_linkspan_log_is_one_line_and_the_rest_holds";
    let Some(lines) = written(TEST, &[("LINKSPAN_LOG", "chanel=debug,connectivity_state=loud,options=warn")], || {
        // Warns before there is an engine.
        let mut options = ChannelOptions::new();
        options.set("grpc.no_such_key", 1).expect("accepted");
        Channel::new("ipv4:127.0.0.1:1", &Credentials::insecure(), &options).expect("a channel");
    }) else {
        return;
    };
    let [wrong, warning] = &lines[..] else { panic!("{lines:#?}") };
    let wanted = "linkspan: LINKSPAN_LOG: \"chanel=debug\", \"connectivity_state=loud\" cannot be understood";
    assert!(wrong.starts_with(wanted) && wrong.contains("the rooms are call, channel, "), "{wrong}");
    assert!(warning.contains(" options: ") && warning.contains("grpc.no_such_key"), "{warning}");
}

#[test]
fn grpcs_variables_are_understood() {
    const TEST: &str = "logging::grpcs_variables_are_understood";
    let verbosity = |verbosity| ("GRPC_VERBOSITY", verbosity);
    let Some(lines) = written(TEST, &[verbosity("INFO"), ("GRPC_TRACE", "subchannel")], fail_to_connect) else {
        return;
    };
    assert!(lines.iter().any(|line| line.contains(" D ") && line.contains(" subchannel: ")), "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains(" I ") || line.contains(" subchannel: ")), "{lines:#?}");

    // Node's stand before them.
    let variables = [verbosity("DEBUG"), ("GRPC_NODE_VERBOSITY", "NONE"), ("GRPC_TRACE", "all")];
    assert_eq!(written(TEST, &variables, fail_to_connect), Some(Vec::new()));

    let listed = written(TEST, &[("GRPC_TRACE", "list_tracers")], fail_to_connect).expect("the parent");
    assert!(listed.len() == 1 && listed[0].contains(" pick_first: "), "{listed:#?}");
}

/// The level is the logger's, whatever is written besides.
#[test]
fn a_logger_gets_lines_as_loud_as_it_is_set_to() {
    const TEST: &str = "logging::a_logger_gets_lines_as_loud_as_it_is_set_to";
    let body = || {
        let logger = |level: LogLevel, room: &str, _: &str| println!("\nheard {level} {room}");
        set_logger(Some(Box::new(logger)));
        fail_to_connect();
        println!("\nheard now");
        set_log_level(Some(LogLevel::Debug));
        fail_to_connect();
        set_log_level(None);
        println!("\nheard never");
        fail_to_connect();
        set_logger(None);
    };
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("a process");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("1 passed"), "{told}");
    let heard: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("heard ")).collect();
    let at = |word: &str| heard.iter().position(|line| *line == word).expect(&told);
    let (now, never) = (at("now"), at("never"));
    assert!(heard[..now].iter().all(|line| line.starts_with("info ")) && now > 0, "{heard:?}");
    assert!(heard[now..never].contains(&"debug subchannel"), "{heard:?}");
    assert_eq!(heard.len(), never + 1, "{heard:?}");
}
