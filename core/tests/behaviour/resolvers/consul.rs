//! The example that asks a Consul agent, and an agent whose every answer the test decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use linkspan_core::{Channel, ChannelOptions, Code, Credentials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::peer::client::{call, failure, patient_call, response};
use crate::peer::run;
use crate::peer::server::Server;

#[path = "../../../examples/consul_resolver/resolver.rs"]
mod consul_resolver;

fn channel(agent: &Server, query: &str) -> Channel {
    channel_to(agent, &format!("web{query}"))
}

fn channel_to(agent: &Server, service: &str) -> Channel {
    let mut options = ChannelOptions::new();
    options.add_resolver("consul", Arc::new(consul_resolver::ConsulResolver)).expect("a scheme");
    options.set("linkspan.lb_policy", "pick_first").expect("known");
    let target = format!("consul://{}/{service}", agent.address());
    Channel::new(&target, &Credentials::insecure(), &options).expect("a channel")
}

/// A query the agent has been sent and has not answered.
struct Query {
    stream: TcpStream,
    /// What was asked for.
    path: String,
}

async fn asked(agent: &Server) -> Query {
    let mut stream = agent.accept_stream().await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("more of the head"));
    }
    let head = String::from_utf8(head).expect("text");
    let path = head.split(' ').nth(1).expect("a path").to_owned();
    Query { stream, path }
}

impl Query {
    async fn answer(mut self, status: &str, index: u64, body: &str) {
        let head = format!("HTTP/1.0 {status}\r\nX-Consul-Index: {index}\r\nContent-Type: application/json\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.expect("sent");
        self.stream.write_all(body.as_bytes()).await.expect("sent");
        self.stream.shutdown().await.expect("the end said");
    }

    /// These servers are healthy: some by their own address, others by their node's.
    async fn lists(self, index: u64, servers: &[&Server]) {
        let instance = |(number, server): (usize, &&Server)| {
            let (host, port) = server
                .address()
                .rsplit_once(':')
                .map(|(host, port)| (host.to_owned(), port.to_owned()))
                .expect("a port");
            let (node, own) = if number % 2 == 0 { (host, String::new()) } else { ("10.255.0.1".to_owned(), host) };
            format!(
                r#"{{"Node": {{"Address": "{node}"}}, "Service": {{"Address": "{own}", "Port": {port}}}, "Checks": []}}"#
            )
        };
        let list: Vec<String> = servers.iter().enumerate().map(instance).collect();
        self.answer("200 OK", index, &format!("[{}]", list.join(","))).await;
    }
}

#[test]
fn a_change_is_followed_when_the_agent_tells_it() {
    run(async {
        let (agent, one, two) = (Server::start(), Server::start(), Server::start());
        let channel = channel(&agent, "?dc=east");
        let first_call = call(&channel);
        let first = asked(&agent).await;
        assert_eq!(first.path, "/v1/health/service/web?passing&dc=east");
        first.lists(7, &[&one]).await;
        let mut at_one = one.accept().await;
        at_one.request().await.answer(b"");
        response(first_call).await;

        let waiting = asked(&agent).await;
        assert_eq!(waiting.path, "/v1/health/service/web?passing&index=7&wait=30s&dc=east");
        waiting.lists(9, &[&two, &one]).await;
        // Still listed, so the call stays where the connection is.
        let next = asked(&agent).await;
        assert!(next.path.contains("&index=9&"), "{}", next.path);
        let call_again = call(&channel);
        at_one.request().await.answer(b"");
        response(call_again).await;

        next.lists(10, &[&two]).await;
        at_one.closed_by_client().await;
        let moved = call(&channel);
        let mut at_two = two.accept().await;
        at_two.request().await.answer(b"");
        response(moved).await;
    });
}

#[test]
fn an_index_that_goes_back_is_forgotten_and_zero_is_none() {
    run(async {
        let (agent, server) = (Server::start(), Server::start());
        let channel = channel(&agent, "");
        channel.state(true);
        let mut query = asked(&agent).await;
        for (index, next) in
            [(50, "&index=50&wait=30s"), (3, ""), (3, "&index=3&wait=30s"), (0, ""), (0, "&index=1&wait=30s")]
        {
            query.lists(index, &[&server]).await;
            query = asked(&agent).await;
            assert_eq!(query.path, format!("/v1/health/service/web?passing{next}"), "after {index}");
        }
    });
}

#[test]
fn an_agent_that_does_not_wait_is_asked_twice_a_second_at_most() {
    run(async {
        let (agent, server) = (Server::start(), Server::start());
        let channel = channel(&agent, "");
        channel.state(true);
        asked(&agent).await.lists(1, &[&server]).await;
        let began = Instant::now();
        for index in 2..=4 {
            asked(&agent).await.lists(index, &[&server]).await;
        }
        // The first pause may have begun before.
        assert!(began.elapsed() > Duration::from_millis(1_000), "{:?}", began.elapsed());
    });
}

#[test]
fn what_is_no_services_name_is_not_put_into_a_query() {
    run(async {
        let agent = Server::start();
        for service in ["web/../../kv/secret", "web%20HTTP/1.0", ""] {
            let failed = failure(call(&channel_to(&agent, service)), Code::Unavailable).await;
            assert!(failed.to_string().contains("a service's name has letters, digits, '.', '_' and '-'"), "{failed}");
        }
    });
}

#[test]
fn an_agent_that_fails_is_asked_again_and_what_it_has_said_stays() {
    run(async {
        let (agent, server) = (Server::start(), Server::start());
        let channel = channel(&agent, "");
        let failing = call(&channel);
        asked(&agent).await.answer("500 Internal Server Error", 1, "rpc error").await;
        let failed = failure(failing, Code::Unavailable).await;
        assert!(failed.to_string().contains("it answered \"HTTP/1.0 500 Internal Server Error\""), "{failed}");

        let waiting = patient_call(&channel);
        asked(&agent).await.lists(5, &[&server]).await;
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(waiting).await;

        asked(&agent).await.answer("200 OK", 6, "no list").await;
        let query = asked(&agent).await;
        let call = call(&channel);
        connection.request().await.answer(b"");
        response(call).await;
        drop(query);
    });
}

#[test]
fn a_query_that_waits_is_given_up_when_the_channel_is_closed() {
    run(async {
        let (agent, server) = (Server::start(), Server::start());
        let channel = channel(&agent, "");
        channel.state(true);
        asked(&agent).await.lists(5, &[&server]).await;
        let mut waiting = asked(&agent).await;
        channel.close(None);
        assert_eq!(waiting.stream.read(&mut [0]).await.expect("the end"), 0);
    });
}
