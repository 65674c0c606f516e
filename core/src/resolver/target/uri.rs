//! A target as a URI: scheme, authority, path (RFC 3986, [NAME-1]).

use super::Refusal;

/// `scheme:[//authority]path`, still encoded.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::resolver) struct Uri<'a> {
    pub(in crate::resolver) scheme: &'a str,
    /// What stands between `//` and the next `/`.
    pub(in crate::resolver) authority: Option<&'a str>,
    path: &'a str,
}

impl<'a> Uri<'a> {
    /// `None` for a text that has no scheme.
    pub(in crate::resolver) fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if !is_scheme(scheme) {
            return None;
        }
        let Some(after_slashes) = rest.strip_prefix("//") else {
            return Some(Self { scheme, authority: None, path: rest });
        };
        let end = after_slashes.find('/').unwrap_or(after_slashes.len());
        let (authority, path) = after_slashes.split_at(end);
        Some(Self { scheme, authority: Some(authority), path })
    }

    /// With all its slashes.
    pub(in crate::resolver) fn whole_path(&self) -> &'a str {
        self.path
    }

    pub(super) fn has_path(&self) -> bool {
        !self.path.is_empty()
    }

    /// The path without one leading slash ([NAME-6]).
    pub(super) fn name(&self) -> &'a str {
        self.path.strip_prefix('/').unwrap_or(self.path)
    }

    /// The name, of a scheme or a target that has no authority.
    pub(super) fn endpoint(&self, scheme: &str) -> Result<&'a str, Refusal> {
        let path = self.name();
        match self.authority {
            None | Some("") => Ok(path),
            Some(authority) => Err(Refusal::from(format!(
                "has {authority:?} between \"//\" and \"/\", where {scheme} has nothing; write \"{scheme}:{}\"",
                if path.is_empty() { authority } else { path }
            ))),
        }
    }

    /// The path with its slashes ([NAME-6]); two before it would be an authority, and no socket of this machine has one ([NAME-22]).
    pub(super) fn path(&self, scheme: &str) -> Result<&'a str, Refusal> {
        match self.authority {
            None | Some("") => Ok(self.path),
            Some(host) => Err(Refusal::from(format!(
                "has {host:?} between \"//\" and \"/\", where {scheme} has nothing; write \"{scheme}:{host}{path}\" or \"{scheme}:///{host}{path}\"",
                path = self.path
            ))),
        }
    }
}

/// The text without its query and fragment. They mean nothing to our schemes, and still must be what a URI may have ([NAME-5]).
pub(super) fn without_query(text: &str) -> Result<&str, Refusal> {
    let Some(start) = text.find(['?', '#']) else { return Ok(text) };
    let (text, tail) = text.split_at(start);
    let (query, fragment) = match tail.split_once('#') {
        Some((query, fragment)) => (query, fragment),
        None => (tail, ""),
    };
    for (part, what) in [(query, "query"), (fragment, "fragment")] {
        if let Some(wrong) = first_illegal(part) {
            return Err(Refusal::from(format!(
                "has {wrong:?} in its {what}, where a URI has none; leave out what follows {text:?}, or write '?' as \"%3F\" and '#' as \"%23\""
            )));
        }
    }
    Ok(text)
}

pub(in crate::resolver) fn is_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The first character that no query or fragment has (RFC 3986 §3.4): a `%` without two digits is one.
fn first_illegal(part: &str) -> Option<char> {
    let is_escape = |at: usize| {
        let digits = part.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_legal = |at: usize, character: char| match character {
        '%' => is_escape(at),
        _ => character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?".contains(character),
    };
    part.char_indices().find(|&(at, character)| !is_legal(at, character)).map(|(_, character)| character)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [NAME-1]
    #[test]
    fn a_uri_has_a_scheme_perhaps_an_authority_and_a_path() {
        let split = |text| Uri::split(text).map(|uri| (uri.scheme, uri.authority, uri.path));
        assert_eq!(split("dns:host"), Some(("dns", None, "host")));
        assert_eq!(split("dns:///host"), Some(("dns", Some(""), "/host")));
        assert_eq!(split("dns://a/host"), Some(("dns", Some("a"), "/host")));
        assert_eq!(split("dns://a"), Some(("dns", Some("a"), "")));
        assert_eq!(split("a+b-c.d1:"), Some(("a+b-c.d1", None, "")));
        for text in ["host", "1a:b", ":b", "+:b", "a_b:c", "[::1]:80", "ä:b", ""] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    /// [NAME-6]
    #[test]
    fn one_slash_of_the_endpoint_is_dropped_and_none_of_the_path() {
        let uri = Uri::split("x:////a").expect("a scheme");
        assert_eq!((uri.endpoint("x").ok(), uri.path("x").ok()), (Some("/a"), Some("//a")));
        let uri = Uri::split("x:a").expect("a scheme");
        assert_eq!((uri.endpoint("x").ok(), uri.path("x").ok()), (Some("a"), Some("a")));
    }

    /// [NAME-5]
    #[test]
    fn queries_and_fragments_are_passed_over_when_a_uri_may_have_them() {
        for (text, wanted) in [("a:b", "a:b"), ("a?", "a"), ("a?x=1&y=/?:@%20#f?/", "a"), ("a#f", "a"), ("?", "")] {
            assert_eq!(without_query(text).ok(), Some(wanted), "{text}");
        }
        for (text, said) in [
            ("a?b c", "' ' in its query"),
            ("a?100%", "'%' in its query"),
            ("a?%4", "'%' in its query"),
            ("a?ä", "'ä' in its query"),
            ("a#b#c", "'#' in its fragment"),
            ("a?b#\"", "'\"' in its fragment"),
        ] {
            let refusal = without_query(text).expect_err(text);
            assert!(refusal.what.contains(said), "{}", refusal.what);
        }
    }
}
