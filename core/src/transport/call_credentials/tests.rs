use std::future::Future as _;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::Waker;

use super::*;

/// Answers with what a function does.
struct Does<F>(F);

impl<F: Fn(&AuthContext, MetadataReply) + Send + Sync> MetadataPlugin for Does<F> {
    fn metadata(&self, context: &AuthContext, reply: MetadataReply) {
        (self.0)(context, reply);
    }
}

fn does(what: impl Fn(&AuthContext, MetadataReply) + Send + Sync + 'static) -> CallCredentials {
    CallCredentials::plugin(Does(what))
}

fn gives(key: &'static str, value: &'static str) -> CallCredentials {
    does(move |_, reply| assert!(reply.give(metadata(&[(key, value)]))))
}

fn metadata(entries: &[(&str, &'static str)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in entries {
        metadata.append(key, *value).expect("good metadata");
    }
    metadata
}

fn context() -> AuthContext {
    AuthContext::new("svc.example:50051", "/package.Service/Method")
}

/// What is generated at the first look.
fn now(credentials: &CallCredentials) -> Poll<Result<Metadata, Failure>> {
    let context = context();
    pin!(credentials.generate(&context)).poll(&mut std::task::Context::from_waker(Waker::noop()))
}

/// Credentials whose replies come out at the other end.
fn held() -> (CallCredentials, mpsc::Receiver<MetadataReply>) {
    let (sender, replies) = mpsc::sync_channel(8);
    let credentials = does(move |_, reply| sender.send(reply).expect("a test"));
    (credentials, replies)
}

fn failed(code: Code, text: &str) -> Poll<Result<Metadata, Failure>> {
    Poll::Ready(Err(Failure::CredentialsFailed { code, text: text.to_owned() }))
}

#[test]
fn a_plugin_is_told_the_audience_and_the_method() {
    let of = |authority: &str, method: &str| {
        let context = AuthContext::new(authority, method);
        (context.service_url().to_owned(), context.method().to_owned(), context.method_name().to_owned())
    };
    for (authority, method, service_url, name) in [
        ("svc.example", "/package.Service/Method", "https://svc.example/package.Service", "Method"),
        ("svc.example:443", "/package.Service/Method", "https://svc.example/package.Service", "Method"),
        ("svc.example:8443", "/package.Service/Method", "https://svc.example:8443/package.Service", "Method"),
        ("[::1]:443", "/a/b/c", "https://[::1]/a/b", "c"),
        ("svc.example", "/alone", "https://svc.example", "alone"),
        ("svc.example", "/", "https://svc.example", ""),
    ] {
        assert_eq!(of(authority, method), (service_url.to_owned(), method.to_owned(), name.to_owned()));
    }
}

#[test]
fn combined_credentials_are_all_asked_and_what_they_give_is_in_their_order() {
    let all = CallCredentials::combined([
        gives("x-one", "1"),
        CallCredentials::combined([gives("x-two", "2"), CallCredentials::access_token("t").expect("a token")]),
        gives("x-one", "3"),
    ]);
    let wanted = metadata(&[("x-one", "1"), ("x-two", "2"), ("authorization", "Bearer t"), ("x-one", "3")]);
    assert_eq!(now(&all), Poll::Ready(Ok(wanted)));
    assert_eq!(now(&CallCredentials::combined([])), Poll::Ready(Ok(Metadata::new())));
}

#[test]
fn an_answer_from_another_thread_wakes_the_call() {
    struct Woken(AtomicUsize);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (credentials, replies) = held();
    let (context, woken) = (context(), Arc::new(Woken(AtomicUsize::new(0))));
    let waker = Waker::from(Arc::clone(&woken));
    let mut generating = pin!(credentials.generate(&context));
    assert_eq!(generating.as_mut().poll(&mut std::task::Context::from_waker(&waker)), Poll::Pending);
    let reply = replies.recv().expect("asked");
    assert!(reply.is_wanted());
    std::thread::scope(|threads| {
        threads.spawn(|| reply.give(metadata(&[("k", "v")])));
    });
    assert_eq!(woken.0.load(SeqCst), 1);
    let answer = generating.as_mut().poll(&mut std::task::Context::from_waker(&waker));
    assert_eq!(answer, Poll::Ready(Ok(metadata(&[("k", "v")]))));
}

#[test]
fn the_first_failure_ends_it_while_others_are_still_waited_for() {
    let (silent, replies) = held();
    let fails = does(|_, reply| assert!(reply.fail(Code::Unavailable, "no token")));
    let all = CallCredentials::combined([silent, fails]);
    assert_eq!(now(&all), failed(Code::Unavailable, "no token"));
    let late = replies.recv().expect("asked");
    assert!(!late.is_wanted());
    assert!(!late.give(Metadata::new()));
}

#[test]
fn a_reply_that_is_dropped_and_a_plugin_that_panics_fail_the_call() {
    let lets_go = does(|_, reply| drop(reply));
    assert_eq!(now(&lets_go), failed(Code::Unauthenticated, "the plug-in let go of the call without an answer"));
    let panics = does(|_, _| panic!("on purpose"));
    assert_eq!(now(&panics), failed(Code::Unauthenticated, "the plug-in panicked"));
    // What it said before stays said.
    let late = does(|_, reply| {
        reply.give(Metadata::new());
        panic!("on purpose");
    });
    assert_eq!(now(&late), Poll::Ready(Ok(Metadata::new())));
}

#[test]
fn a_plugin_hears_once_that_nobody_waits_any_more_and_only_if_it_has_not_answered() {
    let told = Arc::new(AtomicUsize::new(0));
    let (credentials, replies) = held();
    let tell = |reply: &MetadataReply| {
        let told = Arc::clone(&told);
        reply.on_unwanted(move || {
            told.fetch_add(1, SeqCst);
            panic!("on purpose");
        });
    };
    {
        let context = context();
        let mut generating = Box::pin(credentials.generate(&context));
        assert!(generating.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop())).is_pending());
        let reply = replies.recv().expect("asked");
        tell(&reply);
        drop(generating);
        assert_eq!(told.load(SeqCst), 1);
        // One that asks too late hears at once.
        tell(&reply);
        assert_eq!(told.load(SeqCst), 2);
        assert!(!reply.give(Metadata::new()));
    }
    {
        let context = context();
        let mut generating = Box::pin(credentials.generate(&context));
        assert!(generating.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop())).is_pending());
        let reply = replies.recv().expect("asked");
        tell(&reply);
        assert!(reply.give(Metadata::new()));
    }
    assert_eq!(told.load(SeqCst), 2);
}

