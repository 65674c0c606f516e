//! Service configs that DNS has for a name (A2).

use std::io;
use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, OptionValue, Preset};
use crate::runtime::simulated::{Answer, HOSTNAME, Texts};
use crate::simulation::calls::Plan;
use crate::simulation::channels::{CONFIG_NAME, NAMED, address, ip, listed};
use crate::simulation::options::options;
use crate::simulation::server::Script;
use crate::simulation::world::World;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// How large the worlds' calls are; a config is known by whether it lets them pass.
const SIZE: usize = 16;
const CALL: Plan = Plan { timeout: Some(Duration::from_secs(20)), size: SIZE, ..Plan::NONE };

fn asking() -> (&'static str, OptionValue) {
    ("grpc.service_config_disable_resolution", false.into())
}

/// A config that lets calls pass up to this size.
fn up_to(size: usize) -> String {
    format!(r#"{{"methodConfig": [{{"name": [{{}}], "maxRequestMessageBytes": {size}}}]}}"#)
}

fn passes() -> String {
    up_to(SIZE)
}

fn refuses() -> String {
    up_to(SIZE - 1)
}

/// The text of a record with these choices, each with what it asks of clients.
fn record(choices: &[(&str, String)]) -> String {
    let choices = choices.iter().map(|(criteria, config)| format!(r#"{{{criteria} "serviceConfig": {config}}}"#));
    format!("grpc_config=[{}]", choices.collect::<Vec<_>>().join(","))
}

/// For everybody.
fn config(config: String) -> Answer<Texts> {
    Answer::of_texts([record(&[("", config)]).as_str()], MILLISECOND)
}

fn no_answer() -> Answer<Texts> {
    Answer::failure(io::ErrorKind::TimedOut, MILLISECOND)
}

/// The application's own config refuses the calls, and what DNS says is asked for.
fn refused_unless_dns_says_otherwise() -> ChannelOptions {
    let set = [
        asking(),
        ("grpc.service_config", refuses().as_str().into()),
        ("grpc.dns_min_time_between_resolutions_ms", 0.into()),
        ("grpc.dns_ares_query_timeout", 1_000.into()),
    ];
    options(Preset::Grpc, set)
}

/// [NAME-55], [NAME-58], [TXT-1], [TXT-4], [TXT-8], [INV-1], [INV-2], [INV-3]
#[test]
fn the_config_that_dns_has_of_late_holds_and_where_it_has_none_the_applications() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.answer(Answer::of([ip(1)], MILLISECOND).valid_for(SECOND));
        world.answer_config(config(passes()));
        let channel = world.channel(NAMED, &refused_unless_dns_says_otherwise());
        world.must_succeed(&channel, CALL).await;
        let wrong = Answer::of_texts([r#"grpc_config=[{"serviceConfig": {"methodConfig": 5}}]"#], MILLISECOND);
        let of_others = Answer::of_texts(["v=spf1 -all"], MILLISECOND);
        let for_others = record(&[(r#""clientLanguage": ["go"],"#, r#"{"methodConfig": 5}"#.to_owned())]);
        for (what, said, wanted) in [
            ("a wrong one", wrong, Code::Ok),
            ("another one", config(refuses()), Code::ResourceExhausted),
            ("the first again", config(passes()), Code::Ok),
            ("no record", Answer::of_texts([], MILLISECOND), Code::ResourceExhausted),
            ("the first again", config(passes()), Code::Ok),
            ("a record of something else", of_others, Code::ResourceExhausted),
            ("the first again", config(passes()), Code::Ok),
            ("one for others", Answer::of_texts([for_others.as_str()], MILLISECOND), Code::ResourceExhausted),
            ("the first again", config(passes()), Code::Ok),
            ("a look-up that fails", no_answer(), Code::ResourceExhausted),
            ("the first again", config(passes()), Code::Ok),
            ("an answer that is late", Answer { delay: SECOND * 9, ..config(passes()) }, Code::ResourceExhausted),
        ] {
            world.answer_config(said);
            // In use, so that the name is asked for when its answer is over.
            world.steady_calls(&channel, 4, SECOND * 4, CALL).await;
            let end = world.call(&channel, CALL).end().await;
            if end.code != wanted {
                world.wrong(format_args!("with {what} a call ended {:?}: {}", end.code, end.text));
            }
        }
    });
}

/// [NAME-58], [TXT-8]
#[test]
fn a_config_that_is_not_found_holds_up_calls_no_longer_than_a_look_up_may_take_and_fails_none() {
    for (said, longest) in
        [(no_answer(), MILLISECOND * 10), (Answer { delay: SECOND * 500, ..no_answer() }, SECOND + MILLISECOND * 10)]
    {
        every_seed(4, |world: World| {
            let said = said.clone();
            async move {
                let _server = world.server(&address(1), Script::default());
                world.name_is([1]);
                world.answer_config(said);
                let limit = ("grpc.dns_ares_query_timeout", 1_000.into());
                let channel = world.channel(NAMED, &options(Preset::Grpc, [asking(), limit]));
                let call = world.call(&channel, CALL);
                let end = call.end().await;
                let took = end.at.since(call.started);
                if end.code != Code::Ok || took > longest {
                    world.wrong(format_args!("a call ended {:?} after {took:?}: {}", end.code, end.text));
                }
            }
        });
    }
}

#[test]
fn a_name_without_addresses_fails_before_its_config_is_there() {
    every_seed(4, |world: World| async move {
        world.answer(Answer::failure(io::ErrorKind::NotFound, MILLISECOND));
        world.answer_config(Answer { delay: SECOND * 10, ..config(passes()) });
        let channel = world.channel(NAMED, &options(Preset::Grpc, [asking()]));
        let call = world.call(&channel, CALL);
        let end = call.end().await;
        if end.code != Code::Unavailable || end.at.since(call.started) > SECOND {
            world.wrong(format_args!("a call ended {:?}, {:?}: {}", end.code, end.at, end.text));
        }
    });
}

/// [NAME-59], [INV-4]
#[test]
fn a_wrong_config_at_first_fails_calls_until_the_name_has_a_right_one() {
    every_seed(4, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.name_is([1]);
        world.answer_config(Answer::of_texts(["grpc_config=[{}]"], MILLISECOND));
        let channel = world.channel(NAMED, &refused_unless_dns_says_otherwise());
        let end = world.call(&channel, CALL).end().await;
        let told = "its service config cannot be used: the TXT record: [0].serviceConfig: it is missing";
        if end.code != Code::Unavailable || !end.text.contains(told) {
            world.wrong(format_args!("a call ended {:?}: {}", end.code, end.text));
        }
        let waiting = world.call(&channel, Plan { wait_for_ready: true, ..CALL });
        world.answer_config(config(passes()));
        world.all_succeed(&[waiting]).await;
    });
}

/// [NAME-56], [TXT-3], [TXT-5], [TXT-6]
#[test]
fn the_first_choice_that_is_for_this_client_is_taken() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let of_this_machine =
            format!(r#""clientLanguage": ["go", "Rust"], "clientHostname": ["{HOSTNAME}"], "percentage": 100,"#);
        let choices = [
            (r#""clientLanguage": ["go"],"#, refuses()),
            (r#""clientHostname": ["elsewhere"],"#, refuses()),
            (r#""percentage": 0,"#, refuses()),
            (of_this_machine.as_str(), passes()),
            ("", refuses()),
        ];
        world.answer_config(Answer::of_texts([record(&choices).as_str()], MILLISECOND));
        let channel = world.channel(NAMED, &refused_unless_dns_says_otherwise());
        world.must_succeed(&channel, CALL).await;
    });
}

/// [TXT-5]
#[test]
fn a_percentage_of_clients_takes_a_choice() {
    let choices = [(r#""percentage": 30,"#, refuses()), ("", passes())];
    every_seed(4, |world: World| {
        let said = record(&choices);
        async move {
            let _server = world.server(&address(1), Script::default());
            world.name_is([1]);
            world.answer_config(Answer::of_texts([said.as_str()], MILLISECOND));
            let mut refused = 0;
            for _ in 0..200 {
                let channel = world.channel(NAMED, &options(Preset::Grpc, [asking()]));
                refused += u32::from(world.call(&channel, CALL).end().await.code == Code::ResourceExhausted);
            }
            if !(35..=85).contains(&refused) {
                world.wrong(format_args!("{refused} of 200 channels took a choice for 30 of 100"));
            }
        }
    });
}

/// [NAME-49], [NAME-57], [TXT-2], [TXT-7]
#[test]
fn nobody_asks_for_a_config_unless_that_is_turned_on_and_the_target_is_a_name() {
    every_seed(4, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.name_is([1]);
        world.driver().network().set_name("localhost", Answer::of([ip(1)], MILLISECOND));
        let refusing = ("grpc.service_config_disable_resolution", OptionValue::from(true));
        let silent = ("linkspan.lb_policy", OptionValue::from("pick_first"));
        for (target, set) in [
            (NAMED.to_owned(), silent),
            (NAMED.to_owned(), refusing),
            (listed([1]), asking()),
            ("localhost:50051".to_owned(), asking()),
        ] {
            let channel = world.channel(&target, &options(Preset::Grpc, [set]));
            world.must_succeed(&channel, CALL).await;
        }
        let asked = world.driver().network().text_lookups();
        if !asked.is_empty() {
            world.wrong(format_args!("asked for {asked:?}"));
        }
        let channel = world.channel(NAMED, &options(Preset::Grpc, [asking()]));
        world.must_succeed(&channel, CALL).await;
        let asked = world.driver().network().text_lookups();
        if asked != [CONFIG_NAME] {
            world.wrong(format_args!("asked for {asked:?}, not for the name's config"));
        }
    });
}

/// [NAME-43]
#[test]
fn a_name_is_asked_for_again_when_the_first_of_its_answers_is_over() {
    // For how many seconds the addresses and the config are good, and how long the channel waits.
    for (addresses, texts, wanted) in [
        (Some(60), Some(5), Some(5.0)),
        (Some(5), Some(60), Some(5.0)),
        (Some(5), None, Some(5.0)),
        // Who asks the system is asked again when something fails.
        (None, Some(5), None),
    ] {
        every_seed(4, |world: World| async move {
            let _server = world.server(&address(1), Script::default());
            let good_for = |seconds: Option<u64>| seconds.map(Duration::from_secs);
            world.answer(Answer { valid_for: good_for(addresses), ..Answer::of([ip(1)], MILLISECOND) });
            world.answer_config(Answer { valid_for: good_for(texts), ..config(passes()) });
            let channel = world.channel(NAMED, &refused_unless_dns_says_otherwise());
            world.steady_calls(&channel, 1, SECOND * 20, CALL).await;
            let between = world.between_lookups();
            let is_right = match wanted {
                Some(wanted) => {
                    between.len() >= 2 && between.iter().all(|waited| (wanted..wanted * 1.1 + 0.1).contains(waited))
                }
                None => between.is_empty(),
            };
            if !is_right {
                world.wrong(format_args!("{addresses:?}, {texts:?}: asked again after {between:?} s"));
            }
        });
    }
}
