//! What becomes of names that DNS servers are asked for directly (feature `hickory`).

mod name_server;

use std::net::{IpAddr, Ipv4Addr};

use linkspan_core::{Channel, Code, Credentials, OptionValue};

use crate::peer::client::{call, failure, options, response};
use crate::peer::run;
use crate::peer::server::Server;
use name_server::{NAME, NO_ERROR, NO_SUCH_NAME, NameServer, Records, SERVER_FAILURE};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A channel to the name, with the server's port, which asks this name server.
fn channel(names: &NameServer, name: &str, server: &Server, set: &[(&str, OptionValue)]) -> Channel {
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    let target = format!("dns://{}/{name}:{port}", names.address());
    Channel::new(&target, &Credentials::insecure(), &options(set)).expect("a channel")
}

async fn is_served(channel: &Channel, server: &Server) {
    let call = call(channel);
    let mut connection = server.accept().await;
    connection.request().await.answer(b"found");
    assert_eq!(response(call).await.message, "found");
}

#[test]
fn the_server_of_a_target_is_asked_for_its_name() {
    run(async {
        let (names, server) = (NameServer::start(Records::of([HERE], 60)).await, Server::start());
        let channel = channel(&names, NAME, &server, &[]);
        is_served(&channel, &server).await;
        // A datagram without an answer for a third of a second is sent again.
        let [udp, tcp] = names.asked();
        assert!(udp >= 1 && tcp == 0, "{udp} {tcp}");
    });
}

#[test]
fn what_does_not_fit_into_a_datagram_is_asked_for_over_tcp() {
    run(async {
        let records = Records { is_truncated: true, ..Records::of([HERE], 60) };
        let (names, server) = (NameServer::start(records).await, Server::start());
        let channel = channel(&names, NAME, &server, &[]);
        is_served(&channel, &server).await;
        let [udp, tcp] = names.asked();
        assert!(udp >= 1 && tcp >= 1, "{udp} {tcp}");
    });
}

#[test]
fn a_refusal_tells_name_code_and_server() {
    run(async {
        let server = Server::start();
        for (code, said) in [
            (NO_SUCH_NAME, "no such name (NXDOMAIN)"),
            (NO_ERROR, "the name has no address (NOERROR)"),
            (SERVER_FAILURE, "the server fails (SERVFAIL)"),
        ] {
            let names = NameServer::start(Records::none(code)).await;
            let channel = channel(&names, NAME, &server, &[]);
            let text = failure(call(&channel), Code::Unavailable).await.status().message().to_owned();
            assert!(text.starts_with("DNS resolution failed for svc.test:"), "{text}");
            assert!(text.contains(&format!("{said}; asked {}", names.address())), "{text}");
        }
    });
}

#[test]
fn a_name_in_use_is_asked_for_again_when_its_answer_is_over() {
    run(async {
        let (names, server) = (NameServer::start(Records::of([HERE], 1)).await, Server::start());
        let at_will = [("grpc.dns_min_time_between_resolutions_ms", 0.into())];
        let channel = channel(&names, NAME, &server, &at_will);
        let running = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        names.is_asked_over_udp(3).await;
        // What is found then is used: the old address is not there any more.
        names.change(Records::of([IpAddr::from([127, 0, 0, 2])], 1_000));
        names.is_asked_over_udp(4).await;
        request.answer(b"found");
        assert_eq!(response(running).await.message, "found");
        connection.closed_by_client().await;
    });
}

/// [NAME-49]
#[test]
fn this_machines_own_name_is_no_servers_business() {
    run(async {
        let (names, server) = (NameServer::start(Records::none(SERVER_FAILURE)).await, Server::start());
        let channel = channel(&names, "localhost", &server, &[]);
        is_served(&channel, &server).await;
    });
}

#[test]
fn the_systems_servers_are_asked_where_an_option_says_so() {
    run(async {
        let by_ttl = options(&[("linkspan.dns", "ttl".into())]);
        // Never there (RFC 6761 §6.4), so that it takes no server to say so; whole, so that no search domain completes it.
        let channel = Channel::new("nobody.invalid.:1", &Credentials::insecure(), &by_ttl).expect("a channel");
        let text = failure(call(&channel), Code::Unavailable).await.status().message().to_owned();
        // The system's resolver has other words for it.
        assert!(text.contains("/etc/resolv.conf") && !text.contains("EAI_"), "{text}");
    });
}

/// Asks for what DNS says of the name's config; the application's own lets no call pass.
fn asking_for_config() -> [(&'static str, OptionValue); 2] {
    let own = r#"{"methodConfig": [{"name": [{}], "maxRequestMessageBytes": 1}]}"#;
    [("grpc.service_config_disable_resolution", false.into()), ("grpc.service_config", own.into())]
}

/// Choices of which the one for this machine lets calls pass, in a text of several strings.
fn config_for_this_machine() -> String {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let hostname = hostname.trim();
    let elsewhere = format!(r#"["{}"]"#, "elsewhere".repeat(50));
    let own = r#"{"methodConfig": [{"name": [{}], "maxRequestMessageBytes": 1}]}"#;
    format!(
        r#"grpc_config=[{{"clientHostname": {elsewhere}, "serviceConfig": {own}}},
                        {{"clientHostname": ["{hostname}"], "serviceConfig": {{}}}}]"#
    )
}

/// [NAME-55], [NAME-56], [NAME-57], [TXT-1], [TXT-3]
#[test]
fn the_config_that_a_name_has_in_dns_holds_for_calls() {
    run(async {
        let server = Server::start();
        for (is_truncated, asked) in [(false, [1, 0]), (true, [1, 1])] {
            let records = Records { is_truncated, ..Records::of([HERE], 60) };
            let names = NameServer::start(records.with_config(Ok(config_for_this_machine()))).await;
            let channel = channel(&names, NAME, &server, &asking_for_config());
            is_served(&channel, &server).await;
            assert_eq!((names.asked(), names.asked_for_config()), (asked, asked));
        }
    });
}

/// [NAME-58], [NAME-59], [TXT-8]
#[test]
fn a_name_without_a_config_leaves_the_applications_and_a_wrong_one_is_told() {
    run(async {
        let server = Server::start();
        for (config, code, said) in [
            (Err(NO_SUCH_NAME), Code::ResourceExhausted, "larger than max (5 vs. 1)"),
            (Err(NO_ERROR), Code::ResourceExhausted, "larger than max (5 vs. 1)"),
            (Err(SERVER_FAILURE), Code::ResourceExhausted, "larger than max (5 vs. 1)"),
            (Ok("v=spf1 -all".to_owned()), Code::ResourceExhausted, "larger than max (5 vs. 1)"),
            (Ok("grpc_config={}".to_owned()), Code::Unavailable, "the TXT record: the config: an object is not a list"),
        ] {
            let names = NameServer::start(Records::of([HERE], 60).with_config(config)).await;
            let channel = channel(&names, NAME, &server, &asking_for_config());
            let text = failure(call(&channel), code).await.status().message().to_owned();
            assert!(text.contains(said), "{text}");
            assert!(names.asked_for_config()[0] > 0);
        }
    });
}

/// [NAME-57], [TXT-7]
#[test]
fn no_config_is_asked_for_unless_an_option_says_so() {
    run(async {
        let records = Records::of([HERE], 60).with_config(Ok("grpc_config={}".to_owned()));
        let (names, server) = (NameServer::start(records).await, Server::start());
        let channel = channel(&names, NAME, &server, &[]);
        is_served(&channel, &server).await;
        assert_eq!((names.asked(), names.asked_for_config()), ([1, 0], [0, 0]));
    });
}
