//! A list put in a random order, without drawing random numbers: chance comes in once, as a fraction, and all orders follow from it.

/// A source of orders, each of its own.
#[derive(Debug)]
pub(crate) struct Shuffle(u64);

impl Shuffle {
    /// `unit` is a random fraction in 0..1.
    pub(crate) fn new(unit: f64) -> Self {
        // The bits of a fraction differ wherever the fractions do.
        Self(unit.to_bits())
    }

    /// Every order is as likely as any other (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for rest in (2..=list.len()).rev() {
            #[expect(clippy::cast_possible_truncation, reason = "below the length of a list")]
            let at = (self.next() % rest as u64) as usize;
            list.swap(at, rest - 1);
        }
    }

    /// splitmix64, by Sebastiano Vigna.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
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
