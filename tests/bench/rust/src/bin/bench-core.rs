//! linkspan's core: `--loop` with the callers as tasks on the engine's loop, `--queue` with a caller on another thread that
//! takes completions out of a queue.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use linkspan_bench::client::workloads::{self, Bench, Incoming, Library, Outgoing};
use linkspan_bench::client::{Answer, Command, Failure, NoAnswer, Server, Window, arguments, obey};
use linkspan_core::{
    CallOptions, CallRequest, Channel, ChannelOptions, Completion, CompletionQueue, Credentials, Engine, Event,
    LoopChannel, OnLoop, OptionValue, Reply, Roots, State, StreamReceiver, StreamSender, TlsOptions, Waited,
};

const METHOD: &str = "/linkspan.bench.Echo/Unary";

fn main() -> Result<(), Failure> {
    let (own, server) = arguments()?;
    match own.first().map(String::as_str) {
        Some("--loop") => on_loop(server),
        Some("--queue") => by_queue(&server),
        _ => Err("say --loop or --queue".into()),
    }
}

fn on_loop(server: Server) -> Result<(), Failure> {
    // Commands go to the loop, answers come back; the callers never leave it.
    let (commands, commands_taken) = sync_channel::<Command>(1);
    let (answers, answers_taken) = sync_channel(1);
    let (bell, rung) = tokio::sync::mpsc::channel::<()>(1);
    Engine::shared().run_on_loop(move |on_loop| async move {
        let bench = Bench::new(Core(on_loop), server);
        let mut rung = rung;
        while rung.recv().await.is_some() {
            let Ok(command) = commands_taken.try_recv() else { continue };
            let _ = answers.send(bench.obey(&command).await);
        }
    })?;
    obey("linkspan core, caller on the loop", env!("CARGO_PKG_VERSION"), |command| {
        let gone = |what: String| NoAnswer::Error(format!("the loop has gone: {what}"));
        commands.send(command).map_err(|cause| gone(cause.to_string()))?;
        bell.blocking_send(()).map_err(|cause| gone(cause.to_string()))?;
        answers_taken.recv().map_err(|cause| gone(cause.to_string()))?
    })
}

struct Core(OnLoop);

#[derive(Clone)]
struct OnLoopChannel(LoopChannel);

fn open(target: &str, ca: Option<&str>, more_options: &[(&str, i64)]) -> Result<Channel, String> {
    let credentials = match ca {
        None => Ok(Credentials::insecure()),
        Some(ca) => Credentials::tls(TlsOptions { roots: Roots::Pem(ca.into()), ..TlsOptions::default() }),
    };
    let credentials = credentials.map_err(|error| error.to_string())?;
    let mut options = ChannelOptions::new();
    for (key, value) in [("grpc.max_receive_message_length", -1)].iter().chain(more_options) {
        options.set(key, OptionValue::from(*value)).map_err(|error| error.to_string())?;
    }
    Channel::new(target, &credentials, &options).map_err(|error| error.to_string())
}

fn target(address: &str) -> String {
    address.replace("127.0.0.1", "localhost")
}

impl Library for Core {
    type Channel = OnLoopChannel;

    async fn open(&self, address: &str, ca: Option<&str>) -> Result<OnLoopChannel, String> {
        let target = if ca.is_some() { target(address) } else { format!("ipv4:{address}") };
        let channel = self.0.channel(&open(&target, ca, &[])?).map_err(|error| error.to_string())?;
        Ok(OnLoopChannel(channel))
    }

    async fn open_over(&self, addresses: &[String]) -> Result<OnLoopChannel, NoAnswer> {
        let channel = open(&format!("ipv4:{}", addresses.join(",")), None, &[])?;
        let channel = self.0.channel(&channel).map_err(|error| NoAnswer::Error(error.to_string()))?;
        Ok(OnLoopChannel(channel))
    }

    async fn open_kept_alive(&self, address: &str, after: Duration) -> Result<OnLoopChannel, NoAnswer> {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let keepalive = [("grpc.keepalive_time_ms", after), ("grpc.keepalive_permit_without_calls", 1)];
        let channel = open(&format!("ipv4:{address}"), None, &keepalive)?;
        let channel = self.0.channel(&channel).map_err(|error| NoAnswer::Error(error.to_string()))?;
        Ok(OnLoopChannel(channel))
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.spawn(task);
    }

