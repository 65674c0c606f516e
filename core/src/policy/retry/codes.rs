//! Sets of status codes, as retry policies and hedging policies name them.

use crate::status::Code;

/// A set of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusCodes(u32);

impl StatusCodes {
    pub(crate) fn contains(self, code: Code) -> bool {
        self.0 & (1 << code.number()) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Code> for StatusCodes {
    fn from_iter<I: IntoIterator<Item = Code>>(codes: I) -> Self {
        Self(codes.into_iter().fold(0, |set, code| set | 1 << code.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of_and_nothing_else() {
        let set: StatusCodes = [Code::Ok, Code::Unavailable, Code::Unavailable].into_iter().collect();
        let members: Vec<Code> = Code::ALL.into_iter().filter(|code| set.contains(*code)).collect();
        assert_eq!(members, [Code::Ok, Code::Unavailable]);
        assert!(!set.is_empty() && StatusCodes::default().is_empty());
    }
}
