use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::runtime::Task as _;

const SECOND: Duration = Duration::from_secs(1);

fn host() -> Address {
    Address::Inet(SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 1)))
}

fn at(seconds: u64) -> Time {
    Time::from_start(SECOND * u32::try_from(seconds).expect("small"))
}

/// Runs a world and hands out what its body made.
fn run<T: 'static, F: Future<Output = T> + 'static>(seed: u64, body: impl FnOnce(SimulatedDriver) -> F) -> T {
    let made = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&made);
    let outcome = SimulatedDriver::run(seed, |driver| {
        let body = body(driver);
        async move {
            let value = body.await;
            *slot.borrow_mut() = Some(value);
        }
    });
    outcome.expect("an end");
    made.take().expect("made")
}

/// A path that takes 10 ms and does nothing else.
fn plain() -> Path {
    Path { latency: Duration::from_millis(10), jitter: Duration::ZERO, ..Path::default() }
}

async fn pair(driver: &SimulatedDriver, path: Path) -> (SimulatedSocket, SimulatedSocket, Listener) {
    driver.network().set_path(&host(), path);
    let listener = driver.network().listen(&host());
    let client = driver.connect(&host(), SocketOptions::default()).await.expect("open");
    let server = listener.accept().await;
    (client, server, listener)
}

#[test]
fn time_moves_only_to_timers_and_only_when_nothing_is_ready() {
    let (hour, order) = run(1, |driver| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        for seconds in [3, 1, 2] {
            let (driver, order, sleeper) = (driver.clone(), Rc::clone(&order), driver.clone());
            driver.spawn(async move {
                sleeper.sleep_until(at(seconds)).await;
                order.borrow_mut().push((seconds, sleeper.now()));
            });
        }
        driver.sleep(SECOND * 3600).await;
        (driver.now(), order.take())
    });
    assert_eq!(hour, at(3600));
    assert_eq!(order, [(1, at(1)), (2, at(2)), (3, at(3))]);
}

#[test]
fn a_world_in_which_nothing_will_come_says_so() {
    let outcome = SimulatedDriver::run(1, |_| std::future::pending());
    assert!(matches!(outcome, Err(Stuck::Asleep)));
}

#[test]
fn a_world_in_which_tasks_spin_says_so() {
    let outcome = SimulatedDriver::run(1, |_| {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    });
    assert!(matches!(outcome, Err(Stuck::Spinning)));
}

#[test]
fn what_is_alive_is_counted_per_side_and_a_dropped_timer_is_none() {
    run(1, |driver| async move {
        let engine = driver.on(Side::Engine);
        let sleeper = engine.clone();
        let task = engine.spawn(async move { sleeper.sleep_until(at(10)).await });
        driver.sleep(SECOND).await;
        assert_eq!((driver.alive(Side::Engine).tasks(), driver.alive(Side::Engine).timers()), (1, 1));
        task.abort();
        driver.sleep(SECOND).await;
        assert_eq!((driver.alive(Side::Engine).tasks(), driver.alive(Side::Engine).timers()), (0, 0));
    });
}

#[test]
fn bytes_arrive_in_order_however_they_are_cut_and_late_by_the_latency() {
    for seed in 0..20 {
        run(seed, |driver| async move {
            let path = Path { largest_piece: 7, jitter: Duration::from_millis(5), buffer: 64, ..plain() };
            let (mut client, mut server, _listener) = pair(&driver, path).await;
            let sent: Vec<u8> = (0..=255).cycle().take(10_000).collect();
            let expected = sent.clone();
            driver.spawn(async move {
                client.write_all(&sent).await.expect("written");
                client.shutdown().await.expect("half-closed");
                std::future::pending::<()>().await;
            });
            let started = driver.now();
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.expect("read");
            assert_eq!(received, expected);
            assert!(driver.now().since(started) >= Duration::from_millis(10));
        });
    }
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    run(1, |driver| async move {
        let (mut client, mut server, _listener) = pair(&driver, Path { buffer: 1000, ..plain() }).await;
        let written = Rc::new(Cell::new(0));
        let count = Rc::clone(&written);
        driver.spawn(async move {
            while client.write_all(&[0; 100]).await.is_ok() {
                count.set(count.get() + 100);
            }
        });
        driver.sleep(SECOND).await;
        assert_eq!(written.get(), 1000);
        server.read_exact(&mut [0; 300]).await.expect("read");
        driver.sleep(SECOND).await;
        assert_eq!(written.get(), 1300);
    });
}

