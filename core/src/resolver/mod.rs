//! From a target string to addresses.

pub(crate) mod target;

use crate::address::Address;
use crate::failure::Failure;
use crate::runtime::Driver;
use target::{Endpoint, Target};

/// Asks once. Literal targets are answered at once and never fail.
pub(crate) async fn resolve<D: Driver>(driver: &D, target: &Target) -> Result<Vec<Address>, Failure> {
    match &target.endpoint {
        Endpoint::Fixed(addresses) => Ok(addresses.clone()),
        Endpoint::Name { host, port } => {
            let failed = |cause: String| Failure::ResolveFailed { target: format!("{host}:{port}"), cause };
            let found = driver.resolve(host, *port).await.map_err(|cause| failed(cause.to_string()))?;
            if found.is_empty() {
                return Err(failed("no addresses".into()));
            }
            Ok(found.into_iter().map(Address::Inet).collect())
        }
    }
}
