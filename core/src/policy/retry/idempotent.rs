//! Methods whose calls may run twice without harm, as the application lists them.

use std::collections::BTreeSet;

/// The methods and services of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct IdempotentMethods(BTreeSet<Box<str>>);

impl IdempotentMethods {
    /// Of a list such as `/package.Service/Method, /package.Other/`, in which the second stands for all methods of its service.
    ///
    /// # Errors
    /// The first name that is none.
    pub(crate) fn parse(list: &str) -> Result<Self, &str> {
        let names = list.split(',').map(str::trim);
        // Nothing at all is an empty list; nothing between two commas is a mistake.
        let names = names.filter(|_| !list.trim().is_empty());
        names.map(|name| if is_name(name) { Ok(name.into()) } else { Err(name) }).collect::<Result<_, _>>().map(Self)
    }

    /// Whether calls of the method with this path are in the list.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let service = path.rfind('/').map_or("", |slash| &path[..=slash]);
        self.0.contains(path) || self.0.contains(service)
    }
}

/// `/service/method`, or `/service/`.
fn is_name(name: &str) -> bool {
    let parts = name.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    parts.is_some_and(|(service, _)| !service.is_empty()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_methods_and_all_methods_of_services() {
        let methods = IdempotentMethods::parse(" /a.S/Read,/a.T/ , /b/c/Read").expect("names");
        for path in ["/a.S/Read", "/a.T/Read", "/a.T/Write", "/b/c/Read"] {
            assert!(methods.contains(path), "{path}");
        }
        for path in ["/a.S/Write", "/a.S/", "/a.S/read", "/a.TT/Read", "/b/Read", "/", "", "a.T"] {
            assert!(!methods.contains(path), "{path}");
        }
    }

    #[test]
    fn a_list_of_nothing_has_nothing() {
        assert_eq!(IdempotentMethods::parse(" "), Ok(IdempotentMethods::default()));
        assert!(!IdempotentMethods::default().contains("/a.S/Read") && !IdempotentMethods::default().contains(""));
    }

    #[test]
    fn what_is_no_name_is_told() {
        for wrong in ["a.S/Read", "/a.S", "/", "//Read", "/a S/Read", "/a.S/Réad", "", "*"] {
            let list = format!("/a.S/Good, {wrong},/a.S/Other");
            assert_eq!(IdempotentMethods::parse(&list), Err(wrong));
        }
    }
}
