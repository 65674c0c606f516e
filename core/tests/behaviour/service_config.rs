//! What a channel's service config makes of its calls and connections.

use linkspan_core::{Channel, Credentials, ErrorKind};

use crate::peer::client::{channel_with, options};
use crate::peer::run;
use crate::peer::server::Server;

/// A channel with this service config, that keeps one connection unless the config says otherwise.
fn configured(addresses: &str, config: &str) -> Channel {
    let set = [
        ("grpc.service_config", config.into()),
        ("linkspan.lb_policy", "pick_first".into()),
        ("grpc.testing.fixed_reconnect_backoff_ms", 1.into()),
    ];
    channel_with(addresses, &set)
}

/// [SC-33]
#[test]
fn the_configs_balancing_policy_wins_over_the_option() {
    run(async {
        for config in [
            r#"{"loadBalancingConfig": [{"no_such_policy": {}}, {"round_robin": {}}]}"#,
            r#"{"loadBalancingPolicy": "ROUND_ROBIN"}"#,
        ] {
            let servers = [Server::start(), Server::start()];
            let channel = configured(&format!("{},{}", servers[0].address(), servers[1].address()), config);
            channel.state(true);
            // pick_first would dial the second only after the first has failed or taken long.
            let _connections = [servers[0].accept().await, servers[1].accept().await];
            while channel.metrics().connections.len() < 2 {
                tokio::task::yield_now().await;
            }
        }
    });
}

/// [INV-06], [SC-08]
#[test]
fn a_channel_is_not_made_with_a_wrong_config_and_every_mistake_is_told() {
    let refused = |config: &str| {
        let options = options(&[("grpc.service_config", config.into())]);
        Channel::new("ipv4:127.0.0.1:1", &Credentials::insecure(), &options).expect_err(config)
    };
    let error = refused(r#"{"loadBalancingPolicy": "no_such", "methodConfig": [{"name": [{}], "timeout": "5"}]}"#);
    assert_eq!(error.kind(), ErrorKind::BadOption);
    let wanted = [
        "option \"grpc.service_config\" cannot be used: 2 mistakes",
        "loadBalancingPolicy: \"no_such\" is not known; it may be \"pick_first\" or \"round_robin\"",
        "methodConfig[0].timeout: \"5\" has no \"s\"; write for example \"5s\"",
    ];
    assert_eq!(error.message(), wanted.join("\n  "));
    assert_eq!(
        refused("").message(),
        "option \"grpc.service_config\" cannot be used: the text is empty; a config without settings is {}"
    );
}
