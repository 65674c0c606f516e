//! Which resolvers of the host's own there are, by the scheme of their targets ([NAME-24]).

use std::fmt;
use std::sync::Arc;

use once_cell::race::OnceBox;

use super::host::ResolverFactory;
use super::target;
use crate::error::{Error, ErrorKind};

/// A factory and the scheme it is for.
#[derive(Clone)]
pub(crate) struct Registered {
    scheme: String,
    pub(crate) factory: Arc<dyn ResolverFactory>,
}

impl Registered {
    /// # Errors
    /// [`ErrorKind::BadOption`] for what is no scheme, and for one of ours.
    pub(crate) fn new(scheme: &str, factory: Arc<dyn ResolverFactory>) -> Result<Self, Error> {
        let refused = |why: String| Err(Error::new(ErrorKind::BadOption, format!("scheme {scheme:?} {why}")));
        if !target::is_scheme(scheme) {
            return refused(
                "is none: one begins with a letter, and letters, digits, '+', '-' and '.' follow".to_owned(),
            );
        }
        let scheme = scheme.to_ascii_lowercase();
        if target::is_built_in(&scheme) {
            return refused(
                "is built in and stays what it is; choose another one for a resolver of your own".to_owned(),
            );
        }
        Ok(Self { scheme, factory })
    }

    /// `scheme` in lower case.
    pub(crate) fn is_for(&self, scheme: &str) -> bool {
        self.scheme == scheme
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.scheme == other.scheme
    }

    pub(crate) fn taken(&self) -> Error {
        let text = format!("scheme {:?} has a resolver already", self.scheme);
        Error::new(ErrorKind::State, text)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a resolver for {:?}", self.scheme)
    }
}

/// A list of them that only grows. It has no lock, so that a forked child has its parent's.
#[derive(Default)]
pub(crate) struct Schemes {
    first: OnceBox<Node>,
}

struct Node {
    registered: Registered,
    next: OnceBox<Self>,
}

impl Schemes {
    /// # Errors
    /// [`ErrorKind::State`] when the scheme has a resolver.
    pub(crate) fn add(&self, registered: Registered) -> Result<(), Error> {
        let mut new = Box::new(Node { registered, next: OnceBox::new() });
        let mut place = &self.first;
        loop {
            // Of two threads one comes first, and the other goes on behind it.
            match place.set(new) {
                Ok(()) => return Ok(()),
                Err(back) => new = back,
            }
            let Some(node) = place.get() else { continue };
            if node.registered.is_same(&new.registered) {
                return Err(new.registered.taken());
            }
            place = &node.next;
        }
    }

    /// `scheme` in lower case.
    pub(crate) fn find(&self, scheme: &str) -> Option<&Registered> {
        let nodes = std::iter::successors(self.first.get(), |node| node.next.get());
        nodes.map(|node| &node.registered).find(|registered| registered.is_for(scheme))
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::{Resolver, ResolverTarget};
    use super::super::results::ResolverSender;
    use super::*;

    struct Silent;

    impl ResolverFactory for Silent {
        fn start(&self, _: &ResolverTarget, _: ResolverSender) -> Result<Box<dyn Resolver>, String> {
            Err("silent".to_owned())
        }
    }

    /// [NAME-24]
    #[test]
    fn a_scheme_of_ours_or_of_nobody_is_refused() {
        for (scheme, said) in [
            ("dns", "scheme \"dns\" is built in"),
            ("UNIX", "scheme \"UNIX\" is built in"),
            ("vsock", "is built in"),
            ("", "is none"),
            ("1a", "is none"),
            ("a:b", "is none"),
        ] {
            let refused = Registered::new(scheme, Arc::new(Silent)).expect_err(scheme);
            assert_eq!(refused.kind(), ErrorKind::BadOption);
            assert!(refused.message().contains(said), "{refused}");
        }
    }

    /// [NAME-24]
    #[test]
    fn a_scheme_has_one_resolver() {
        let schemes = Schemes::default();
        let add = |scheme| schemes.add(Registered::new(scheme, Arc::new(Silent)).expect(scheme));
        for scheme in ["a", "B", "c"] {
            assert_eq!(add(scheme), Ok(()));
        }
        assert_eq!(add("b").expect_err("taken").message(), "scheme \"b\" has a resolver already");
        assert!(["a", "b", "c"].iter().all(|scheme| schemes.find(scheme).is_some()));
        assert!(schemes.find("d").is_none());
    }

    #[test]
    fn threads_that_register_at_once_are_all_heard() {
        let schemes = Schemes::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let schemes = &schemes;
                scope.spawn(move || {
                    for number in 0..16 {
                        let registered = Registered::new(&format!("s{thread}.{number}"), Arc::new(Silent));
                        schemes.add(registered.expect("a scheme")).expect("not taken");
                    }
                });
            }
        });
        let all = (0..4).flat_map(|thread| (0..16).map(move |number| format!("s{thread}.{number}")));
        assert!(all.into_iter().all(|scheme| schemes.find(&scheme).is_some()));
    }
}
