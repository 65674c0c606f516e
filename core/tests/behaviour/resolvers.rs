//! Resolvers of the host's own: how they are registered, what calls make of what they say, and the examples, which must stay true.

use std::sync::{Arc, Mutex};

use linkspan_core::{
    Channel, ChannelOptions, Code, Credentials, Engine, EngineOptions, ErrorKind, Resolver, ResolverFactory,
    ResolverSender, ResolverTarget, ResolverUpdate, State,
};

use crate::peer::client::{becomes, call, failure, options, patient_call, response};
use crate::peer::run;
use crate::peer::server::Server;

mod consul;
mod file;

/// Says this address and this config, from a thread of its own.
struct Fixed {
    address: String,
    service_config: Option<String>,
    /// The targets it was started for.
    started: Mutex<Vec<String>>,
}

impl Fixed {
    fn at(address: &str, service_config: Option<&str>) -> Arc<Self> {
        let service_config = service_config.map(str::to_owned);
        Arc::new(Self { address: address.to_owned(), service_config, started: Mutex::default() })
    }
}

struct Silent;

impl Resolver for Silent {}

impl ResolverFactory for Fixed {
    fn start(&self, target: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        self.started.lock().expect("whole").push(target.text().to_owned());
        let endpoints = vec![vec![self.address.parse().expect("an address")]];
        let update = ResolverUpdate { endpoints, service_config: self.service_config.clone() };
        std::thread::spawn(move || results.update(update));
        Ok(Box::new(Silent))
    }
}

fn channel(engine: &Engine, target: &str, options: &ChannelOptions) -> Channel {
    Channel::on(engine, target, &Credentials::insecure(), options).expect("a channel")
}

/// [NAME-24]
#[test]
fn a_channels_own_resolver_counts_before_its_engines() {
    run(async {
        let (of_engine, of_channel) = (Server::start(), Server::start());
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        engine.register_resolver("Fixed", Fixed::at(&of_engine.address(), None)).expect("a scheme");
        let own = Fixed::at(&of_channel.address(), None);
        let mut with_own = ChannelOptions::new();
        with_own.add_resolver("fixed", Arc::clone(&own) as Arc<dyn ResolverFactory>).expect("a scheme");

        let channels = [("fixed:a", &ChannelOptions::new(), &of_engine), ("fixed://b/c?d", &with_own, &of_channel)];
        for (target, options, server) in channels {
            let channel = channel(&engine, target, options);
            assert_eq!((channel.target(), channel.canonical_target()), (target, target));
            let call = call(&channel);
            let mut connection = server.accept().await;
            connection.request().await.answer(b"");
            response(call).await;
        }
        assert_eq!(*own.started.lock().expect("whole"), ["fixed://b/c?d"]);
        // Another engine has none.
        let elsewhere = Channel::new("fixed://b/c", &Credentials::insecure(), &ChannelOptions::new());
        assert_eq!(elsewhere.expect_err("unknown").kind(), ErrorKind::BadTarget);
    });
}

/// [NAME-24]
#[test]
fn schemes_that_are_built_in_or_taken_are_refused() {
    let resolver = || Fixed::at("127.0.0.1:1", None);
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let mut options = ChannelOptions::new();
    assert_eq!(engine.register_resolver("dns", resolver()).expect_err("built in").kind(), ErrorKind::BadOption);
    assert_eq!(options.add_resolver("dns", resolver()).expect_err("built in").kind(), ErrorKind::BadOption);
    for _ in 0..2 {
        let _ = engine.register_resolver("mine", resolver());
        let _ = options.add_resolver("mine", resolver());
    }
    assert_eq!(engine.register_resolver("MINE", resolver()).expect_err("taken").kind(), ErrorKind::State);
    assert_eq!(options.add_resolver("MINE", resolver()).expect_err("taken").kind(), ErrorKind::State);
}

/// What the methods' config of a resolver says, on a channel that has another one of its own.
fn with_resolvers_config(server: &Server, fields: &str, own: &[(&str, linkspan_core::OptionValue)]) -> Channel {
    let config = format!(r#"{{"methodConfig": [{{"name": [{{}}], {fields}}}]}}"#);
    let own_config = r#"{"methodConfig": [{"name": [{}], "maxRequestMessageBytes": 1}]}"#;
    let set = [&[("grpc.service_config", own_config.into())], own].concat();
    let mut options = options(&set);
    options.add_resolver("fixed", Fixed::at(&server.address(), Some(&config))).expect("a scheme");
    channel(&Engine::shared(), "fixed:a", &options)
}

/// [SVC-4], [SVC-10], [SC-22], [SC-25]: the calls start before anything is known, on one address that refuses them at first.
#[test]
fn calls_wait_for_the_resolvers_config_which_replaces_the_applications() {
    run(async {
        let reserved = crate::peer::server::ReservedPort::new();
        let address = reserved.address();
        let config = r#"{"methodConfig": [{"name": [{}], "waitForReady": true, "timeout": "100s"}]}"#;
        let mut options = options(&[
            ("grpc.service_config", r#"{"methodConfig": [{"name": [{}], "maxRequestMessageBytes": 1}]}"#.into()),
            ("grpc.testing.fixed_reconnect_backoff_ms", 1.into()),
        ]);
        options.add_resolver("fixed", Fixed::at(&address, Some(config))).expect("a scheme");
        let channel = channel(&Engine::shared(), "fixed:a", &options);
        let call = call(&channel);
        becomes(&channel, State::TransientFailure).await;
        let server = reserved.listen();
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(request.message().await.expect("a message"), "hello");
        assert_eq!(request.header("grpc-timeout").len(), 1);
        request.answer(b"");
        response(call).await;
    });
}

/// [SC-23], [SVC-7]
#[test]
fn message_limits_of_the_resolvers_config_hold_for_its_first_calls() {
    run(async {
        let strict = with_resolvers_config(&Server::start(), r#""maxRequestMessageBytes": 4"#, &[]);
        failure(call(&strict), Code::ResourceExhausted).await;
        let server = Server::start();
        let channel = with_resolvers_config(&server, r#""maxRequestMessageBytes": 5"#, &[]);
        let call = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(call).await;
    });
}

/// [INV-7], [NAME-57]
#[test]
fn a_channel_may_refuse_what_its_resolver_says_of_configs() {
    run(async {
        let server = Server::start();
        let refuse = [("grpc.service_config_disable_resolution", true.into())];
        let channel = with_resolvers_config(&server, r#""maxRequestMessageBytes": 5"#, &refuse);
        // Its own holds.
        failure(patient_call(&channel), Code::ResourceExhausted).await;
    });
}