#[test]
fn bandwidth_makes_bytes_late() {
    run(1, |driver| async move {
        let path = Path { bytes_per_second: Some(1000), ..plain() };
        let (mut client, mut server, _listener) = pair(&driver, path).await;
        let started = driver.now();
        client.write_all(&[0; 2000]).await.expect("written");
        server.read_exact(&mut [0; 2000]).await.expect("read");
        assert_eq!(driver.now().since(started), SECOND * 2 + Duration::from_millis(10));
    });
}

#[test]
fn nobody_listens_is_refused_after_a_round_trip() {
    run(1, |driver| async move {
        driver.network().set_path(&host(), plain());
        let refused = driver.connect(&host(), SocketOptions::default()).await.expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(driver.now(), Time::from_start(Duration::from_millis(20)));
        driver.network().set_reach(&host(), Reach::Unreachable);
        let unreachable = driver.connect(&host(), SocketOptions::default()).await.expect_err("unreachable");
        assert_eq!(unreachable.kind(), io::ErrorKind::HostUnreachable);
    });
}

#[test]
fn a_connect_into_a_hole_is_tried_again_as_kernels_do_and_given_up() {
    run(1, |driver| async move {
        driver.network().set_path(&host(), plain());
        driver.network().set_reach(&host(), Reach::Dropped);
        let _listener = driver.network().listen(&host());
        let timed_out = driver.connect(&host(), SocketOptions::default()).await.expect_err("nothing comes");
        assert_eq!(timed_out.kind(), io::ErrorKind::TimedOut);
        assert_eq!(driver.now(), at(63));
        let (network, healing) = (driver.network().clone(), driver.clone());
        driver.spawn(async move {
            healing.sleep(Duration::from_millis(3_500)).await;
            network.set_reach(&host(), Reach::Open);
        });
        driver.connect(&host(), SocketOptions::default()).await.expect("the next SYN arrives");
        assert_eq!(driver.now(), Time::from_start(Duration::from_millis(70_020)));
    });
}

#[test]
fn what_was_sent_while_nothing_passed_arrives_afterwards() {
    run(1, |driver| async move {
        let (mut client, mut server, _listener) = pair(&driver, plain()).await;
        driver.network().set_reach(&host(), Reach::Dropped);
        client.write_all(b"late").await.expect("written");
        let (network, healing) = (driver.network().clone(), driver.clone());
        driver.spawn(async move {
            healing.sleep(SECOND * 5).await;
            network.set_reach(&host(), Reach::Open);
        });
        let mut received = [0; 4];
        server.read_exact(&mut received).await.expect("read");
        assert_eq!(&received, b"late");
        assert!(driver.now() >= at(5));
    });
}

#[test]
fn a_forgotten_stream_is_silent_until_the_kernel_gives_up() {
    run(1, |driver| async move {
        let (mut client, mut server, _listener) = pair(&driver, plain()).await;
        driver.network().forget_streams(&host(), true, true);
        server.write_all(b"never").await.expect("written");
        let started = driver.now();
        let waker = driver.clone();
        let silence = tokio::select! {
            biased;
            read = client.read_u8() => Some(read),
            () = waker.sleep(SECOND * 5000) => None,
        };
        assert!(silence.is_none(), "it has nothing to send, so it waits for ever");
        client.write_all(b"x").await.expect("written");
        let sent = driver.now();
        let given_up = client.read_u8().await.expect_err("given up");
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        assert_eq!(driver.now().since(sent), SECOND * 924);
        assert!(started < sent);
    });
}

