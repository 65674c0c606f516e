//! Options, hooks, credentials and dumps: what surrounds calls.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use linkspan::credentials::*;
use linkspan::dump::*;
use linkspan::engine::*;
use linkspan::error::*;
use linkspan::handle::*;
use linkspan::host_driver::*;
use linkspan::log::*;
use linkspan::message::*;
use linkspan::option_docs::*;
use linkspan::options::*;
use linkspan::queue::*;
use linkspan::request::*;
use linkspan::{LINKSPAN_ABI, linkspan_handle_close};
use support::server::Server;
use support::*;

mod support;

fn options() -> linkspan_options {
    let mut options = 0;
    // SAFETY: a live local.
    ok(unsafe { linkspan_options_new(&raw mut options) });
    options
}

fn set_int(options: linkspan_options, key: &CStr, value: i64) -> (linkspan_result, String) {
    let mut error = error();
    // SAFETY: live locals.
    let result = unsafe { linkspan_options_set_int(options, key.as_ptr(), NUL, value, &raw mut error) };
    assert_eq!(result, error.code);
    (result, message_of(&error))
}

fn set_text(options: linkspan_options, key: &CStr, value: &CStr) -> (linkspan_result, String) {
    let mut error = error();
    // SAFETY: live locals.
    let result = unsafe { linkspan_options_set_text(options, key.as_ptr(), NUL, value.as_ptr(), NUL, &raw mut error) };
    assert_eq!(result, error.code);
    (result, message_of(&error))
}

fn described() -> Vec<linkspan_option_doc> {
    let mut list = Vec::new();
    loop {
        let mut doc = linkspan_option_doc {
            struct_size: u32::try_from(size_of::<linkspan_option_doc>()).expect("small"),
            kind: 9,
            scope: 9,
            reserved: 0,
            key: ptr::null(),
            text: ptr::null(),
            default_value: 0,
        };
        // SAFETY: a live local.
        match unsafe { linkspan_option_describe(u32::try_from(list.len()).expect("few"), &raw mut doc) } {
            LINKSPAN_OK => list.push(doc),
            result => {
                assert_eq!(result, LINKSPAN_ELIMIT);
                return list;
            }
        }
    }
}

#[test]
fn every_described_option_can_be_set_by_its_type_and_by_no_other() {
    let mut keys = BTreeSet::new();
    for doc in described() {
        // SAFETY: static and NUL-terminated.
        let key = unsafe { CStr::from_ptr(doc.key) };
        // SAFETY: static and NUL-terminated.
        let text = unsafe { CStr::from_ptr(doc.text) }.to_str().expect("UTF-8");
        assert!(keys.insert(key), "{key:?} twice");
        assert!(text.contains("default"), "{key:?}: {text}");
        assert!(doc.scope <= LINKSPAN_SCOPE_CHANNEL);
        let options = options();
        let (wrong, message) = match doc.kind {
            LINKSPAN_OPTION_TEXT => set_int(options, key, 1),
            _ => set_text(options, key, c"wrong"),
        };
        assert_eq!(wrong, LINKSPAN_ECONFIG, "{key:?}");
        assert!(message.contains(key.to_str().expect("ASCII")), "{key:?}: {message}");
        if doc.kind == LINKSPAN_OPTION_FLOAT {
            assert_eq!(set_text(options, key, c"1.0").0, LINKSPAN_OK, "{key:?}");
        }
        close(options);
    }
    for key in [c"linkspan.driver", c"linkspan.queue_limit", c"linkspan.preset", c"grpc.default_authority"] {
        assert!(keys.contains(key), "{key:?}");
    }
}

#[test]
fn unknown_keys_are_told_apart() {
    let options = options();
    let (result, message) = set_text(options, c"linkspan.prese", c"grpc");
    assert_eq!(result, LINKSPAN_EUNSUPPORTED);
    assert!(message.contains("linkspan.preset"), "{message}");
    assert_eq!(set_int(options, c"grpc.nobody_knows_this", 1), (LINKSPAN_OK, String::new()));
    close(options);
}