    async fn connect(&self, channel: &OnLoopChannel) -> Result<(), String> {
        let channel = channel.0.channel();
        let mut state = channel.state(true);
        while state != State::Ready {
            let (changed, is_changed) = tokio::sync::oneshot::channel();
            let changed = std::sync::Mutex::new(Some(changed));
            let reply = Reply::callback(move |_| {
                let changed = changed.lock().ok().and_then(|mut changed| changed.take());
                let _ = changed.map(|changed| changed.send(()));
            });
            channel.watch(state, Some(Duration::from_secs(10)), reply).map_err(|error| error.to_string())?;
            let _ = is_changed.await;
            if channel.state(false) == state {
                return Err(format!("still {state} after 10 s"));
            }
            state = channel.state(true);
        }
        Ok(())
    }
}

impl workloads::Channel for OnLoopChannel {
    type Outgoing = Requests;
    type Incoming = Answers;

    async fn unary(&self, message: Bytes) -> Result<usize, String> {
        let answer = self.0.unary(METHOD, message, CallOptions::default()).await;
        answer.map(|answer| answer.message.len()).map_err(|failure| failure.to_string())
    }

    async fn stream(&self) -> Result<(Requests, Answers), String> {
        let call = self.0.channel().stream(METHOD, CallOptions::default()).map_err(|error| error.to_string())?;
        let (requests, answers) = call.split();
        Ok((Requests(requests), Answers(answers)))
    }
}

struct Requests(StreamSender);

impl Outgoing for Requests {
    async fn send(&mut self, message: Bytes, is_last: bool) -> Result<(), String> {
        self.0.send(message).await.map_err(|refused| format!("{refused:?}"))?;
        if is_last {
            self.0.close_send();
        }
        Ok(())
    }
}

struct Answers(StreamReceiver);

impl Incoming for Answers {
    async fn message(&mut self) -> Result<Option<usize>, String> {
        let message = self.0.message().await.map_err(|failure| failure.to_string())?;
        Ok(message.map(|message| message.len()))
    }
}

fn by_queue(server: &Server) -> Result<(), Failure> {
    let caller =
        Caller { channel: open(&format!("ipv4:{}", server.echo), None, &[])?, queue: CompletionQueue::new(1_024) };
    obey("linkspan core, caller on a thread of its own", env!("CARGO_PKG_VERSION"), |command| {
        if command.workload != "unary" {
            return Err(NoAnswer::Unsupported(format!("{} is measured on the loop", command.workload)));
        }
        Ok(caller.unary(&command)?)
    })
}

/// Keeps calls running from one thread, by one queue.
struct Caller {
    channel: Channel,
    queue: std::sync::Arc<CompletionQueue>,
}

impl Caller {
    fn unary(&self, command: &Command) -> Result<Answer, String> {
        let message = Bytes::from(vec![b'x'; command.size]);
        for _ in 0..command.in_flight {
            self.start(&message)?;
        }
        let length = Duration::from_secs_f64(command.seconds);
        let warm_up = Window::open(0)?;
        let (mut done, mut running) = (0, command.in_flight);
        let mut window = None;
        let mut answer = None;
        let mut taken = Vec::new();
        while running > 0 {
            let waited = self.queue.wait(&mut taken, 1_024, Some(Duration::from_secs(10)));
            if !matches!(waited, Waited::Ready(_)) {
                return Err(format!("nothing completed in 10 s: {waited:?}"));
            }
            for Completion { event, .. } in taken.drain(..) {
                check(&event, message.len())?;
                done += 1;
                if answer.is_some() {
                    running -= 1;
                } else {
                    self.start(&message)?;
                }
            }
            match &window {
                None if warm_up.is_older_than(Duration::from_secs_f64(command.warmup_s)) => {
                    window = Some(Window::open(done)?)
                }
                Some(open) if answer.is_none() && open.is_older_than(length) => {
                    answer = window.take().map(|window| window.close(done)).transpose()?;
                    window = Some(Window::open(done)?);
                }
                _ => {}
            }
        }
        answer.ok_or_else(|| "the window never closed".to_owned())
    }

    fn start(&self, message: &Bytes) -> Result<(), String> {
        let request = CallRequest { message: Some(message.clone()), ..CallRequest::new(METHOD) };
        let started = self.channel.start_unary(request, Reply::queue(&self.queue, 0));
        started.map(drop).map_err(|error| error.to_string())
    }
}

fn check(event: &Event, wanted: usize) -> Result<(), String> {
    match event {
        Event::Unary(end) if end.message.as_ref().is_some_and(|message| message.len() == wanted) => Ok(()),
        other => Err(format!("a call ended otherwise: {other:?}")),
    }
}
