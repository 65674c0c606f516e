//! The workloads, once for every Rust client: callers are tasks on the one thread that also moves the connection.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Answer, Command, NoAnswer, Server, Window, resident_bytes};

/// A library that is measured.
pub trait Library: 'static {
    /// A channel of it.
    type Channel: Channel;

    /// Opens a channel to an address; with the PEM of who issued the server's certificate, under TLS.
    fn open(&self, address: &str, ca: Option<&str>) -> impl Future<Output = Result<Self::Channel, String>>;

    /// Opens a channel over several addresses, if the library has such.
    fn open_over(&self, addresses: &[String]) -> impl Future<Output = Result<Self::Channel, NoAnswer>> {
        async move { Err(NoAnswer::Unsupported(format!("one address a channel, not {}", addresses.len()))) }
    }

    /// Opens a channel whose connection is pinged after so long a silence, with calls or without, if the library does that.
    fn open_kept_alive(
        &self,
        _address: &str,
        _after: Duration,
    ) -> impl Future<Output = Result<Self::Channel, NoAnswer>> {
        async { Err(NoAnswer::Unsupported("no keepalive".to_owned())) }
    }

    /// Runs a task beside the others, on the thread that moves the connections.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        #[expect(clippy::disallowed_methods, reason = "a caller of the engine, not a room of it")]
        tokio::task::spawn_local(task);
    }

    /// Connects without a call.
    fn connect(&self, channel: &Self::Channel) -> impl Future<Output = Result<(), String>>;
}

/// What calls are made on.
pub trait Channel: Clone + 'static {
    /// The sending half of a stream.
    type Outgoing: Outgoing;
    /// The receiving half of a stream.
    type Incoming: Incoming;

    /// A unary call; the length of its answer once its status was looked at.
    fn unary(&self, message: Bytes) -> impl Future<Output = Result<usize, String>>;

    /// A bidirectional stream.
    fn stream(&self) -> impl Future<Output = Result<(Self::Outgoing, Self::Incoming), String>>;
}

/// The sending half of a stream.
pub trait Outgoing: 'static {
    /// Sends a message when the library takes it; `is_last` half-closes.
    fn send(&mut self, message: Bytes, is_last: bool) -> impl Future<Output = Result<(), String>>;
}

/// The receiving half of a stream.
pub trait Incoming: 'static {
    /// The length of the next message; `None` when the stream ended OK.
    fn message(&mut self) -> impl Future<Output = Result<Option<usize>, String>>;
}

/// A library with the channels it keeps between commands.
pub struct Bench<L: Library> {
    library: L,
    server: Server,
    echo: RefCell<Option<L::Channel>>,
    stream: RefCell<Option<L::Channel>>,
    tls: RefCell<Option<L::Channel>>,
}

impl<L: Library> Bench<L> {
    /// Nothing is opened yet.
    pub fn new(library: L, server: Server) -> Self {
        Self { library, server, echo: RefCell::default(), stream: RefCell::default(), tls: RefCell::default() }
    }

    /// Obeys a command, on a `LocalSet`.
    ///
    /// # Errors
    /// Something came back wrong, or the library has no such thing.
    pub async fn obey(&self, command: &Command) -> Result<Answer, NoAnswer> {
        let message = Bytes::from(vec![b'x'; command.size]);
        match command.workload.as_str() {
            "unary" => Ok(self.run(command, callers(&self.echo().await?, command, &message)).await?),
            "unary_tls" => Ok(self.run(command, callers(&self.tls().await?, command, &message)).await?),
            "pick" => {
                let addresses: Vec<_> = std::iter::once(self.server.echo.clone())
                    .chain(
                        (1..command.addresses)
                            .map(|number| format!("127.0.{}.{}:9", 1 + number / 250, 1 + number % 250)),
                    )
                    .collect();
                let channel = self.library.open_over(&addresses).await?;
                Ok(self.run(command, callers(&channel, command, &message)).await?)
            }
            "server_stream" => {
                let channel = self.stream().await?;
                let messages = command.messages;
                Ok(self.run(command, vec![caller(move |tally| server_stream(channel, messages, tally))]).await?)
            }
            "ping_pong" => {
                let channel = self.echo().await?;
                Ok(self.run(command, vec![caller(move |tally| ping_pong(channel, message, tally))]).await?)
            }
            "blast" => {
                let channel = self.echo().await?;
                let messages = command.messages;
                let blast = caller(move |tally| blast(channel, message, messages, tally));
                Ok(self.run(command, vec![blast]).await?)
            }
            "memory" => self.memory(command, message).await,
            "idle" => self.idle(command).await,
            other => Err(NoAnswer::Unsupported(format!("no {other} here"))),
        }
    }

    async fn echo(&self) -> Result<L::Channel, String> {
        self.kept(&self.echo, &self.server.echo, None).await
    }

    async fn stream(&self) -> Result<L::Channel, String> {
        self.kept(&self.stream, &self.server.stream, None).await
    }

    async fn tls(&self) -> Result<L::Channel, String> {
        let ca = std::fs::read_to_string(&self.server.ca).map_err(|cause| cause.to_string())?;
        self.kept(&self.tls, &self.server.tls, Some(&ca)).await
    }

    async fn kept(
        &self,
        place: &RefCell<Option<L::Channel>>,
        address: &str,
        ca: Option<&str>,
    ) -> Result<L::Channel, String> {
        let kept = place.borrow().clone();
        if let Some(channel) = kept {
            return Ok(channel);
        }
        let channel = self.library.open(address, ca).await?;
        *place.borrow_mut() = Some(channel.clone());
        Ok(channel)
    }