#[test]
fn an_option_that_would_do_nothing_is_refused_where_it_is_used() {
    let (mut engine, mut queue, mut error) = (0, 0, error());
    let options = options();
    assert_eq!(set_int(options, c"linkspan.queue_limit", 1).0, LINKSPAN_OK);
    // SAFETY: live locals.
    let result = unsafe { linkspan_engine_new(LINKSPAN_ABI, options, &raw mut engine, &raw mut error) };
    assert_eq!(result, LINKSPAN_ECONFIG);
    assert!(message_of(&error).contains("linkspan.queue_limit"), "{}", message_of(&error));
    let client = Client::new("127.0.0.1:1");
    // SAFETY: live locals.
    ok(unsafe { linkspan_queue_new(client.engine, options, &raw mut queue, &raw mut error) });
    close(options);
    let small = linkspan_call_options { queue, flags: LINKSPAN_CALL_WAIT_FOR_READY, ..call(c"/a/b") };
    client.unary(&small).expect("room for one");
    assert_eq!(client.unary(&small), Err(LINKSPAN_ELIMIT));
    close(queue);
    client.finish();
}

#[test]
fn the_host_driver_is_refused_with_a_text() {
    let (mut engine, mut error, mut fd) = (0, error(), 0);
    let options = options();
    assert_eq!(set_text(options, c"linkspan.driver", c"host").0, LINKSPAN_OK);
    // SAFETY: live locals.
    let result = unsafe { linkspan_engine_new(LINKSPAN_ABI, options, &raw mut engine, &raw mut error) };
    assert_eq!(result, LINKSPAN_EUNSUPPORTED);
    assert!(message_of(&error).contains("linkspan.driver"), "{}", message_of(&error));
    close(options);
    let client = Client::new("127.0.0.1:1");
    // SAFETY: a live local.
    assert_eq!(unsafe { linkspan_engine_fd(client.engine, &raw mut fd) }, LINKSPAN_EUNSUPPORTED);
    client.finish();
}

/// What hooks saw.
#[derive(Default)]
struct Heard {
    state: Mutex<(Vec<String>, u32, u32, u32)>,
    changed: Condvar,
}

impl Heard {
    fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn change(&self, change: impl FnOnce(&mut (Vec<String>, u32, u32, u32))) {
        change(&mut self.state.lock().expect("not poisoned"));
        self.changed.notify_all();
    }

    fn wait_until(&self, is_so: impl Fn(&(Vec<String>, u32, u32, u32)) -> bool) {
        let state = self.state.lock().expect("not poisoned");
        let wait = self.changed.wait_timeout_while(state, Duration::from_secs(30), |state| !is_so(state));
        let (state, timeout) = wait.expect("not poisoned");
        assert!(!timeout.timed_out(), "{:?}", *state);
    }
}

/// # Safety
/// `data` is a `Heard` that outlives the hooks.
unsafe fn heard<'a>(data: *mut c_void) -> &'a Heard {
    // SAFETY: the same promise.
    unsafe { &*data.cast() }
}

unsafe extern "C" fn log(
    data: *mut c_void,
    _level: i32,
    target: *const c_char,
    target_len: usize,
    text: *const c_char,
    text_len: usize,
) {
    // SAFETY: valid during the call.
    let target = unsafe { bytes(target.cast(), target_len) };
    // SAFETY: valid during the call.
    let text = unsafe { bytes(text.cast(), text_len) };
    let line = format!("{}: {}", String::from_utf8_lossy(target), String::from_utf8_lossy(text));
    // SAFETY: the test's.
    unsafe { heard(data) }.change(|state| state.0.push(line));
}

unsafe extern "C" fn started(data: *mut c_void) {
    // SAFETY: the test's.
    unsafe { heard(data) }.change(|state| state.1 += 1);
}

unsafe extern "C" fn stopped(data: *mut c_void) {
    // SAFETY: the test's.
    unsafe { heard(data) }.change(|state| state.2 += 1);
}

unsafe extern "C" fn released(data: *mut c_void) {
    // SAFETY: the test's.
    unsafe { heard(data) }.change(|state| state.3 += 1);
}

fn hooks(heard: &Heard) -> linkspan_hooks {
    linkspan_hooks {
        struct_size: u32::try_from(size_of::<linkspan_hooks>()).expect("small"),
        log_level: 4,
        log: Some(log),
        thread_start: Some(started),
        thread_stop: Some(stopped),
        user_data: heard.pointer(),
        release: Some(released),
    }
}

