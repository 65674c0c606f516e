use super::*;

const DEFAULT: RingSizes = RingSizes { min: 1_024, max: 4_096 };

fn ring(members: &[(&str, u32)], sizes: RingSizes) -> Ring {
    let members: Vec<_> = members.iter().map(|(key, weight)| Member { key: (*key).into(), weight: *weight }).collect();
    Ring::new(&members, sizes)
}

/// A ring of so many endpoints, of which `without` is missing, and the numbers of its members.
fn of(count: usize, without: Option<usize>) -> (Ring, Vec<usize>) {
    let numbers: Vec<usize> = (0..count).filter(|number| Some(*number) != without).collect();
    let members: Vec<_> =
        numbers.iter().map(|number| Member { key: format!("endpoint-{number}:443"), weight: 1 }).collect();
    (Ring::new(&members, DEFAULT), numbers)
}

/// Of ten thousand keys, how many an endpoint had that goes, and how many change from one of the others to another one.
fn moved(count: usize) -> (u32, u32) {
    const GONE: usize = 3;
    let ((before, numbers), (after, left)) = (of(count, None), of(count, Some(GONE)));
    let (mut of_gone, mut of_others) = (0, 0);
    for key in 0..10_000 {
        let hash = XxHash64::oneshot(SEED, format!("user-{key}").as_bytes());
        let owner = |ring: &Ring, numbers: &[usize]| numbers[ring.members_from(hash).next().expect("a place")];
        match (owner(&before, &numbers), owner(&after, &left)) {
            (GONE, _) => of_gone += 1,
            (one, another) if one != another => of_others += 1,
            _ => {}
        }
    }
    (of_gone, of_others)
}

fn counts(ring: &Ring, members: usize) -> Vec<usize> {
    let mut counts = vec![0; members];
    ring.0.iter().for_each(|place| counts[place.member as usize] += 1);
    counts
}

/// [LB-60]. From xxHash's own sanity checks and documentation, and its Python and Go tests.
#[test]
fn the_hash_is_xxh64() {
    let published = [
        (0, "", 0xef46_db37_51d8_e999),
        (2_654_435_761, "", 0xac75_fda2_929b_17ef),
        (0, "a", 0xd24e_c4f1_a98c_6e5b),
        (0, "abc", 0x44bc_2cf5_ad77_0999),
        (0, "Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
    ];
    for (seed, text, hash) in published {
        assert_eq!(XxHash64::oneshot(seed, text.as_bytes()), hash, "{text}");
    }
}

/// [LB-61]. The hashes are those of libxxhash.
#[test]
fn a_ring_has_the_places_of_its_members_keys() {
    let places: Vec<_> = ring(&[("10.0.0.1:1", 1), ("10.0.0.2:1", 1), ("10.0.0.3:1", 1)], RingSizes { min: 4, max: 9 })
        .0
        .iter()
        .map(|place| (place.hash, place.member))
        .collect();
    let wanted = [
        (0x1ac8_99ce_b27e_d483, 1),
        (0x1f5a_3980_42bf_3d15, 2),
        (0x8148_2ab0_3059_ec2d, 0),
        (0x986b_ef79_8fda_c65e, 0),
        (0xd2d1_c09f_9c4f_c62b, 2),
        (0xda8a_193c_6506_e76b, 1),
    ];
    assert_eq!(places, wanted);
}

/// [LB-61]
#[test]
fn members_get_places_by_their_weights_within_the_sizes() {
    type Members<'a> = &'a [(&'a str, u32)];
    let table: [(Members<'_>, RingSizes, &[usize]); 8] = [
        (&[], DEFAULT, &[]),
        (&[("a", 1)], DEFAULT, &[1_024]),
        (&[("a", 1)], RingSizes { min: 1, max: 1 }, &[1]),
        // As many for each, if that makes more than the minimum.
        (&[("a", 1), ("b", 1), ("c", 1)], DEFAULT, &[342, 342, 342]),
        (&[("a", 1), ("b", 2)], DEFAULT, &[342, 684]),
        (&[("a", 1), ("b", 2), ("c", 3)], RingSizes { min: 5, max: 9 }, &[1, 2, 3]),
        (&[("a", 1), ("b", 999)], DEFAULT, &[2, 1_998]),
        // The maximum stands, whatever becomes of the last.
        (&[("a", 1), ("b", 1), ("c", 1)], RingSizes { min: 2, max: 2 }, &[1, 1, 0]),
    ];
    for (members, sizes, wanted) in table {
        assert_eq!(counts(&ring(members, sizes), members.len()), wanted, "{members:?} {sizes:?}");
    }
    let many: Vec<_> = (0..5_000).map(|number| Member { key: number.to_string(), weight: 1 }).collect();
    assert_eq!(Ring::new(&many, DEFAULT).0.len(), 4_096);
    assert_eq!(DEFAULT.capped(2_000), RingSizes { min: 1_024, max: 2_000 });
    assert_eq!(DEFAULT.capped(10), RingSizes { min: 10, max: 10 });
}

/// [LB-62]
#[test]
fn a_hash_belongs_to_the_place_it_is_at_or_the_next_around_the_ring() {
    let places = [(10, 0), (20, 1), (30, 2)].map(|(hash, member)| Place { hash, member });
    let ring = Ring(Box::new(places));
    for (hash, wanted) in [
        (0, [0, 1, 2]),
        (10, [0, 1, 2]),
        (11, [1, 2, 0]),
        (20, [1, 2, 0]),
        (30, [2, 0, 1]),
        (31, [0, 1, 2]),
        (u64::MAX, [0, 1, 2]),
    ] {
        assert!(ring.members_from(hash).eq(wanted), "{hash}");
    }
    assert_eq!(Ring::default().members_from(5).next(), None);
}

/// The others get a share of its places: 114 each in place of 103, and the keys of the new ones move, too.
#[test]
fn one_endpoint_of_ten_that_goes_moves_its_keys_and_few_others() {
    let (of_gone, of_others) = moved(10);
    assert!((800..=1_200).contains(&of_gone), "{of_gone} were its own");
    assert!((500..=1_000).contains(&of_others), "{of_others} were not");
}

/// Two places for each endpoint, before and after.
#[test]
fn an_endpoint_that_goes_moves_its_keys_alone_where_the_others_keep_their_number_of_places() {
    let (of_gone, of_others) = moved(1_000);
    assert!((1..=60).contains(&of_gone), "{of_gone} were its own");
    assert_eq!(of_others, 0);
}
