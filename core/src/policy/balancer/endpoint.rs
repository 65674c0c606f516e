//! Endpoints: one backend each, by whichever of its addresses ([NAME-80]).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use super::tally::Tally;
use crate::address::Address;

/// One endpoint. Clones are the same endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    addresses: Box<[Address]>,
    /// The addresses in an order of their own, where that is another one.
    sorted: Option<Box<[Address]>>,
    tally: Rc<Tally>,
}

impl Endpoint {
    fn new(addresses: Box<[Address]>, tally: Rc<Tally>) -> Self {
        let mut sorted = addresses.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let sorted = (*sorted != *addresses).then(|| sorted.into_boxed_slice());
        Self(Rc::new(Inner { addresses, sorted, tally }))
    }

    /// In the order in which they are to be dialed.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.0.addresses
    }

    /// What calls saw of it.
    pub(crate) fn tally(&self) -> &Rc<Tally> {
        &self.0.tally
    }

    /// Whether both are the same backend, whatever the order of their addresses.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// What makes it this endpoint and no other: the set of its addresses ([NAME-82]).
    fn identity(&self) -> &[Address] {
        self.0.sorted.as_deref().unwrap_or(&self.0.addresses)
    }
}

/// The endpoints a channel's resolver listed last. One that is listed again is the same one, with what calls saw of it.
#[derive(Debug, Default)]
pub(crate) struct EndpointBook {
    listed: Vec<Endpoint>,
    /// Those that were listed before, by what makes them themselves, while calls on them run: if they come back, these still count.
    away: BTreeMap<Box<[Address]>, Weak<Tally>>,
}

impl EndpointBook {
    /// The resolver listed these. Each is kept once, in the order of its first mention ([NAME-84]).
    pub(crate) fn on_listed(&mut self, listed: impl IntoIterator<Item = Box<[Address]>>) -> Vec<Endpoint> {
        let mut known = std::mem::take(&mut self.listed);
        known.sort_unstable_by(|one, other| one.identity().cmp(other.identity()));
        let mut seen = BTreeSet::new();
        for addresses in listed.into_iter().filter(|addresses| !addresses.is_empty()) {
            let mut endpoint = Endpoint::new(addresses, Rc::default());
            if let Ok(at) = known.binary_search_by(|known| known.identity().cmp(endpoint.identity())) {
                let same = &known[at];
                endpoint = match same.addresses() == endpoint.addresses() {
                    true => same.clone(),
                    false => Endpoint::new(endpoint.addresses().into(), Rc::clone(same.tally())),
                };
            } else if let Some(tally) = self.away.get(endpoint.identity()).and_then(Weak::upgrade) {
                endpoint = Endpoint::new(endpoint.addresses().into(), tally);
            }
            if seen.insert(endpoint.identity().to_vec()) {
                self.listed.push(endpoint);
            }
        }
        self.listed.shrink_to_fit();
        let gone = known.iter().filter(|known| !seen.contains(known.identity()));
        self.away.extend(gone.map(|gone| (gone.identity().into(), Rc::downgrade(gone.tally()))));
        self.away.retain(|identity, tally| tally.strong_count() > 0 && !seen.contains(&**identity));
        self.listed.clone()
    }

    pub(crate) fn addresses(&self) -> usize {
        self.listed.iter().map(|endpoint| endpoint.addresses().len()).sum()
    }

    /// None of them is wanted any more.
    pub(crate) fn forget(&mut self) {
        self.on_listed([]);
    }
}

#[cfg(test)]
pub(super) fn of_each(addresses: impl IntoIterator<Item = Address>) -> Vec<Endpoint> {
    EndpointBook::default().on_listed(addresses.into_iter().map(|address| Box::from([address])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Box<[Address]> {
        list.iter().map(|text| Address::Inet(text.parse().expect("address"))).collect()
    }

    const A: &str = "10.0.0.1:1";
    const B: &str = "10.0.0.2:1";
    const C: &str = "10.0.0.3:1";

    /// [NAME-82]
    #[test]
    fn an_endpoint_is_the_set_of_its_addresses() {
        let [one, same, another] =
            [&[A, B][..], &[B, A], &[A]].map(|list| Endpoint::new(addresses(list), Rc::default()));
        assert!(one.is(&same));
        assert!(!one.is(&another));
        assert_eq!(same.addresses(), &*addresses(&[B, A]), "the order to dial in stays");
    }

    /// [NAME-82], [NAME-83]
    #[test]
    fn an_endpoint_that_is_listed_again_keeps_its_tally_and_one_that_was_away_as_long_as_calls_run_there() {
        let mut book = EndpointBook::default();
        let before = book.on_listed([addresses(&[A, B]), addresses(&[C])]);
        let running = (before[0].tally().enter(), before[1].tally().enter());
        drop(before);
        let after = book.on_listed([addresses(&[B, A])]);
        assert_eq!(after[0].tally().in_flight(), 1);
        let back = book.on_listed([addresses(&[C])]);
        assert_eq!(back[0].tally().in_flight(), 1);
        drop(back);
        book.forget();
        running.1.on_ended(true);
        drop(running);
        assert_eq!(book.on_listed([addresses(&[C])])[0].tally().succeeded(), 0, "nothing held it");
    }

    /// Addresses come and go for as long as a channel lives.
    #[test]
    fn nothing_is_kept_of_endpoints_that_are_away_and_have_no_calls() {
        let mut book = EndpointBook::default();
        let _running = book.on_listed([addresses(&[A])])[0].tally().enter();
        for port in 1..100 {
            book.on_listed([addresses(&[&format!("10.0.0.9:{port}")])]);
        }
        assert_eq!(book.away.len(), 2, "the one with a call, and the last one, which its user may still hold");
    }

    /// [NAME-84], [LB-58]
    #[test]
    fn an_endpoint_that_is_listed_twice_is_used_once() {
        let listed = [addresses(&[A, B]), addresses(&[C]), addresses(&[B, A]), addresses(&[])];
        let endpoints = EndpointBook::default().on_listed(listed);
        assert_eq!(endpoints.len(), 2);
        assert_eq!(endpoints[0].addresses(), &*addresses(&[A, B]));
    }
}