#[test]
fn hooks_hear_of_refusals_and_threads_and_are_given_back_once() {
    let (server, heard, mut engine) = (Server::start(), Heard::default(), 0);
    let options = options();
    let wrong = linkspan_hooks { log_level: 6, ..hooks(&heard) };
    // SAFETY: live locals.
    assert_eq!(unsafe { linkspan_options_set_hooks(options, &raw const wrong) }, LINKSPAN_EINVAL);
    assert_eq!(heard.state.lock().expect("not poisoned").3, 0, "refused hooks stay the host's");
    let hooks = hooks(&heard);
    // SAFETY: live locals.
    ok(unsafe { linkspan_options_set_hooks(options, &raw const hooks) });
    // SAFETY: live locals.
    ok(unsafe { linkspan_engine_new(LINKSPAN_ABI, options, &raw mut engine, ptr::null_mut()) });
    close(options);
    let client = Client::on(engine, &server.target());
    client.unary(&client.to_queue(c"no-slash", 1)).expect_err("malformed");
    heard.wait_until(|(lines, ..)| {
        lines.iter().any(|line| line.starts_with("linkspan_channel_unary: ") && line.contains("no-slash"))
    });
    client.unary(&client.to_queue(c"/test/Echo", 1)).expect("started");
    drop(client.next());
    heard.wait_until(|state| state.1 == 1);
    client.finish();
    heard.wait_until(|state| (state.1, state.2, state.3) == (1, 1, 1));
}

#[test]
fn broken_certificates_are_named_and_never_shown() {
    let slice = |text: &'static str| linkspan_slice { bytes: text.as_ptr(), len: text.len() };
    let none = linkspan_slice { bytes: ptr::null(), len: 0 };
    let size = u32::try_from(size_of::<linkspan_tls_options>()).expect("small");
    let zero = linkspan_tls_options {
        struct_size: size,
        flags: 0,
        roots_pem: none,
        certificate_pem: none,
        key_pem: none,
        server_name: none,
    };
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for (tls, names) in [
        (linkspan_tls_options { roots_pem: slice("no certificate"), ..zero }, "root"),
        (
            linkspan_tls_options { certificate_pem: slice("no certificate"), key_pem: slice(secret), ..zero },
            "certificate",
        ),
        (linkspan_tls_options { key_pem: slice(secret), ..zero }, "certificate"),
    ] {
        let (mut out, mut error) = (0, error());
        // SAFETY: live locals.
        let result = unsafe { linkspan_credentials_tls(&raw const tls, &raw mut out, &raw mut error) };
        let message = message_of(&error);
        assert_eq!((result, out), (LINKSPAN_ECONFIG, 0), "{message}");
        assert!(message.contains(names) && !message.contains("c2VjcmV0"), "{message}");
    }
    let mut out = 0;
    let bundled = linkspan_tls_options { flags: LINKSPAN_TLS_BUNDLED_ROOTS, ..zero };
    // SAFETY: live locals.
    ok(unsafe { linkspan_credentials_tls(&raw const bundled, &raw mut out, ptr::null_mut()) });
    close(out);
}

#[test]
fn parts_in_files_are_named_with_their_path_and_roots_of_several_kinds_go_together() {
    let slice = |text: &'static [u8]| linkspan_slice { bytes: text.as_ptr(), len: text.len() };
    let none = linkspan_slice { bytes: ptr::null(), len: 0 };
    let size = u32::try_from(size_of::<linkspan_tls_options>()).expect("small");
    let zero = linkspan_tls_options {
        struct_size: size,
        flags: LINKSPAN_TLS_FILES,
        roots_pem: none,
        certificate_pem: none,
        key_pem: none,
        server_name: none,
    };
    let refusal = |tls: linkspan_tls_options| {
        let (mut out, mut error) = (0, error());
        // SAFETY: live locals.
        let result = unsafe { linkspan_credentials_tls(&raw const tls, &raw mut out, &raw mut error) };
        (result, message_of(&error))
    };
    let (result, message) = refusal(linkspan_tls_options { roots_pem: slice(b"/no/such/file"), ..zero });
    assert_eq!(result, LINKSPAN_ECONFIG);
    assert!(message.contains("root certificates in /no/such/file: cannot be read"), "{message}");
    let (result, message) = refusal(linkspan_tls_options { key_pem: slice(b"\xff"), ..zero });
    assert_eq!(result, LINKSPAN_EINVAL);
    assert!(message.contains("key_pem is to be the path of a file"), "{message}");
    let broken = linkspan_tls_options { flags: LINKSPAN_TLS_BUNDLED_ROOTS, roots_pem: slice(b"broken"), ..zero };
    assert!(refusal(broken).1.starts_with("root certificates: no certificate found"), "both are looked at");
    let flags = LINKSPAN_TLS_BUNDLED_ROOTS | LINKSPAN_TLS_KEY_LOG | LINKSPAN_TLS_1_3;
    let (result, message) = refusal(linkspan_tls_options { flags, ..zero });
    assert_eq!(result, LINKSPAN_OK, "{message}");
    let (result, message) = refusal(linkspan_tls_options { flags: 64, ..zero });
    assert_eq!((result, message.as_str()), (LINKSPAN_EINVAL, "TLS flags 0x40 are not known"));
}

