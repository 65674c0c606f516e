//! The methods called last on a channel, parsed: a program calls few of them, and calls them often.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::transport::headers::MethodPath;

/// A channel's last methods.
#[derive(Default)]
pub(crate) struct Methods {
    /// The newest last; guards the list alone.
    known: Mutex<Vec<(Arc<str>, MethodPath)>>,
}

/// A search through more would cost what it saves.
const MOST_KNOWN: usize = 8;

impl Methods {
    /// The path of a method.
    ///
    /// # Errors
    /// As [`MethodPath::parse`].
    pub(crate) fn path(&self, method: &Arc<str>) -> Result<MethodPath, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Most faces keep the name of a method, so most names are found by their address.
        let found = known.iter().rev().find(|(name, _)| Arc::ptr_eq(name, method));
        if let Some((_, path)) = found.or_else(|| known.iter().rev().find(|(name, _)| name == method)) {
            return Ok(path.clone());
        }
        let path = MethodPath::parse(method)?;
        if known.len() == MOST_KNOWN {
            known.remove(0);
        }
        // Room for one at first: most of many channels call one method.
        known.reserve_exact(1);
        known.push((Arc::clone(method), path.clone()));
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_the_same_however_often_and_whichever_others_are_called() {
        let methods = Methods::default();
        for round in 0..3 {
            for number in 0..2 * MOST_KNOWN {
                let text: Arc<str> = format!("/package.Service/Method{number}").into();
                for name in [&text, &Arc::from(&*text)] {
                    assert_eq!(methods.path(name).expect("valid").as_str(), &**name, "round {round}");
                }
            }
        }
        assert_eq!(methods.known.lock().expect("whole").len(), MOST_KNOWN);
    }

    #[test]
    fn a_bad_method_is_refused_each_time() {
        let methods = Methods::default();
        for _ in 0..2 {
            assert!(methods.path(&"no slash".into()).is_err());
        }
    }
}
