//! The methods called last on a channel, with all that is known of them: a program calls few of them, and calls them often.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::service_config::ServiceConfig;
use crate::service_config::methods::MethodConfig;
use crate::transport::headers::MethodPath;

/// A method that is called.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) path: MethodPath,
    /// What the channel's service config says of it.
    pub(crate) config: Option<Arc<MethodConfig>>,
}

/// A channel's last methods.
pub(crate) struct Methods {
    service_config: Option<Arc<ServiceConfig>>,
    /// The newest last; guards the list alone.
    known: Mutex<Vec<(Arc<str>, Method)>>,
}

/// A search through more would cost what it saves.
const MOST_KNOWN: usize = 8;

impl Methods {
    pub(crate) fn new(service_config: Option<Arc<ServiceConfig>>) -> Self {
        Self { service_config, known: Mutex::default() }
    }

    /// The method of this name.
    ///
    /// # Errors
    /// As [`MethodPath::parse`].
    pub(crate) fn find(&self, name: &Arc<str>) -> Result<Method, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Most faces keep the name of a method, so most names are found by their address.
        let found = known.iter().rev().find(|(known, _)| Arc::ptr_eq(known, name));
        if let Some((_, method)) = found.or_else(|| known.iter().rev().find(|(known, _)| known == name)) {
            return Ok(method.clone());
        }
        let path = MethodPath::parse(name)?;
        let config = self.service_config.as_ref().and_then(|config| config.methods.of(name)).cloned();
        let method = Method { path, config };
        if known.len() == MOST_KNOWN {
            known.remove(0);
        }
        // Room for one at first: most of many channels call one method.
        known.reserve_exact(1);
        known.push((Arc::clone(name), method.clone()));
        Ok(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_the_same_however_often_and_whichever_others_are_called() {
        let config = ServiceConfig::parse(
            r#"{"methodConfig": [{"name": [{"service": "package.Service", "method": "Method3"}]}]}"#,
        );
        let methods = Methods::new(Some(Arc::new(config.expect("valid"))));
        for round in 0..3 {
            for number in 0..2 * MOST_KNOWN {
                let text: Arc<str> = format!("/package.Service/Method{number}").into();
                for name in [&text, &Arc::from(&*text)] {
                    let found = methods.find(name).expect("valid");
                    assert_eq!(found.path.as_str(), &**name, "round {round}");
                    assert_eq!(found.config.is_some(), number == 3, "round {round}");
                }
            }
        }
        assert_eq!(methods.known.lock().expect("whole").len(), MOST_KNOWN);
    }

    #[test]
    fn a_bad_method_is_refused_each_time() {
        let methods = Methods::new(None);
        for _ in 0..2 {
            assert!(methods.find(&"no slash".into()).is_err());
        }
    }
}
