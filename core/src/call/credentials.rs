//! The credentials of one attempt: asked for when it is known where the call goes, before it is sent.
//!
//! Calls without any pay for looking whether there are.

use super::CallSpec;
use super::progress::Attempt;
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::Phase;
use crate::runtime::Driver;
use crate::transport::call_credentials::{AuthContext, CallCredentials};

/// What an attempt shows to be allowed.
pub(super) enum Authorization<'a> {
    /// Nothing.
    None,
    /// What these give.
    Some {
        of_channel: Option<&'a CallCredentials>,
        of_call: Option<&'a CallCredentials>,
        /// What the application sends, and behind it what the credentials gave; `None` while they have to be asked.
        given: Option<Metadata>,
    },
}

impl<'a> Authorization<'a> {
    /// # Errors
    /// The call brings credentials, and its channel is not secure enough to send them.
    pub(super) fn of<D: Driver>(channel: &'a LocalChannel<D>, spec: &'a CallSpec) -> Result<Self, Failure> {
        let (of_channel, of_call) = (channel.config().call_credentials.as_ref(), spec.credentials.as_ref());
        if of_channel.is_none() && of_call.is_none() {
            return Ok(Self::None);
        }
        if !channel.config().carries_call_credentials {
            return Err(Failure::CredentialsOnInsecure);
        }
        Ok(Self::Some { of_channel, of_call, given: None })
    }

    pub(super) fn is_due(&self) -> bool {
        matches!(self, Self::Some { given: None, .. })
    }

    /// A wait begins that may be long, and what was given is old after it.
    pub(super) fn forget(&mut self) {
        if let Self::Some { given, .. } = self {
            *given = None;
        }
    }

    /// Asks for what is due: the channel's and the call's at the same time, in this order behind what the application sends.
    ///
    /// # Errors
    /// One of them failed.
    pub(super) async fn obtain<D: Driver>(
        &mut self,
        channel: &LocalChannel<D>,
        spec: &CallSpec,
        attempt: &Attempt,
    ) -> Result<(), Failure> {
        let Self::Some { of_channel, of_call, given } = self else { return Ok(()) };
        attempt.phase.set(Phase::Credentials);
        let authority = spec.authority.as_ref().map_or(channel.config().request.authority(), |own| own.as_str());
        let context = AuthContext::new(authority, spec.method.path.as_str());
        let all = CallCredentials::combined([*of_channel, *of_call].into_iter().flatten().cloned());
        let generated = all.generate(&context).await?;
        let mut metadata = spec.metadata.clone();
        metadata.append_all(generated);
        *given = Some(metadata);
        Ok(())
    }

    /// What the attempt is sent with.
    pub(super) fn metadata<'b>(&'b self, spec: &'b CallSpec) -> &'b Metadata {
        match self {
            Self::Some { given: Some(metadata), .. } => metadata,
            Self::None | Self::Some { .. } => &spec.metadata,
        }
    }
}
