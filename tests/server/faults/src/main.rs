//! `test-server serve [--port N] [--name NAME]` or `test-server proxy --to HOST:PORT [--port N]`.
//!
//! The first line says `LISTENING 127.0.0.1:PORT`. Commands come on standard input; its end ends the program.
//!
//! `test-server certificates FOLDER` writes certificates and ends.

#![allow(clippy::print_stderr, reason = "a program talks to its reader")]

use std::fmt::Display;
use std::process::ExitCode;

use linkspan_faults::{certificates, control, proxy, server};

const USAGE: &str = "usage: test-server serve [--port N] [--name NAME] | test-server proxy --to HOST:PORT [--port N] \
    | test-server certificates FOLDER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, folder] = &*arguments
        && mode == "certificates"
    {
        return ended(certificates::write(folder.as_ref()));
    }
    let Some(arguments) = Arguments::read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    ended(runtime.and_then(|runtime| tokio::task::LocalSet::new().block_on(&runtime, run(arguments))))
}

fn ended(how: Result<(), impl Display>) -> ExitCode {
    match how {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("test-server: {cause}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> std::io::Result<()> {
    match arguments.to {
        None => {
            let server = server::Server::start(arguments.port, &arguments.name)?;
            control::obey(server.address(), async |command| server.obey(command).await).await
        }
        Some(to) => {
            let proxy = proxy::Proxy::start(arguments.port, to).await?;
            control::obey(proxy.address(), async |command| proxy.obey(command).await).await
        }
    }
}

struct Arguments {
    /// Where the proxy connects to; none for the server.
    to: Option<std::net::SocketAddr>,
    port: u16,
    name: String,
}

impl Arguments {
    fn read(arguments: &[String]) -> Option<Self> {
        let (mode, rest) = arguments.split_first()?;
        let mut read = Self { to: None, port: 0, name: "faults".to_owned() };
        for pair in rest.chunks(2) {
            match (pair.first()?.as_str(), pair.get(1)?) {
                ("--to", to) => read.to = Some(to.parse().ok()?),
                ("--port", port) => read.port = port.parse().ok()?,
                ("--name", name) => read.name.clone_from(name),
                _ => return None,
            }
        }
        ((mode == "proxy" && read.to.is_some()) || (mode == "serve" && read.to.is_none())).then_some(read)
    }
}
