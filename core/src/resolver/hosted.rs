//! A host's resolver at work: started, asked, started again when it has ended.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Notify;

use super::Resolution;
use super::host::{Resolver, ResolverFactory, ResolverTarget};
use super::results::results;
use crate::failure::Failure;
use crate::foreign::contain;

/// A target and who resolves it.
pub(crate) struct Hosted {
    pub(super) target: ResolverTarget,
    pub(super) factory: Arc<dyn ResolverFactory>,
}

impl PartialEq for Hosted {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target && Arc::ptr_eq(&self.factory, &other.factory)
    }
}

impl Eq for Hosted {}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

/// How the channel asks its resolver for more.
#[derive(Default)]
pub(crate) struct Asking {
    again: Notify,
    /// The resolver has ended, and another one is started when something is asked.
    has_ended: Cell<bool>,
}

impl Asking {
    /// More is wanted. What is asked before the resolver has heard is asked once.
    pub(crate) fn again(&self) {
        self.again.notify_one();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}

impl Hosted {
    /// Hands on all that the host's resolvers say, one after the other, until it is dropped.
    pub(super) async fn run(&self, asking: &Asking, mut on_result: impl FnMut(Result<Resolution, Failure>)) {
        loop {
            asking.has_ended.set(false);
            self.run_one(asking, &mut on_result).await;
            asking.has_ended.set(true);
            asking.again.notified().await;
        }
    }

    /// Until it says nothing more.
    async fn run_one(&self, asking: &Asking, on_result: &mut impl FnMut(Result<Resolution, Failure>)) {
        let (sender, results) = results();
        let failed = |cause: String| Err(Failure::ResolverFailed { target: self.target.text().to_owned(), cause });
        let mut started = None;
        contain(|| started = Some(self.factory.start(&self.target, sender)));
        let mut resolver = match started {
            Some(Ok(resolver)) => Running(Some(resolver)),
            Some(Err(cause)) => return on_result(failed(cause)),
            None => return on_result(failed("it panicked when it was started".to_owned())),
        };
        let mut has_said = false;
        loop {
            tokio::select! {
                biased;
                said = results.next() => match said {
                    Some(Ok(resolution)) => on_result(Ok(resolution)),
                    Some(Err(cause)) => on_result(failed(cause)),
                    None if has_said => return,
                    None => return on_result(failed("it ended without having said anything".to_owned())),
                },
                () = asking.again.notified() => {
                    if !resolver.ask() {
                        return on_result(failed("it panicked when it was asked".to_owned()));
                    }
                    continue;
                }
            }
            has_said = true;
            step_aside().await;
        }
    }
}

/// Lets others have their turn: the channel takes what was handed on before more is, however fast it comes.
async fn step_aside() {
    let mut is_back = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A host's resolver; no panic of it comes further than here.
struct Running(Option<Box<dyn Resolver>>);

impl Running {
    /// `false` when it panicked.
    fn ask(&mut self) -> bool {
        contain(|| {
            if let Some(resolver) = &mut self.0 {
                resolver.resolve_now();
            }
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        contain(|| drop(self.0.take()));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use super::super::results::{ResolverSender, ResolverUpdate};
    use super::super::target::{Endpoint, Target};
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Option<ResolverSender>>);

    struct Quiet;

    impl Resolver for Quiet {}

    impl ResolverFactory for Kept {
        fn start(&self, _: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
            results.error("first");
            *self.0.lock().expect("whole") = Some(results);
            Ok(Box::new(Quiet))
        }
    }

    /// It says the next thing while the one before is handed on, as a thread of its own could for ever.
    #[test]
    fn a_resolver_that_talks_without_end_lets_the_loop_have_its_turn() {
        let factory = Arc::new(Kept::default());
        let find = |_: &str| Some(Arc::clone(&factory) as Arc<dyn ResolverFactory>);
        let target = Target::parse("kept:a", &find).expect("valid");
        let Endpoint::OfHost(hosted) = target.endpoint else { panic!("not the host's") };
        let (said, asking) = (RefCell::new(Vec::new()), Asking::default());
        let mut running = pin!(hosted.run(&asking, |result| {
            said.borrow_mut().push(result.is_ok());
            assert!(said.borrow().len() < 10, "nobody else has a turn");
            factory.0.lock().expect("whole").as_ref().expect("started").update(ResolverUpdate::default());
        }));
        for turns in 1..5 {
            assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(said.borrow().len(), turns);
        }
    }
}