/// [A54-2], [WIRE-241]
#[test]
fn a_code_that_only_servers_may_use_becomes_internal_and_the_text_tells_it() {
    use crate::failure::Dialect;
    for code in Code::ALL {
        let failure = Failure::CredentialsFailed { code, text: "no token".to_owned() };
        let words = failure.words(Dialect::Native);
        assert!(words.ends_with("Getting metadata from plugin failed with error: no token"), "{words}");
        if code.is_for_applications() {
            assert_eq!(failure.code(), Code::Internal, "{code}");
            let told = format!("a bug of their plug-in; original status: {code}: ");
            assert!(words.contains(&told), "{words}");
        } else {
            assert_eq!(failure.code(), code);
            assert!(words.starts_with("Getting"), "{words}");
        }
    }
}

#[test]
fn a_token_that_no_header_can_carry_is_refused_and_not_told() {
    for token in ["secret\n", "sécret", "secret\0"] {
        let refused = CallCredentials::access_token(token).expect_err(token);
        assert_eq!(refused.kind(), crate::ErrorKind::Metadata);
        assert!(!refused.message().contains("cret"), "{refused}");
    }
    let shown = format!("{:?}", CallCredentials::access_token("secret").expect("a token"));
    assert!(!shown.contains("secret"), "{shown}");
}