#[test]
fn a_forgotten_stream_is_given_up_after_tcp_user_timeout() {
    run(1, |driver| async move {
        let _listener = driver.network().listen(&host());
        let options = SocketOptions { tcp_user_timeout: Some(SECOND * 20) };
        let mut client = driver.connect(&host(), options).await.expect("open");
        driver.network().forget_streams(&host(), false, true);
        client.write_all(b"x").await.expect("written");
        let sent = driver.now();
        let given_up = client.read_u8().await.expect_err("given up");
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        assert_eq!(driver.now().since(sent), SECOND * 20);
        drop(client);
        let [loss] = &driver.network().losses()[..] else { panic!("one stream was forgotten") };
        assert_eq!((loss.forgotten, loss.closed), (sent, Some(sent + SECOND * 20)));
    });
}

#[test]
fn a_socket_closed_with_bytes_unread_resets_its_peer_and_one_closed_clean_ends_it() {
    run(1, |driver| async move {
        let (mut client, server, listener) = pair(&driver, plain()).await;
        client.write_all(b"unread").await.expect("written");
        drop(server);
        let reset = client.read_u8().await.expect_err("reset");
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);

        let mut client = driver.connect(&host(), SocketOptions::default()).await.expect("open");
        drop(listener.accept().await);
        assert_eq!(client.read(&mut [0]).await.expect("the end"), 0);
        client.write_all(b"x").await.expect("taken by the kernel");
        driver.sleep(SECOND).await;
        let reset = client.write_all(b"y").await.expect_err("nobody reads");
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_engines_sockets_are_counted() {
    run(1, |driver| async move {
        let (client, _server, _listener) = pair(&driver, plain()).await;
        assert_eq!(driver.network().engine_sockets(), 1);
        drop(client);
        assert_eq!(driver.network().engine_sockets(), 0);
    });
}

#[test]
fn names_lead_where_the_answer_of_the_moment_says() {
    run(1, |driver| async move {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
        let unknown = driver.resolve("name", 5, NameSource::System).await.expect_err("unknown");
        assert_eq!(unknown.kind(), io::ErrorKind::NotFound);
        driver.network().set_name("name", Answer::of([ip], SECOND));
        assert_eq!(
            driver.resolve("name", 5, NameSource::System).await.expect("known").addresses,
            [SocketAddr::new(ip, 5)]
        );
        assert_eq!(driver.now(), at(1));
        driver.network().set_name("name", Answer::failure(io::ErrorKind::Other, SECOND));
        driver.resolve("name", 5, NameSource::System).await.expect_err("it fails now");
    });
}

#[test]
fn a_name_has_the_texts_of_the_moment_and_none_when_nothing_was_said() {
    run(1, |driver| async move {
        let texts = || driver.resolve_texts("name", NameSource::System);
        assert_eq!(texts().await.expect("an answer"), TextAnswer::default());
        driver.network().set_texts("name", Answer::of_texts(["a", "b"], SECOND).valid_for(SECOND));
        let found = texts().await.expect("two");
        assert_eq!((found.records.len(), &*found.records[1][0], found.valid_for), (2, &b"b"[..], Some(SECOND)));
        assert_eq!(driver.now(), at(1));
        driver.network().set_texts("name", Answer::failure(io::ErrorKind::Other, SECOND));
        texts().await.expect_err("it fails now");
        assert_eq!(driver.network().text_lookups().len(), 3);
        assert!(driver.network().lookups().is_empty(), "nobody asked for addresses");
    });
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_seed_another() {
    let story = |seed| {
        run(seed, |driver| async move {
            let path = Path { largest_piece: 50, jitter: Duration::from_millis(5), ..plain() };
            let (mut client, mut server, _listener) = pair(&driver, path).await;
            driver.spawn(async move {
                client.write_all(&[1; 2000]).await.expect("written");
                std::future::pending::<()>().await;
            });
            let mut room = [0; 64];
            for _ in 0..20 {
                let count = server.read(&mut room).await.expect("read");
                driver.journal().note(format_args!("{count} bytes, {}", driver.random_unit()));
            }
            driver.journal().fingerprint()
        })
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}
