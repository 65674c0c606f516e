//! A list put in a random order, without drawing random numbers: chance comes in once, as a fraction, and all orders follow from it.

use crate::random::Random;

/// A source of orders, each of its own.
#[derive(Debug)]
pub(crate) struct Shuffle(Random);

impl Shuffle {
    /// `unit` is a random fraction in 0..1.
    pub(crate) fn new(unit: f64) -> Self {
        // The bits of a fraction differ wherever the fractions do.
        Self(Random::new(unit.to_bits()))
    }

    /// Every order is as likely as any other (Fisher and Yates).
    pub(super) fn shuffle<T>(&self, list: &mut [T]) {
        for rest in (2..=list.len()).rev() {
            #[expect(clippy::cast_possible_truncation, reason = "below the length of a list")]
            let at = (self.0.bits() % rest as u64) as usize;
            list.swap(at, rest - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn order(shuffle: &mut Shuffle) -> [u8; 3] {
        let mut list = [0, 1, 2];
        shuffle.shuffle(&mut list);
        list
    }

    #[test]
    fn the_same_fraction_gives_the_same_orders_and_one_after_the_other_differs() {
        let (mut one, mut same) = (Shuffle::new(0.25), Shuffle::new(0.25));
        let orders: Vec<_> = (0..10).map(|_| order(&mut one)).collect();
        assert!(orders.iter().all(|wanted| order(&mut same) == *wanted));
        assert!(orders.iter().any(|order| *order != orders[0]));
    }

    #[test]
    fn each_order_comes_about_as_often_as_any_other() {
        let mut seen = BTreeMap::new();
        for number in 0..6_000 {
            *seen.entry(order(&mut Shuffle::new(f64::from(number) / 6_000.0))).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|times| (850..1_150).contains(times)), "{seen:?}");
    }

    #[test]
    fn short_lists_stay_as_they_are() {
        Shuffle::new(0.0).shuffle::<u8>(&mut []);
        let mut one = ["a"];
        Shuffle::new(0.0).shuffle(&mut one);
        assert_eq!(one, ["a"]);
    }
}
