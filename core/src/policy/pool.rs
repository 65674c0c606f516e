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
/// the fewest streams; further ones only when those are full, and the oldest first, so that the newest come to rest ([CONN-123]).
pub(crate) fn choose(sizes: PoolSizes, loads: impl Iterator<Item = Load>) -> Option<usize> {
    let with_room = loads.enumerate().filter(|(_, load)| load.has_room);
    let best = with_room.min_by_key(|(place, load)| {
        let is_spare = sizes.is_spare(*place);
        (load.has_refused, is_spare, if is_spare { 0 } else { load.streams })
    });
    best.map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u32 = 100;

    /// By the streams on each, of a hundred; where a refusal came from, if any.
    fn chosen(kept: u32, streams: &[u32], refused_by: Option<usize>) -> Option<usize> {
        let load = |(place, streams): (usize, &u32)| Load {
            streams: *streams,
            has_room: *streams < FULL,
            has_refused: refused_by == Some(place),
        };
        choose(PoolSizes { kept, most: 10 }, streams.iter().enumerate().map(load))
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
    fn of_those_that_are_kept_the_least_loaded_is_taken_and_of_equals_the_oldest() {
        assert_eq!(chosen(3, &[2, 1, 1, 0], None), Some(1));
        assert_eq!(chosen(3, &[0, 0, 0], None), Some(0));
        assert_eq!(chosen(3, &[FULL, FULL, 99, 0], None), Some(2));
        assert_eq!(chosen(3, &[FULL, FULL, FULL, 5, 0], None), Some(3));
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
