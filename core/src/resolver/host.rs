//! Resolvers of the host's own: what one is told, and what it is asked ([NAME-24]).

use super::results::ResolverSender;
use super::target::uri::Uri;
use crate::percent;

/// Makes resolvers for the targets of a scheme, one for each channel that is in use.
///
/// It is registered for one channel ([`ChannelOptions::add_resolver`](crate::ChannelOptions::add_resolver)) or for all of an engine
/// ([`Engine::register_resolver`](crate::Engine::register_resolver)).
pub trait ResolverFactory: Send + Sync {
    /// Starts finding the endpoints of this target. What is found goes into `results`, now or later, as often as it changes.
    ///
    /// Called on the engine's thread when the channel first needs endpoints, and again after it was idle or its resolver gave up. It must not
    /// block: what takes time belongs on a thread or runtime of the host's own. A panic here is an error of the resolver, no more.
    ///
    /// # Errors
    /// The text is what calls are told. The channel tries again after a backoff of 1 s that grows to 120 s.
    fn start(&self, target: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String>;

    /// What calls name as their server, and what TLS checks, where no option says so. Asked once, when the channel is made. Default: the
    /// target's endpoint where it could be a host, else `localhost`.
    fn default_authority(&self, target: &ResolverTarget) -> String {
        let endpoint = target.endpoint();
        let is_host = !endpoint.is_empty()
            && endpoint.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
        if is_host { endpoint.to_owned() } else { "localhost".to_owned() }
    }
}

/// A resolver at work for one channel. It is dropped when the channel goes idle or is closed; then nobody listens to its sender any more
/// ([`ResolverSender::is_closed`]).
///
/// Everything is called on the engine's thread, so nothing may block, the destructor included. A panic ends the resolver; another one is started
/// as after any other error.
pub trait Resolver: Send {
    /// The channel would like to know more: a connection was lost, an address failed, or the time after an error is over. Asked often while
    /// servers are down; a resolver that polls should not do so more often for that than its source can bear, and one that watches need do
    /// nothing.
    fn resolve_now(&mut self) {}
}

/// A target with a scheme that a [`ResolverFactory`] is registered for: `scheme:[//authority]path[?query]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverTarget {
    text: String,
    scheme: String,
    authority: String,
    path: String,
    query: String,
}

impl ResolverTarget {
    /// `uri` is the text without query and fragment, taken apart.
    pub(super) fn new(text: &str, uri: &Uri<'_>) -> Result<Self, String> {
        let decoded = |part: &str, what: &str| {
            let bytes = percent::decode(part.as_bytes());
            String::from_utf8(bytes).map_err(|_| format!("has escapes in its {what} that are no UTF-8"))
        };
        let before_fragment = text.split_once('#').map_or(text, |(before, _)| before);
        Ok(Self {
            text: text.to_owned(),
            scheme: uri.scheme.to_ascii_lowercase(),
            authority: decoded(uri.authority.unwrap_or_default(), "authority")?,
            path: decoded(uri.whole_path(), "path")?,
            query: before_fragment.split_once('?').map_or("", |(_, query)| query).to_owned(),
        })
    }

    /// The target as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands between `//` and the next `/`, decoded; often empty.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What follows, decoded, with its slashes.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path without one slash before it, which is how gRPC has names in targets.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.path.strip_prefix('/').unwrap_or(&self.path)
    }

    /// What follows `?`, as it was given; `a=1&b=2` by convention.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl ResolverFactory for Silent {
        fn start(&self, _: &ResolverTarget, _: ResolverSender) -> Result<Box<dyn Resolver>, String> {
            Err("silent".to_owned())
        }
    }

    fn split(text: &str) -> ResolverTarget {
        let uri = Uri::split(&text[..text.find(['?', '#']).unwrap_or(text.len())]).expect("a scheme");
        ResolverTarget::new(text, &uri).expect("UTF-8")
    }

    /// [NAME-5], [NAME-6]
    #[test]
    fn a_target_is_taken_apart_and_decoded() {
        let target = split("Consul://agent%3A8500/web%20shop?tag=a%20b&passing#part");
        assert_eq!((target.scheme(), target.authority(), target.path()), ("consul", "agent:8500", "/web shop"));
        assert_eq!((target.endpoint(), target.query()), ("web shop", "tag=a%20b&passing"));
        assert_eq!(target.text(), "Consul://agent%3A8500/web%20shop?tag=a%20b&passing#part");
        let target = split("file:relative/path");
        assert_eq!((target.authority(), target.path(), target.endpoint()), ("", "relative/path", "relative/path"));
        assert_eq!(split("file:////a").endpoint(), "/a");
    }

    #[test]
    fn a_target_that_is_no_text_is_refused() {
        for (text, said) in [("x:%FF", "escapes in its path"), ("x://%FF/a", "escapes in its authority")] {
            let uri = Uri::split(text).expect("a scheme");
            let refused = ResolverTarget::new(text, &uri).expect_err(text);
            assert!(refused.contains(said), "{refused}");
        }
    }

    /// [NAME-33]
    #[test]
    fn the_authority_is_the_endpoint_where_that_can_be_a_host() {
        for (text, authority) in [
            ("consul:///web", "web"),
            ("consul:web.service:80", "web.service:80"),
            ("file:///etc/servers", "localhost"),
            ("x:", "localhost"),
            ("x:%C3%A4", "localhost"),
        ] {
            assert_eq!(Silent.default_authority(&split(text)), authority, "{text}");
        }
    }
}
