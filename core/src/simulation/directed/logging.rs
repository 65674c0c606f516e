//! What a channel's life looks like in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;
use crate::channel::options::Preset;
use crate::observe::log::overheard::overhear;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address, listed};
use crate::simulation::options::options;
use crate::simulation::server::Script;

const SECOND: Duration = Duration::from_secs(1);

/// Ids are the process's, and other tests take some, too: here they count from 1, each kind for itself. So do lengths of time, whose
/// fractions chance decides.
fn steadied(lines: &[String]) -> Vec<String> {
    let mut known = BTreeMap::new();
    let mut counts = BTreeMap::<String, usize>::new();
    let mut steady = |line: &String| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for place in 1..words.len() {
            let (kind, word) = (words[place - 1].clone(), words[place].clone());
            let number = word.trim_end_matches([':', ',', ';']);
            if number.parse::<f64>().is_ok() {
                let rest = word[number.len()..].to_owned();
                if ["channel", "subchannel", "connection", "call"].contains(&kind.as_str()) {
                    let shown = *known.entry((kind.clone(), number.to_owned())).or_insert_with(|| {
                        let count = counts.entry(kind).or_default();
                        *count += 1;
                        *count
                    });
                    words[place] = format!("{shown}{rest}");
                } else if words.get(place + 1).is_some_and(|unit| unit.starts_with("ms")) {
                    words[place] = "…".to_owned();
                }
            }
        }
        words.join(" ")
    };
    lines.iter().map(&mut steady).collect()
}

#[test]
fn a_life_is_told_line_by_line() {
    let lines = overhear(|| {
        World::run(1, |world: World| async move {
            let server = world.server(&address(1), Script::default());
            world.name_is(1..=1);
            let channel = world.channel(NAMED, &options(Preset::Resilient, []));
            world.must_succeed(&channel, Plan::default()).await;
            server.stop_gracefully(SECOND).await;
            world.sleep(SECOND).await;
            drop(world.call(&channel, Plan { timeout: Some(SECOND), ..Plan::default() }).end().await);
            server.start();
            world.sleep(SECOND * 5).await;
            world.must_succeed(&channel, Plan::default()).await;
        })
        .must_be_right();
    });
    let told = steadied(&lines);
    let wanted = include_str!("logging.txt");
    assert_eq!(told.join("\n") + "\n", wanted, "\n{}\n", told.join("\n"));
}

/// [CONN-90]
#[test]
fn pings_are_told_with_their_round_trips_and_so_is_the_one_that_is_not_answered() {
    let lines = overhear(|| {
        World::run(1, |world: World| async move {
            let server = world.server(&address(1), Script::default());
            let (time, timeout) =
                (("grpc.keepalive_time_ms", 10_000.into()), ("grpc.keepalive_timeout_ms", 2_000.into()));
            let channel = world.channel(&listed([1]), &options(Preset::Resilient, [time, timeout]));
            world.must_succeed(&channel, Plan::default()).await;
            server.change(|script| script.answers.never = 100);
            let waits = world.call(&channel, Plan { timeout: Some(SECOND * 60), ..Plan::default() });
            world.sleep(SECOND * 15).await;
            server.freeze();
            drop(waits.end().await);
        })
        .must_be_right();
    });
    let told = steadied(&lines);
    let of = |room: &str| {
        told.iter().filter(|line| line.split(' ').nth(1) == Some(room)).map(String::as_str).collect::<Vec<_>>()
    };
    let about = "channel 1 ipv4:10.0.0.1:50051: connection 1 10.0.0.1:50051";
    let pings = [
        format!("T http2_ping: {about}: PING sent"),
        format!("T http2_ping: {about}: PING answered after … ms"),
        format!("T http2_ping: {about}: PING sent"),
    ];
    assert_eq!(of("http2_ping:")[..3], pings, "{told:#?}");
    let given_up = format!("D http_keepalive: {about}: closed by keepalive: nothing was read for ");
    assert!(of("http_keepalive:").iter().any(|line| line.starts_with(&given_up)), "{told:#?}");
}

/// What is said of single calls is for those who look for faults.
#[test]
fn nothing_is_told_of_a_call_at_info_and_above() {
    let loud = |calls: usize| {
        let lines = overhear(|| {
            World::run(1, move |world: World| async move {
                let server = world.server(&address(1), Script::default());
                let channel = world.channel(&listed([1]), &options(Preset::Resilient, []));
                server.change(|script| script.answers.errors = 50);
                for _ in 0..calls {
                    drop(world.call(&channel, Plan::default()).end().await);
                }
            })
            .must_be_right();
        });
        lines.iter().filter(|line| line.starts_with(['E', 'W', 'I'])).count()
    };
    assert_eq!(loud(1), loud(50));
}