fn dump_of(handle: linkspan_handle) -> String {
    let mut buffer = 0;
    // SAFETY: a live local.
    ok(unsafe { linkspan_handle_json(handle, 0, &raw mut buffer) });
    let text = String::from_utf8(view(buffer)).expect("UTF-8");
    close(buffer);
    text
}

/// Looks until the dump has this part.
#[expect(clippy::disallowed_methods, reason = "a test is a host with a clock of its own")]
fn dump_comes_to_have(handle: linkspan_handle, part: &str) {
    let guard = Instant::now() + Duration::from_secs(30);
    loop {
        let dump = dump_of(handle);
        if dump.contains(part) {
            return;
        }
        assert!(Instant::now() < guard, "{part} is not in {dump}");
        std::thread::yield_now();
    }
}

fn client_with(server: &Server, options: linkspan_options) -> Client {
    let mut engine = 0;
    // SAFETY: a live local.
    ok(unsafe { linkspan_engine_new(LINKSPAN_ABI, 0, &raw mut engine, ptr::null_mut()) });
    let client = Client::with(engine, &server.target(), options);
    close(options);
    client
}

#[test]
fn a_dump_tells_the_calls_that_wait_and_the_limits() {
    let (server, options) = (Server::start(), options());
    assert_eq!(set_int(options, c"linkspan.max_concurrent_requests", 1).0, LINKSPAN_OK);
    assert_eq!(set_int(options, c"linkspan.max_queued_calls", 5).0, LINKSPAN_OK);
    let client = client_with(&server, options);
    for tag in 0..3 {
        client.unary(&client.to_queue(c"/test/Hang", tag)).expect("started");
    }
    let limits = r#""maxQueuedCalls":5,"maxConcurrentRequests":1,"maxConcurrentRequestsPerAddress":null,"#;
    dump_comes_to_have(client.channel, &format!(r#""callsInFlight":3,"callsQueued":2,{limits}"#));
    dump_comes_to_have(client.channel, r#""subchannels":1,"breakersOpen":0,"breakerTrips":0,"#);
    client.finish();
}

#[test]
fn a_dump_tells_open_circuit_breakers() {
    let (server, options) = (Server::start(), options());
    let breaker = c"{\"consecutiveFailures\": 1, \"openTime\": \"600s\"}";
    assert_eq!(set_text(options, c"linkspan.breaker", breaker).0, LINKSPAN_OK);
    let client = client_with(&server, options);
    // A refusal is an answer; no answer in time is a failure of the server's.
    client.unary(&client.to_queue(c"/test/Fail", 1)).expect("started");
    drop(client.next());
    let late = linkspan_call_options { timeout_ns: 1_000_000_000, ..client.to_queue(c"/test/Hang", 2) };
    client.unary(&late).expect("started");
    drop(client.next());
    dump_comes_to_have(client.channel, r#""breakersOpen":1,"breakerTrips":1,"#);
    client.finish();
}

#[test]
fn a_dump_tells_what_happened_to_a_channel() {
    let server = Server::start();
    let client = Client::new(&server.target());
    client.unary(&client.to_queue(c"/test/Fail", 1)).expect("started");
    drop(client.next());
    let dump = dump_of(client.channel);
    let target = server.target();
    for part in [
        r#""state":{"state":"READY"}"#.to_owned(),
        r#""callsByCode":{"PERMISSION_DENIED":1}"#.to_owned(),
        r#""from":"IDLE","to":"CONNECTING""#.to_owned(),
        r#""from":"CONNECTING","to":"READY""#.to_owned(),
        format!(r#""address":"{target}""#),
        format!(r#""remote":"{target}""#),
    ] {
        assert!(dump.contains(&part), "{part} is not in {dump}");
    }
    assert!(dump_of(client.engine).contains(r#""callsFailed":1"#));
    assert_eq!(linkspan_handle_close(0), LINKSPAN_OK);
    client.finish();
}
