//! Processes that fork while an engine runs: the child goes on with what it inherited, and the parent notices nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use linkspan_core::{
    CallError, CallOptions, CallRequest, Channel, Code, Completion, CompletionQueue, Credentials, Engine, ErrorKind,
    Reply, Resolver, ResolverFactory, ResolverSender, ResolverTarget, ResolverUpdate, State, Waited,
    process_generation, process_has_forked,
};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::own_process::alone;
use crate::peer::client::{METHOD, call, channel, options, response};
use crate::peer::server::{Connection, Server};
use crate::peer::{GUARD, beside, run};

/// Forks, and has the child run `body` on a thread of its own, outside of what the parent's thread was in the middle of. In a child of
/// that thread no other thread's stack is there any more, so a body that forks again owns what it uses.
fn child(body: impl FnOnce() + Send) -> Pid {
    // SAFETY: this process forks nowhere else, and the child's copy of this thread only tells the engine and waits for its thread.
    match unsafe { fork() }.expect("a child") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            process_has_forked();
            let outcome = std::thread::scope(|scope| scope.spawn(|| catch_unwind(AssertUnwindSafe(body))).join());
            let is_good = matches!(outcome, Ok(Ok(())));
            // SAFETY: it ends the process and comes back never.
            unsafe { nix::libc::_exit(i32::from(!is_good)) }
        }
    }
}

/// Waits beside the test, which serves the child meanwhile.
async fn ends_well(child: Pid) {
    let ended = tokio::task::spawn_blocking(move || waitpid(child, None)).await.expect("no panic");
    assert_eq!(ended, Ok(WaitStatus::Exited(child, 0)), "what the child complained about is above");
}

/// Answers every request of every connection from now on.
fn serve(server: Server) {
    beside(async move {
        loop {
            let mut connection = server.accept().await;
            beside(async move {
                while let Some(request) = connection.next_request().await {
                    request.answer(b"served");
                }
            });
        }
    });
}

/// A whole call on whatever thread this is.
fn call_alone(channel: &Channel) {
    run(async {
        let answer = channel.unary(METHOD, "from the child", CallOptions::default()).await.expect("OK");
        assert_eq!(answer.message, "served");
    });
}

/// A call, answered on the connection the parent has.
async fn round_trip(channel: &Channel, connection: &mut Connection) {
    let call = call(channel);
    connection.request().await.answer(b"served");
    response(call).await;
}

/// What the system calls the socket with this local port.
fn socket_of(channel: &Channel) -> String {
    let local = channel.metrics().connections[0].local_address.clone().expect("a TCP connection");
    let port = local.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's connections");
    let line = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = line.into_iter().find(|line| line[1].ends_with(&format!(":{port:04X}"))).expect("our connection");
    format!("socket:[{}]", ours[9])
}

fn has_open(name: &str) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").expect("our descriptors").flatten();
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|target| target.to_string_lossy() == name)
}

/// [CONN-203]: the parent's threads for names are not there in the child.
#[test]
fn a_child_looks_names_up_on_threads_of_its_own() {
    alone("forks::a_child_looks_names_up_on_threads_of_its_own", "", || {
        run(async {
            let server = Server::start();
            let port = server.address().rsplit(':').next().expect("a port").to_owned();
            serve(server);
            let target = format!("dns:///localhost:{port}");
            let channel = Channel::new(&target, &Credentials::insecure(), &options(&[])).expect("a channel");
            // The thread that looked the name up stays for a second, and there is none of that kind in the child.
            response(call(&channel)).await;
            ends_well(child(|| call_alone(&channel))).await;
            response(call(&channel)).await;
        });
    });
}

