//! The static-stride schedule: picks in proportion to weights, in constant time and without state of its own ([LB-46] to [LB-48]).
//!
//! A sequence number is a place, one after the other, and a generation, counted up when all had their turn. In a generation a place is
//! taken or passed over, and of `M` generations it is taken in as many as its weight, spread evenly over them:
//!
//! ```text
//! weights M and M/2        generation 0   1   2   3
//!                          place 0   ×   ×   ×   ×
//!                          place 1   ×       ×
//! ```

/// What the largest weight is scaled to: `M`.
const MOST: u16 = u16::MAX;

/// Weights above so many times their mean are cut off there, so that few numbers are passed over; gRPC C's values.
const MOST_OF_MEAN: f64 = 10.0;
/// Weights below this share of the mean are raised to it.
const LEAST_OF_MEAN: f64 = 0.01;

/// A schedule of two places or more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stride(Box<[u16]>);

impl Stride {
    /// The schedule of these weights, each above 0 or not known; `None` when fewer than two are known ([LB-46]).
    pub(super) fn of(weights: &[Option<f64>]) -> Option<Self> {
        let known = || weights.iter().copied().flatten();
        known().nth(1)?;
        let largest = known().fold(0.0, f64::max);
        // Of shares of the largest, because a sum of the weights themselves may be more than a number holds.
        #[expect(clippy::cast_precision_loss, reason = "a count of endpoints")]
        let mean = known().map(|weight| weight / largest).sum::<f64>() / known().count() as f64;
        let cut_at = (mean * MOST_OF_MEAN).min(1.0);
        let scaled = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of u16::MAX")]
            let scaled = (share.min(cut_at) / cut_at * f64::from(MOST)).round() as u16;
            scaled
        };
        let mean = scaled(mean);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of u16::MAX")]
        let least = ((f64::from(mean) * LEAST_OF_MEAN).round() as u16).max(1);
        // [LB-47]
        let whole = |weight: &Option<f64>| weight.map_or(mean, |weight| scaled(weight / largest).max(least));
        Some(Self(weights.iter().map(whole).collect()))
    }

    /// The next place. `next` gives a number that is one more each time.
    ///
    /// On average it takes as many numbers as the largest weight is above the mean, and never more than there are places: the largest
    /// weight is passed over in no generation.
    pub(super) fn pick(&self, mut next: impl FnMut() -> u32) -> usize {
        let most = u64::from(MOST);
        loop {
            let sequence = next() as usize;
            let (place, generation) = (sequence % self.0.len(), sequence / self.0.len());
            let weight = u64::from(self.0[place]);
            // The second part lets neighbours be passed over in different generations.
            let turn = (weight * generation as u64 + place as u64 * (most / 2)) % most;
            if turn >= most - weight {
                return place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(weights: &[Option<f64>]) -> Option<Vec<u16>> {
        Stride::of(weights).map(|stride| stride.0.into_vec())
    }

    /// How often each place is picked, and how many numbers that takes.
    fn picked(stride: &Stride, first: u32, picks: usize) -> (Vec<usize>, u32) {
        let mut sequence = first;
        let mut counts = vec![0; stride.0.len()];
        for _ in 0..picks {
            counts[stride.pick(|| {
                sequence = sequence.wrapping_add(1);
                sequence.wrapping_sub(1)
            })] += 1;
        }
        (counts, sequence.wrapping_sub(first))
    }

    /// [LB-46]
    #[test]
    fn there_is_a_schedule_where_two_weights_are_known() {
        for weights in [&[][..], &[None], &[Some(5.0)], &[None, None], &[Some(5.0), None, None]] {
            assert_eq!(scaled(weights), None, "{weights:?}");
        }
        assert!(scaled(&[Some(5.0), None, Some(5.0)]).is_some());
    }

    /// [LB-47], [LB-48]
    #[test]
    fn weights_are_scaled_cut_and_filled_in() {
        let table: [(&[Option<f64>], &[u16]); 7] = [
            (&[Some(7.0), Some(7.0)], &[65_535, 65_535]),
            // 65535 × 1/2 = 32767.5 and × 1/4 = 16383.75
            (&[Some(100.0), Some(50.0), Some(25.0)], &[65_535, 32_768, 16_384]),
            // The mean of those known is 15/20 of the largest: 49151.25.
            (&[Some(20.0), None, Some(10.0)], &[65_535, 49_151, 32_768]),
            // The mean is 11 and its tenfold 110, so 121 counts as 110: the others are 65535 × 1/110 = 595.8 and the mean 6553.5, one
            // hundredth of which is 65.5.
            (
                &[
                    Some(121.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                    Some(1.0),
                ],
                &[65_535, 596, 596, 596, 596, 596, 596, 596, 596, 596, 596, 596],
            ),
            // The mean is 0.500005 of the largest: 32767.8, one hundredth of which is 327.7.
            (&[Some(100_000.0), Some(1.0)], &[65_535, 328]),
            (&[Some(f64::MAX), Some(f64::MAX)], &[65_535, 65_535]),
            (&[Some(f64::MAX), Some(f64::MIN_POSITIVE)], &[65_535, 328]),
        ];
        for (weights, expected) in table {
            assert_eq!(scaled(weights).as_deref(), Some(expected), "{weights:?}");
        }
    }

    /// [LB-48]
    #[test]
    fn a_place_is_picked_as_often_as_its_weight_in_m_generations() {
        for weights in [vec![65_535, 32_768], vec![1, 65_535, 2, 40_000], vec![65_535; 3], vec![655, 65_535]] {
            let picks = weights.iter().copied().map(usize::from).sum();
            let stride = Stride(weights.clone().into());
            let (counts, numbers) = picked(&stride, 0, picks);
            assert_eq!(counts, weights.iter().copied().map(usize::from).collect::<Vec<_>>());
            let generations = u32::from(MOST) * u32::try_from(weights.len()).expect("few");
            assert!(numbers <= generations, "{weights:?}: {numbers} of {generations}");
        }
    }

    /// [LB-48]: by hand, for `M` = 65535 and its half of 32767.
    #[test]
    fn the_first_picks_are_those_of_the_formula() {
        let stride = Stride([65_535, 32_768, 16_384].into());
        // Place 0 is always taken. Place 1: 32768 g + 32767 mod M is 32767, 0, 32768, 1, 32769, … and taken from 32767 on, in every even
        // generation. Place 2: 16384 g + 65534 is 65534, 16383, 32767, 49151, 0, 16384, 32768, 49152, 1 and taken from 49151 on.
        let expected = [0, 1, 2, 0, 0, 1, 0, 2, 0, 1, 0, 0, 1, 0, 2, 0, 1];
        let mut sequence = 0..;
        let picks = expected.map(|_| stride.pick(|| sequence.next().expect("numbers")));
        assert_eq!(picks, expected);
    }

    /// [LB-48]
    #[test]
    fn ten_thousand_picks_are_spread_by_weight_wherever_they_begin() {
        let stride = Stride::of(&[Some(400.0), Some(300.0), Some(200.0), Some(100.0)]).expect("known");
        for first in [0, 1, 12_345, u32::MAX - 5_000] {
            let (counts, numbers) = picked(&stride, first, 10_000);
            for (place, expected) in [4_000_usize, 3_000, 2_000, 1_000].into_iter().enumerate() {
                assert!(counts[place].abs_diff(expected) <= 3, "from {first}: {counts:?}");
            }
            // The sum of the weights is 2.5 of 4 times the largest.
            assert!(numbers.abs_diff(16_000) <= 10, "{numbers} numbers");
        }
    }

    /// [LB-48]
    #[test]
    fn a_pick_takes_no_more_numbers_than_there_are_places_however_the_weights_differ() {
        let mut weights = vec![Some(1.0); 99];
        weights.push(Some(1e9));
        let stride = Stride::of(&weights).expect("known");
        let mut first = 0;
        for _ in 0..10_000 {
            let (_, numbers) = picked(&stride, first, 1);
            assert!(numbers <= 100, "{numbers} numbers from {first} on");
            first += numbers;
        }
    }
}
