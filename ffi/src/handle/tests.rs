use super::*;

fn table() -> Table<u32> {
    Table::new(Kind::Channel)
}

fn result<T>(outcome: Result<T, Refusal>) -> i32 {
    outcome.map_or_else(|refusal| refusal.result, |_| 0)
}

#[test]
fn a_handle_leads_to_its_value_until_it_is_released() {
    let table = table();
    let handle = table.insert(7).expect("room");
    assert_eq!(table.get(handle).expect("live"), 7);
    assert_eq!(table.live(), 1);
    assert_eq!(table.release(handle).expect("live"), Some(7));
    assert_eq!(table.live(), 0);
    assert_eq!(result(table.get(handle)), LINKSPAN_ECLOSED);
    assert_eq!(result(table.release(handle)), LINKSPAN_ECLOSED);
}

#[test]
fn a_reused_slot_does_not_answer_to_its_old_handle() {
    let table = table();
    let old = table.insert(1).expect("room");
    table.release(old).expect("live");
    let new = table.insert(2).expect("room");
    assert_eq!(old & 0xff_ffff, new & 0xff_ffff, "the test means to reuse the slot");
    assert_eq!(result(table.get(old)), LINKSPAN_ECLOSED);
    assert_eq!(table.get(new).expect("live"), 2);
}

#[test]
fn what_was_never_handed_out_is_no_handle() {
    let table = table();
    let handle = table.insert(1).expect("room");
    let later_filling = handle + (1 << FILLING_SHIFT);
    let no_filling = handle & !(u64::from(LAST_FILLING) << FILLING_SHIFT);
    let later_process = handle + (1 << PROCESS_SHIFT);
    let other_kind = handle ^ (1 << KIND_SHIFT);
    let other_slot = handle + (5 << SHARD_BITS);
    for wrong in [0, 1, u64::MAX, 0xdead_beef, later_filling, no_filling, later_process, other_kind, other_slot] {
        assert_eq!(result(table.get(wrong)), LINKSPAN_EHANDLE, "{wrong:x}");
    }
}

#[test]
fn a_retained_handle_takes_one_more_close() {
    let table = table();
    let handle = table.insert(1).expect("room");
    table.retain(handle).expect("live");
    assert_eq!(table.release(handle).expect("live"), None);
    assert_eq!(table.get(handle).expect("still held"), 1);
    assert_eq!(table.release(handle).expect("live"), Some(1));
    assert_eq!(result(table.retain(handle)), LINKSPAN_ECLOSED);
}

#[test]
fn remove_closes_whatever_is_held() {
    let table = table();
    let handle = table.insert(9).expect("room");
    table.retain(handle).expect("live");
    assert_eq!(table.remove(handle), Some(9));
    assert_eq!(table.remove(handle), None);
}

#[test]
fn a_slot_that_used_up_its_fillings_is_retired() {
    let table = table();
    let first = table.insert(1).expect("room");
    table.release(first).expect("live");
    let place = table.place(first).expect("kind fits");
    table.write(place.shard).slots[place.slot].filling = LAST_FILLING;
    let last = table.insert(2).expect("room");
    assert_eq!(last & 0xff_ffff, first & 0xff_ffff);
    table.release(last).expect("live");
    assert_eq!(result(table.get(last)), LINKSPAN_ECLOSED);
    let next = table.insert(3).expect("room");
    assert_ne!(next & 0xff_ffff, last & 0xff_ffff);
}

#[test]
fn threads_get_distinct_handles_and_lose_none() {
    static TABLE: Table<u64> = Table::new(Kind::Call);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            scope.spawn(move || {
                for round in 0..2_000 {
                    let value = thread * 10_000 + round;
                    let handle = TABLE.insert(value).expect("room");
                    assert_eq!(TABLE.get(handle).expect("live"), value);
                    assert_eq!(TABLE.release(handle).expect("live"), Some(value));
                }
            });
        }
    });
    assert_eq!(TABLE.live(), 0);
}

#[test]
fn collect_finds_what_fits() {
    let table = table();
    let handles: Vec<_> = (0..10).map(|value| table.insert(value).expect("room")).collect();
    let found = table.collect(|value| *value >= 8);
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable_by_key(|(_, value)| *value);
    assert_eq!(found, [(handles[8], 8), (handles[9], 9)]);
}