    /// Runs callers, each a task, and looks at them for the time the command says.
    async fn run(&self, command: &Command, callers: Vec<Caller>) -> Result<Answer, String> {
        let tally = Rc::new(Tally::default());
        let ended: Vec<_> = callers.into_iter().map(|make| self.beside(make(Rc::clone(&tally)))).collect();
        sleep(command.warmup_s).await;
        let window = Window::open(tally.operations.get())?;
        sleep(command.seconds).await;
        let answer = window.close(tally.operations.get())?;
        tally.is_over.set(true);
        for ended in ended {
            ended.await?;
        }
        Ok(answer)
    }

    /// Runs a task beside this one; the future is its outcome.
    fn beside<T: 'static>(
        &self,
        task: impl Future<Output = Result<T, String>> + 'static,
    ) -> Pin<Box<dyn Future<Output = Result<T, String>>>> {
        let (told, outcome) = oneshot::channel();
        self.library.spawn(async move {
            let _ = told.send(task.await);
        });
        Box::pin(async { outcome.await.map_err(|_| "a caller panicked".to_owned())? })
    }

    async fn memory(&self, command: &Command, message: Bytes) -> Result<Answer, NoAnswer> {
        let (before, window) = (resident_bytes()?, Window::open(0)?);
        let mut channels = Vec::with_capacity(command.channels);
        for _ in 0..command.channels {
            let channel = self.library.open(&self.server.echo, None).await?;
            check(channel.unary(message.clone()).await?, message.len())?;
            channels.push(channel);
        }
        let bytes = Some(resident_bytes()? - before);
        Ok(Answer { bytes, ..window.close(channels.len() as u64)? })
    }

    async fn idle(&self, command: &Command) -> Result<Answer, NoAnswer> {
        let (before, opening) = (resident_bytes()?, Window::open(0)?);
        let mut channels = Vec::with_capacity(command.channels);
        for _ in 0..command.channels {
            let channel = match command.keepalive_s.map(Duration::from_secs_f64) {
                None => self.library.open(&self.server.echo, None).await?,
                Some(after) => self.library.open_kept_alive(&self.server.echo, after).await?,
            };
            self.library.connect(&channel).await?;
            channels.push(channel);
        }
        let bytes = Some(resident_bytes()? - before);
        let open_s = Some(opening.close(0)?.wall_s);
        let quiet = Window::open(0)?;
        sleep(command.seconds).await;
        Ok(Answer { bytes, open_s, ..quiet.close(channels.len() as u64)? })
    }
}

/// What the callers count, and whether they may go on.
#[derive(Default)]
pub struct Tally {
    operations: Cell<u64>,
    is_over: Cell<bool>,
}

impl Tally {
    fn one_more(&self) {
        self.operations.set(self.operations.get() + 1);
    }
}

type Caller = Box<dyn FnOnce(Rc<Tally>) -> Pin<Box<dyn Future<Output = Result<(), String>>>>>;

fn caller<F: Future<Output = Result<(), String>> + 'static>(make: impl FnOnce(Rc<Tally>) -> F + 'static) -> Caller {
    Box::new(move |tally| Box::pin(make(tally)))
}

fn callers<C: Channel>(channel: &C, command: &Command, message: &Bytes) -> Vec<Caller> {
    (0..command.in_flight)
        .map(|_| {
            let (channel, message) = (channel.clone(), message.clone());
            caller(move |tally| unary(channel, message, tally))
        })
        .collect()
}

async fn sleep(seconds: f64) {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, not a room of the engine")]
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

async fn unary<C: Channel>(channel: C, message: Bytes, tally: Rc<Tally>) -> Result<(), String> {
    while !tally.is_over.get() {
        check(channel.unary(message.clone()).await?, message.len())?;
        tally.one_more();
    }
    Ok(())
}

async fn server_stream<C: Channel>(channel: C, messages: u64, tally: Rc<Tally>) -> Result<(), String> {
    let request = Bytes::from(messages.to_string());
    while !tally.is_over.get() {
        let (mut outgoing, mut incoming) = channel.stream().await?;
        outgoing.send(request.clone(), true).await?;
        let mut received = 0;
        while let Some(length) = incoming.message().await? {
            check(length, 64)?;
            received += 1;
            tally.one_more();
            if tally.is_over.get() {
                return Ok(());
            }
        }
        if received != messages {
            return Err(format!("{received} messages came instead of {messages}"));
        }
    }
    Ok(())
}

async fn ping_pong<C: Channel>(channel: C, message: Bytes, tally: Rc<Tally>) -> Result<(), String> {
    let (mut outgoing, mut incoming) = channel.stream().await?;
    while !tally.is_over.get() {
        outgoing.send(message.clone(), false).await?;
        check(incoming.message().await?.ok_or("the stream ended early")?, message.len())?;
        tally.one_more();
    }
    Ok(())
}

async fn blast<C: Channel>(channel: C, message: Bytes, messages: u64, tally: Rc<Tally>) -> Result<(), String> {
    while !tally.is_over.get() {
        let (mut outgoing, mut incoming) = channel.stream().await?;
        let sending = async {
            for number in 1..=messages {
                outgoing.send(message.clone(), number == messages).await?;
            }
            Ok::<_, String>(())
        };
        let receiving = async {
            let mut received = 0;
            while let Some(length) = incoming.message().await? {
                check(length, message.len())?;
                received += 1;
                tally.one_more();
            }
            Ok::<_, String>(received)
        };
        let (sent, received) = tokio::join!(sending, receiving);
        sent?;
        let received = received?;
        if received != messages {
            return Err(format!("{received} messages came back instead of {messages}"));
        }
    }
    Ok(())
}

fn check(length: usize, wanted: usize) -> Result<(), String> {
    if length == wanted { Ok(()) } else { Err(format!("{length} bytes came back instead of {wanted}")) }
}
