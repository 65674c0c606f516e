//! How many connections one address has, and which of them a call takes (A105, [CONN-120] to [CONN-126]).

/// How many connections each address of a channel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolSizes {
    /// So many are kept open, and calls are spread over them.
    pub(crate) kept: u32,
    /// So many there may be while calls wait for streams; no fewer are kept.
    pub(crate) most: u32,
}

impl PoolSizes {
    /// Whether one that was the `place`-th to open goes when it is not used.
    pub(crate) fn is_spare(self, place: usize) -> bool {
        place >= self.kept as usize
    }

    /// Whether there are fewer than there are to be, whatever calls do.
    pub(crate) fn is_short(self, count: usize) -> bool {
        count < self.kept as usize
    }

    /// How many turns it is until that of the one that was the `place`-th of those that are kept.
    fn until_turn(self, turn: usize, place: usize) -> usize {
        let kept = self.kept.max(1) as usize;
        (place + kept - turn % kept) % kept
    }

    /// Whether a further one may be opened for calls that wait.
    pub(crate) fn may_grow(self, count: usize) -> bool {
        count < self.most.max(self.kept) as usize
    }
}

/// What a choice knows of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) streams: u32,
    /// Whether another stream may be opened now.
    pub(crate) has_room: bool,
    /// Whether the call was refused there: it goes elsewhere if it can.
    pub(crate) has_refused: bool,
}

/// The place of the connection a call takes; they are given in the order in which they were opened. Of those that are kept, the one with
/// the fewest streams, and of equals each in its turn, since a balancer may have given them different servers; further ones only when those are
/// full, and the oldest first, so that the newest come to rest ([CONN-123]).
pub(crate) fn choose(sizes: PoolSizes, turn: usize, loads: impl Iterator<Item = Load>) -> Option<usize> {
    let with_room = loads.enumerate().filter(|(_, load)| load.has_room);
    let best = with_room.min_by_key(|(place, load)| {
        let is_spare = sizes.is_spare(*place);
        (load.has_refused, is_spare, if is_spare { (0, 0) } else { (load.streams, sizes.until_turn(turn, *place)) })
    });
    best.map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u32 = 100;

    /// By the streams on each, of a hundred; where a refusal came from, if any. It is the first one's turn.
    fn chosen(kept: u32, streams: &[u32], refused_by: Option<usize>) -> Option<usize> {
        chosen_in_turn(kept, 0, streams, refused_by)
    }

    fn chosen_in_turn(kept: u32, turn: usize, streams: &[u32], refused_by: Option<usize>) -> Option<usize> {
        let load = |(place, streams): (usize, &u32)| Load {
            streams: *streams,
            has_room: *streams < FULL,
            has_refused: refused_by == Some(place),
        };
        choose(PoolSizes { kept, most: 10 }, turn, streams.iter().enumerate().map(load))
    }

    /// [CONN-123]
    #[test]
    fn the_oldest_connection_with_room_is_taken() {
        assert_eq!(chosen(1, &[], None), None);
        assert_eq!(chosen(1, &[99, 0, 0], None), Some(0));
        assert_eq!(chosen(1, &[FULL, 7, 0], None), Some(1));
        assert_eq!(chosen(1, &[FULL, FULL, 98], None), Some(2));
        assert_eq!(chosen(1, &[FULL, FULL, FULL], None), None);
    }

    #[test]
    fn of_those_that_are_kept_the_least_loaded_is_taken_and_of_equals_each_in_its_turn() {
        assert_eq!(chosen(3, &[2, 1, 1, 0], None), Some(1));
        assert_eq!(chosen(3, &[0, 0, 0], None), Some(0));
        assert_eq!(chosen(3, &[FULL, FULL, 99, 0], None), Some(2));
        assert_eq!(chosen(3, &[FULL, FULL, FULL, 5, 0], None), Some(3));
        let in_turn = |streams: &[u32]| [0, 1, 2, 3].map(|turn| chosen_in_turn(3, turn, streams, None));
        assert_eq!(in_turn(&[0, 0, 0, 0]), [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(in_turn(&[4, 3, 3]), [Some(1), Some(1), Some(2), Some(1)]);
        assert_eq!(in_turn(&[0]), [Some(0); 4], "while the others are dialed");
        assert_eq!(in_turn(&[FULL, FULL, FULL, 2, 1]), [Some(3); 4], "further ones have no turns");
    }

    #[test]
    fn a_call_that_was_refused_goes_elsewhere_where_there_is_room() {
        assert_eq!(chosen(1, &[1, 5], Some(0)), Some(1));
        assert_eq!(chosen(2, &[1, 5, 0], Some(0)), Some(1));
        assert_eq!(chosen(1, &[1, FULL], Some(0)), Some(0));
    }

    /// [CONN-124]
    #[test]
    fn a_pool_grows_up_to_its_bound_and_never_keeps_fewer_than_it_should() {
        let sizes = PoolSizes { kept: 2, most: 3 };
        let of = |count| (sizes.is_short(count), sizes.may_grow(count));
        assert_eq!([0, 1, 2, 3].map(of), [(true, true), (true, true), (false, true), (false, false)]);
        assert!(PoolSizes { kept: 4, most: 1 }.may_grow(3), "what is kept counts where less may be");
    }
}
