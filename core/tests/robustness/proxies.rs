//! Proxies the environment names. It is the process's, so each test has its own.

use std::sync::mpsc::sync_channel;

use linkspan_core::{Channel, ChannelOptions, Code, Credentials, LogLevel, set_logger};

use crate::own_process::alone;
use crate::peer::client::{call, failure};
use crate::peer::run;

/// The variables a machine may bring. What comes after is for the test.
const UNSET: &str = "unset grpc_proxy https_proxy http_proxy no_grpc_proxy no_proxy GRPC_ADDRESS_HTTP_PROXY GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES;";

/// How a call to this name fails where nobody is a proxy.
async fn told(target: &str) -> String {
    let channel = Channel::new(target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
    failure(call(&channel), Code::Unavailable).await.status().message().to_owned()
}

/// [CONN-170], [CONN-173], [CONN-190]
#[test]
fn a_channel_uses_the_proxy_of_the_environment_it_is_made_in() {
    let set = "export grpc_proxy=http://user:secret@127.0.0.1:1 http_proxy=http://127.0.0.1:2 no_proxy=direct.invalid;";
    let environment = format!("{UNSET} {set}");
    alone("proxies::a_channel_uses_the_proxy_of_the_environment_it_is_made_in", &environment, || {
        run(async {
            let text = told("svc.invalid:5").await;
            let wanted = "svc.invalid:5 via proxy 127.0.0.1:1: the proxy cannot be reached: Connection refused";
            assert!(text.contains(wanted) && !text.contains("secret"), "{text}");
            let text = told("under.direct.invalid:5").await;
            assert!(text.starts_with("DNS resolution failed for under.direct.invalid:5"), "{text}");
        });
    });
}

/// [CONN-172]
#[test]
fn a_proxy_of_the_environment_that_cannot_be_used_is_warned_about_once_and_passed_over() {
    let environment =
        format!("{UNSET} export https_proxy=https://user:secret@127.0.0.1:1 http_proxy=http://127.0.0.1:2;");
    let test = "proxies::a_proxy_of_the_environment_that_cannot_be_used_is_warned_about_once_and_passed_over";
    alone(test, &environment, || {
        let (sender, warnings) = sync_channel(100);
        set_logger(Some(Box::new(move |level, _, text| {
            if level <= LogLevel::Warn {
                sender.send(text.to_owned()).expect("the test reads along");
            }
        })));
        run(async {
            for _ in 0..2 {
                let text = told("svc.invalid:5").await;
                assert!(text.starts_with("DNS resolution failed for svc.invalid:5"), "{text}");
            }
        });
        let told: Vec<_> = warnings.try_iter().filter(|line| line.contains("_proxy")).collect();
        let wanted = "the environment variable https_proxy has the scheme https; only http proxies can be used, write \"http://host:port\"; it has no effect";
        assert_eq!(told, [wanted]);
    });
}
