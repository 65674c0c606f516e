//! Credentials of calls: metadata that a plug-in of the host's makes anew for each attempt, a token for example.

mod reply;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::error::Error;
use crate::failure::Failure;
use crate::foreign::contain;
use crate::metadata::Metadata;
use crate::status::Code;
pub use reply::MetadataReply;
use reply::{Asked, asked};

/// Makes the metadata by which calls show who makes them.
pub trait MetadataPlugin: Send + Sync {
    /// One attempt of a call is about to be sent. Answer now, or later from any thread; the call waits for it under its own deadline.
    ///
    /// It runs on the engine's loop, so it must not block: whatever takes time belongs to a thread or task of the host's. A panic fails the call and
    /// nothing else.
    fn metadata(&self, context: &AuthContext, reply: MetadataReply);
}

/// What a [`MetadataPlugin`] is told of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthContext {
    service_url: String,
    method: String,
}

impl AuthContext {
    /// `method` is `/package.Service/Method`.
    pub(crate) fn new(authority: &str, method: &str) -> Self {
        let service = &method[..method.rfind('/').unwrap_or(0)];
        // As gRPC's other libraries have it, since who checks an audience compares whole texts.
        let host = authority.strip_suffix(":443").unwrap_or(authority);
        Self { service_url: format!("https://{host}{service}"), method: method.to_owned() }
    }

    /// `https://<authority>/<package.Service>`, the audience of a token; without the port where that is 443.
    #[must_use]
    pub fn service_url(&self) -> &str {
        &self.service_url
    }

    /// `/package.Service/Method`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The method without its service.
    #[must_use]
    pub fn method_name(&self) -> &str {
        self.method.rsplit('/').next().unwrap_or_default()
    }
}

/// What calls show to be allowed: of all calls of a channel ([`Credentials::with_call_credentials`](crate::Credentials::with_call_credentials)), or
/// of one call ([`CallRequest::credentials`](crate::CallRequest::credentials)). Cheap to clone.
///
/// They are sent only where connections are secure: over TLS, or with [`Credentials::local`](crate::Credentials::local).
#[derive(Clone)]
pub struct CallCredentials(Arc<[Arc<dyn MetadataPlugin>]>);

impl CallCredentials {
    /// Metadata that a plug-in makes.
    #[must_use]
    pub fn plugin(plugin: impl MetadataPlugin + 'static) -> Self {
        Self(Arc::new([Arc::new(plugin)]))
    }

    /// The header `authorization: Bearer <token>`, the same for every call.
    ///
    /// # Errors
    /// [`ErrorKind::Metadata`](crate::ErrorKind::Metadata) for a token that no header can carry; the text does not repeat it.
    pub fn access_token(token: &str) -> Result<Self, Error> {
        let mut metadata = Metadata::new();
        metadata.append("authorization", format!("Bearer {token}"))?;
        Ok(Self::plugin(Fixed(metadata)))
    }

    /// All of these: each is asked, and what they give is sent in their order.
    #[must_use]
    pub fn combined(all: impl IntoIterator<Item = Self>) -> Self {
        Self(all.into_iter().flat_map(|one| one.0.to_vec()).collect())
    }

    /// Asks all of them at once, and puts together what they give.
    pub(crate) async fn generate(&self, context: &AuthContext) -> Result<Metadata, Failure> {
        let mut asked: Vec<_> = self.0.iter().map(|plugin| (ask(&**plugin, context), None)).collect();
        let answered = poll_fn(|cx| {
            let mut is_missing = false;
            for (asked, given) in asked.iter_mut().filter(|(_, given)| given.is_none()) {
                match asked.poll_answer(cx) {
                    Poll::Ready(Ok(metadata)) => *given = Some(metadata),
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => is_missing = true,
                }
            }
            if is_missing { Poll::Pending } else { Poll::Ready(Ok(())) }
        });
        answered.await?;
        let mut all = Metadata::new();
        for metadata in asked.into_iter().filter_map(|(_, given)| given) {
            all.append_all(metadata);
        }
        Ok(all)
    }
}

impl fmt::Debug for CallCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What they hold stays out of logs.
        write!(f, "CallCredentials({})", self.0.len())
    }
}

fn ask(plugin: &dyn MetadataPlugin, context: &AuthContext) -> Asked {
    let (reply, asked) = asked();
    if !contain(|| plugin.metadata(context, reply)) {
        // If it has not answered before: its reply was dropped on the way.
        asked.fail_instead(Code::Unauthenticated, "the plug-in panicked");
    }
    asked
}

/// Metadata that is always the same.
struct Fixed(Metadata);

impl MetadataPlugin for Fixed {
    fn metadata(&self, _: &AuthContext, reply: MetadataReply) {
        reply.give(self.0.clone());
    }
}

#[cfg(test)]
mod tests;