/// [CONN-203]
#[test]
fn a_child_goes_on_with_its_own_connection_and_the_parent_with_its_own() {
    alone("forks::a_child_goes_on_with_its_own_connection_and_the_parent_with_its_own", "", || {
        run(async {
            let server = Server::start();
            let channel = channel(&server.address());
            let first = call(&channel);
            let mut connection = server.accept().await;
            connection.request().await.answer(b"served");
            response(first).await;

            // One running call in each of the two ways to wait for one.
            let queue = CompletionQueue::new(10);
            let request = CallRequest::new(METHOD);
            let by_queue = channel.start_unary(request, Reply::queue(&queue, 7)).expect("accepted");
            let mut by_future = Box::pin(channel.unary(METHOD, "hello", CallOptions::default()));
            assert!(by_future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let running = [connection.request().await, connection.request().await];
            let socket = socket_of(&channel);
            assert!(has_open(&socket));
            let last_event = channel.events(0).last().expect("it connected").seq;

            let child = child(|| {
                assert_eq!(process_generation(), 1);
                assert!(!has_open(&socket), "the parent's connection is open here");
                assert_eq!(channel.state(false), State::Idle);
                assert_eq!(channel.metrics().calls_started, 0);
                let events = channel.events(last_event);
                assert_eq!((events.len(), events[0].from, events[0].to), (1, State::Ready, State::Idle));

                let mut taken: Vec<Completion> = Vec::new();
                assert_eq!(queue.wait(&mut taken, 1, None), Waited::Forked);
                assert!(by_queue.is_ended() && by_queue.is_parents() && !by_queue.cancel(Code::Cancelled, "late"));
                let refused = channel.start_unary(CallRequest::new(METHOD), Reply::queue(&queue, 8));
                assert_eq!(refused.expect_err("the parent's queue").kind(), ErrorKind::Forked);
                let polled = by_future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                let Poll::Ready(Err(CallError::Rpc(failure))) = polled else { panic!("{polled:?}") };
                assert_eq!(failure.status().to_string(), "CANCELLED: Call cancelled in fork child");

                call_alone(&channel);
                assert_eq!((channel.metrics().connect_attempts, Engine::shared().metrics().calls_started), (1, 1));
            });
            let mut childs = server.accept().await;
            childs.request().await.answer(b"served");
            ends_well(child).await;

            for request in running {
                request.answer(b"late");
            }
            assert_eq!(by_future.await.expect("OK").message, "late");
            assert!(matches!(queue.wait(&mut Vec::new(), 1, Some(GUARD)), Waited::Ready(1)));
            round_trip(&channel, &mut connection).await;
            assert_eq!(channel.metrics().connect_attempts, 1);
        });
    });
}

/// A resolver that says its one address and keeps its sender, as a program does that tells its channels where to go.
struct Kept {
    address: String,
    senders: Mutex<Vec<ResolverSender>>,
}

struct Quiet;

impl Resolver for Quiet {}

impl ResolverFactory for Kept {
    fn start(&self, _: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        results.update(self.update());
        self.senders.lock().expect("whole").push(results);
        Ok(Box::new(Quiet))
    }
}

impl Kept {
    fn update(&self) -> ResolverUpdate {
        ResolverUpdate::of_each([self.address.parse().expect("an address")])
    }
}

/// [NAME-24]
#[test]
fn a_child_starts_resolvers_of_its_own_and_the_parents_say_nothing_there() {
    alone("forks::a_child_starts_resolvers_of_its_own_and_the_parents_say_nothing_there", "", || {
        run(async {
            let server = Server::start();
            let kept = Arc::new(Kept { address: server.address(), senders: Mutex::default() });
            let engine = Engine::shared();
            engine.register_resolver("kept", Arc::clone(&kept) as Arc<dyn ResolverFactory>).expect("a scheme");
            let channel = || Channel::new("kept:a", &Credentials::insecure(), &options(&[])).expect("a channel");
            let inherited = channel();
            let first = call(&inherited);
            let mut connection = server.accept().await;
            connection.request().await.answer(b"served");
            response(first).await;

            let parents = kept.senders.lock().expect("whole")[0].clone();
            let child = child(|| {
                assert!(parents.is_closed() && !parents.update(kept.update()) && !parents.error("unheard"));
                // One that was there and one that is made here.
                for channel in [&inherited, &channel()] {
                    call_alone(channel);
                }
                assert_eq!(kept.senders.lock().expect("whole").len(), 3);
                assert!(engine.register_resolver("kept", Arc::clone(&kept) as Arc<dyn ResolverFactory>).is_err());
            });
            for _ in 0..2 {
                let mut childs = server.accept().await;
                childs.request().await.answer(b"served");
                beside(async move { childs.next_request().await.is_none() });
            }
            ends_well(child).await;
            assert!(!parents.is_closed() && parents.update(kept.update()));
            round_trip(&inherited, &mut connection).await;
        });
    });
}

#[test]
fn a_childs_child_goes_on_too_and_what_was_closed_stays_closed() {
    alone("forks::a_childs_child_goes_on_too_and_what_was_closed_stays_closed", "", || {
        run(async {
            let server = Server::start();
            let (inherited, closed) = (channel(&server.address()), channel(&server.address()));
            let ended = Engine::new(linkspan_core::EngineOptions::default()).expect("an engine");
            ended.shutdown(None);
            serve(server);
            response(call(&inherited)).await;
            closed.close(None);

            let (for_child, for_grandchild) = (inherited.clone(), (inherited.clone(), closed, ended));
            let childs = child(move || {
                let inherited = for_child;
                call_alone(&inherited);
                let made_here = Channel::new(inherited.target(), &Credentials::insecure(), &options(&[]));
                let made_here = made_here.expect("a channel");
                call_alone(&made_here);
                let made_for_grandchild = made_here.clone();
                let grandchild = child(move || {
                    let ((inherited, closed, ended), made_here) = (for_grandchild, made_for_grandchild);
                    assert_eq!(process_generation(), 2);
                    call_alone(&inherited);
                    call_alone(&made_here);
                    assert_eq!(closed.state(true), State::Shutdown);
                    assert!(ended.is_shut_down() && ended.join(Some(Duration::ZERO)));
                });
                assert_eq!(waitpid(grandchild, None), Ok(WaitStatus::Exited(grandchild, 0)));
                call_alone(&made_here);
            });
            ends_well(childs).await;
            response(call(&inherited)).await;
        });
    });
}

#[test]
fn forks_under_traffic_leave_every_child_and_the_parent_working() {
    alone("forks::forks_under_traffic_leave_every_child_and_the_parent_working", "", || {
        run(async {
            let server = Server::start();
            let channel = channel(&server.address());
            serve(server);
            let traffic: Vec<_> = (0..16)
                .map(|_| {
                    let channel = channel.clone();
                    beside(async move {
                        while !channel.is_closed() {
                            response(call(&channel)).await;
                        }
                    })
                })
                .collect();
            for _ in 0..30 {
                // Some calls between two forks.
                response(call(&channel)).await;
                ends_well(child(|| call_alone(&channel))).await;
            }
            assert_eq!(channel.metrics().connect_attempts, 1);
            channel.close(None);
            for calls in traffic {
                calls.abort();
            }
        });
    });
}
