use proptest::prelude::*;

use super::*;

/// A field that holds a double.
pub(super) fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

/// A field that holds bytes, fewer than 128.
fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(value.len()).expect("few")][..], value].concat()
}

fn entry(map: u8, key: &str, value: f64) -> Vec<u8> {
    bytes(map, &[bytes(1, key.as_bytes()), double(2, value)].concat())
}

/// The parts one after the other.
fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// [LB-49]
#[test]
fn a_report_says_what_the_server_wrote() {
    let written = message(&[
        double(1, 0.25),
        double(2, 0.5),
        entry(4, "db", 9.0),
        entry(5, "disk", 0.75),
        double(6, 1_000.5),
        double(7, 2.0),
        entry(8, "queue.depth", 17.0),
        entry(8, "", 3.0),
        double(9, 1.25),
    ]);
    let report = LoadReport::read(&written).expect("a report");
    assert_eq!((report.cpu_utilization, report.mem_utilization), (0.25, 0.5));
    assert_eq!((report.queries_per_second, report.errors_per_second), (1_000.5, 2.0));
    assert_eq!(report.application_utilization, 1.25);
    assert_eq!((report.utilization("disk"), report.utilization("db")), (Some(0.75), None));
    assert_eq!(report.named_metric("queue.depth"), Some(17.0));
    assert_eq!((report.named_metric(""), report.named_metric("disk")), (Some(3.0), None));
}

/// `cpu_utilization: 0.5 rps: 300 named_metrics { key: "q" value: 2 } rps_fractional: 100`, laid out by protobuf's rules.
#[test]
fn a_report_of_which_only_some_is_wanted_is_read() {
    let written =
        b"\x09\0\0\0\0\0\0\xe0\x3f\x18\xac\x02\x31\0\0\0\0\0\0\x59\x40\x42\x0c\x0a\x01q\x11\0\0\0\0\0\0\0\x40";
    let report = LoadReport::read(written).expect("a report");
    assert_eq!((report.cpu_utilization, report.queries_per_second), (0.5, 100.0));
    assert_eq!(report.named_metric("q"), Some(2.0));
}

#[test]
fn nothing_at_all_is_a_report_of_zeros() {
    assert_eq!(LoadReport::read(b""), Some(LoadReport::default()));
}

#[test]
fn of_what_is_said_twice_the_last_counts_and_what_an_entry_leaves_out_is_zero() {
    let written =
        message(&[double(1, 0.1), double(1, 0.2), entry(8, "a", 1.0), entry(8, "b", 2.0), entry(8, "a", 3.0)]);
    let report = LoadReport::read(&written).expect("a report");
    assert_eq!((report.cpu_utilization, report.named_metric("a")), (0.2, Some(3.0)));
    let written = message(&[bytes(8, &bytes(1, b"only a key")), bytes(8, &double(2, 4.0))]);
    let report = LoadReport::read(&written).expect("a report");
    assert_eq!((report.named_metric("only a key"), report.named_metric("")), (Some(0.0), Some(4.0)));
}

#[test]
fn what_is_of_later_versions_or_other_types_is_passed_over() {
    let written = message(&[
        // Numbers 16 and 17: their tags take two bytes.
        vec![0x80, 0x01, 0x96, 0x01],
        vec![0x8d, 0x01, 1, 2, 3, 4],
        bytes(15, b"text"),
        double(14, 5.0),
        bytes(1, b"no double"),
        double(8, 1.0),
        double(6, 7.0),
    ]);
    let report = LoadReport::read(&written).expect("a report");
    assert_eq!((report.queries_per_second, report.cpu_utilization), (7.0, 0.0));
}

#[test]
fn what_is_cut_off_or_garbled_is_no_report() {
    let table: [(&str, &[u8]); 9] = [
        ("a tag without its value", &[0x09]),
        ("seven bytes of eight", &[0x09, 0, 0, 0, 0, 0, 0, 0]),
        ("a text longer than the rest", &[0x7a, 2, b'a']),
        ("a length without an end", &[0x7a, 0xff]),
        ("a length beyond memory", &[0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("a number of eleven bytes", &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("a group", &[0x0b, 0x0c]),
        ("field 0", &[0x01, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("an entry that is cut off inside", &[0x42, 2, 0x11, 0]),
    ];
    for (what, bytes) in table {
        assert_eq!(LoadReport::read(bytes), None, "{what}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_report_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), key in ".{0,4}") {
        if let Some(report) = LoadReport::read(&bytes) {
            let _ = (report.utilization(&key), report.named_metric(&key));
        }
    }

    #[test]
    fn a_report_that_is_cut_anywhere_is_a_shorter_one_or_none(cut in 0_usize..60) {
        let whole = message(&[double(1, 0.25), entry(5, "disk", 0.75), double(6, 10.0), entry(8, "queue", 17.0)]);
        let cut = cut.min(whole.len());
        if let Some(report) = LoadReport::read(&whole[..cut]) {
            prop_assert!(report.cpu_utilization == 0.25 || cut == 0);
            prop_assert!(report.named_metric("queue") == (cut == whole.len()).then_some(17.0));
        }
    }

    #[test]
    fn numbers_come_back_as_they_were_written(cpu in any::<f64>(), queries in any::<f64>(), errors in any::<f64>()) {
        let said = LoadReport { cpu_utilization: cpu, queries_per_second: queries, errors_per_second: errors, ..LoadReport::default() };
        let written = said.written();
        let report = LoadReport::read(&written).expect("a report");
        let bits = |report: &LoadReport<'_>| {
            [report.cpu_utilization, report.queries_per_second, report.errors_per_second].map(f64::to_bits)
        };
        // A zero is not written, whatever its sign.
        let expected = bits(&said).map(|bits| if f64::from_bits(bits) == 0.0 { 0 } else { bits });
        prop_assert_eq!(bits(&report), expected);
    }
}
