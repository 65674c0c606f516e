//! The example that reads addresses from a file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use linkspan_core::{Channel, ChannelOptions, Code, Credentials, State};

use crate::peer::client::{becomes, call, failure, patient_call, response};
use crate::peer::server::{Connection, Server};
use crate::peer::{TemporaryFolder, run};

#[path = "../../../examples/file_resolver/resolver.rs"]
mod file_resolver;

fn channel(path: &Path) -> Channel {
    let mut options = ChannelOptions::new();
    options.add_resolver("file", Arc::new(file_resolver::FileResolver)).expect("a scheme");
    options.set("linkspan.lb_policy", "pick_first").expect("known");
    Channel::new(&format!("file:{}", path.display()), &Credentials::insecure(), &options).expect("a channel")
}

/// In one step, as a program does that others read from.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(new, path).expect("in place");
}

async fn served(connection: &mut Connection, channel: &Channel) {
    let call = call(channel);
    connection.request().await.answer(b"");
    response(call).await;
}

#[test]
fn the_file_is_followed_and_a_bad_one_changes_nothing() {
    run(async {
        let (folder, servers) = (TemporaryFolder::new(), [Server::start(), Server::start()]);
        let path = folder.path().join("servers");
        write(&path, &format!("# the first\n\n{} # of two\n", servers[0].address()));
        let channel = channel(&path);
        channel.state(true);
        let mut first = servers[0].accept().await;
        served(&mut first, &channel).await;

        write(&path, "10.0.0.1:no-port\n");
        // The channel knows of it, and the server of before still serves.
        while !channel.metrics().last_error.is_some_and(|error| error.contains("no-port")) {
            tokio::task::yield_now().await;
        }
        served(&mut first, &channel).await;
        write(&path, &format!("{}\n", servers[1].address()));
        // The channel leaves a server that is not listed any more.
        first.closed_by_client().await;
        let call = call(&channel);
        let mut second = servers[1].accept().await;
        second.request().await.answer(b"");
        response(call).await;
    });
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_is_found_when_it_is() {
    run(async {
        let (folder, server) = (TemporaryFolder::new(), Server::start());
        let path = folder.path().join("servers");
        let channel = channel(&path);
        let failed = failure(call(&channel), Code::Unavailable).await;
        assert!(failed.to_string().contains("servers: No such file"), "{failed}");
        becomes(&channel, State::TransientFailure).await;
        let call = patient_call(&channel);
        write(&path, &server.address());
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(call).await;
    });
}
