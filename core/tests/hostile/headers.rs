//! Headers that are too much, too many, or no headers at all.

use linkspan_core::Code;

use crate::attacker::*;
use crate::siege::{BOUND, Fate, attacks, bounded, endure};

const PROTOCOL_ERROR: u32 = 1;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

const STATUS_200: u8 = 0x88;

/// A good beginning and then these bytes of a header block.
fn good_then(stream: u32, bytes: &[u8]) -> Vec<u8> {
    headers_of(
        stream,
        &[block(&[(":status", "200"), ("content-type", "application/grpc")]), bytes.to_vec()].concat(),
        0,
    )
}

/// A block that puts a field of four kilobytes into the table and then names it so many times, a byte each.
fn bomb(times: usize) -> Vec<u8> {
    let value = field("", "x".repeat(3_900));
    // A literal with incremental indexing: 0x40, the name, the value as `field` writes it behind its empty name.
    [&[STATUS_200, 0x40, 1, b'a'][..], &value[2..], &vec![0x80 | 62; times]].concat()
}

attacks! {
    /// [WIRE-72]
    a_field_above_the_limit: ResourceExhausted, Reset(CANCEL), |stream| start_with(stream, "x-a", "x".repeat(17_000));
    /// [WIRE-72], [WIRE-74]
    a_field_in_many_continuations_above_the_limit: ResourceExhausted, Reset(CANCEL), |stream| start_with(stream, "x-a", "x".repeat(900_000));
    /// [WIRE-72]
    a_field_above_what_http_2_itself_takes: ResourceExhausted, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "x-a", "x".repeat(1_100_000));
    /// [WIRE-70], [WIRE-72]
    many_small_fields: ResourceExhausted, Reset(CANCEL), |stream| good_then(stream, &field("a", "").repeat(20_000));
    many_names: Internal, Reset(PROTOCOL_ERROR), |stream| good_then(stream, &(0..25_500).flat_map(|number| field(format!("{number:x}"), "")).collect::<Vec<u8>>());
    /// [WIRE-72]
    trailers_above_the_limit: ResourceExhausted, GoesOn, |stream| [start(stream), message(stream, b""), trailers(stream, &[("x-a", &"x".repeat(17_000)), ("grpc-status", "0")])].concat();
    /// [WIRE-72]
    trailers_above_what_http_2_itself_takes: ResourceExhausted, GoesOn, |stream| [start(stream), message(stream, b""), trailers(stream, &[("x-a", &"x".repeat(1_100_000)), ("grpc-status", "0")])].concat();
    /// [WIRE-72]
    trailers_above_what_http_2_itself_takes_behind_a_good_status: ResourceExhausted, GoesOn, |stream| [start(stream), message(stream, b""), trailers(stream, &[("grpc-status", "0"), ("x-a", &"x".repeat(1_100_000))])].concat();
    /// [WIRE-72]
    a_bomb_that_unfolds_to_less_than_http_2_takes: ResourceExhausted, GoesOn, |stream| headers_of(stream, &[bomb(200), field("content-type", "application/grpc")].concat(), 0);
    a_bomb_that_unfolds_to_four_megabytes: Internal, GoAway(ENHANCE_YOUR_CALM), |stream| headers_of(stream, &bomb(1_200), 0);
    a_bomb_that_unfolds_to_sixty_megabytes: Internal, GoAway(ENHANCE_YOUR_CALM), |stream| headers_of(stream, &bomb(16_000), 0);
    a_table_larger_than_allowed: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[table_size(1 << 20), vec![STATUS_200]].concat(), 0);
    a_table_of_the_largest_size_that_can_be_said: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[table_size(u32::MAX as usize), vec![STATUS_200]].concat(), 0);
    a_table_that_changes_its_size_all_the_time: Ok, GoesOn, |stream| [headers_of(stream, &[[table_size(0), table_size(4_096)].concat().repeat(500), block(&[(":status", "103")])].concat(), 0), answer(stream, b"")].concat();
    a_change_of_the_table_between_fields: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[vec![STATUS_200], table_size(100)].concat(), 0);
    a_field_of_two_gigabytes: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[STATUS_200, 0, 1, b'a', 0x7f, 0x80, 0xff, 0xff, 0xff, 0x07], 0);
    a_number_without_an_end: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[&[STATUS_200, 0x7f][..], &[0xff; 30]].concat(), 0);
    the_index_zero: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[0x80], 0);
    an_index_of_nothing: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[STATUS_200, 0xff, 0x80, 0x08], 0);
    a_text_that_is_no_huffman_code: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[STATUS_200, 0, 1, b'a', 0x84, 0xff, 0xff, 0xff, 0xff], 0);
    half_a_field: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[STATUS_200, 0, 9, b'a'], 0);
    random_bytes: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &[0xe5, 0x1f, 0xff, 0x42, 0x00, 0xc3, 0x7f], 0);

    /// [WIRE-30]
    a_name_in_upper_case: Internal, GoAway(PROTOCOL_ERROR), |stream| start_with(stream, "X-Upper", "x");
    a_name_without_a_letter: Internal, GoAway(PROTOCOL_ERROR), |stream| start_with(stream, "", "x");
    a_name_with_a_space: Internal, GoAway(PROTOCOL_ERROR), |stream| start_with(stream, "x a", "x");
    a_value_with_a_zero_byte: Internal, GoAway(PROTOCOL_ERROR), |stream| start_with(stream, "x-a", b"a\0b");
    a_value_with_a_line_end: Internal, GoAway(PROTOCOL_ERROR), |stream| start_with(stream, "x-a", "a\r\ngrpc-status: 0");
    /// [WIRE-56]
    a_header_of_the_connection: Internal, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "connection", "close");
    /// [WIRE-56]
    a_keep_alive: Internal, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "keep-alive", "5");
    /// [WIRE-56]
    a_transfer_encoding: Internal, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "transfer-encoding", "chunked");
    /// [WIRE-56]
    an_upgrade: Internal, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "upgrade", "h3");
    /// [WIRE-56]
    a_te_that_is_not_trailers: Internal, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "te", "gzip");

    two_statuses_of_http: Internal, Reset(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[(":status", "200"), (":status", "200")]), 0);
    a_status_of_http_behind_other_fields: Internal, Reset(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[("content-type", "application/grpc"), (":status", "200")]), 0);
    a_status_of_http_that_is_no_number: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[(":status", "abc")]), 0);
    a_status_of_http_with_four_digits: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[(":status", "2000")]), 0);
    an_empty_status_of_http: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[(":status", "")]), 0);
    no_status_of_http: Internal, Reset(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[("content-type", "application/grpc")]), 0);
    a_requests_field: Ok, GoesOn, |stream| [headers_of(stream, &block(&[(":status", "200"), (":path", "/"), ("content-type", "application/grpc")]), 0), message(stream, b""), trailers(stream, &[("grpc-status", "0")])].concat();
    a_field_with_a_colon_that_nobody_knows: Internal, GoAway(PROTOCOL_ERROR), |stream| headers_of(stream, &block(&[(":status", "200"), (":secret", "x")]), 0);
    headers_without_a_field: Internal, Reset(PROTOCOL_ERROR), |stream| headers_of(stream, &[], 0);

    a_content_length_that_is_no_number: Internal, Reset(PROTOCOL_ERROR), |stream| start_with(stream, "content-length", "many");
    two_content_lengths: Internal, Reset(PROTOCOL_ERROR), |stream| good_then(stream, &[field("content-length", "1"), field("content-length", "2")].concat());
    less_than_the_content_length: Internal, GoesOn, |stream| [start_with(stream, "content-length", "10"), message(stream, b""), trailers(stream, &[("grpc-status", "0")])].concat();
    more_than_the_content_length: Internal, Reset(PROTOCOL_ERROR), |stream| [start_with(stream, "content-length", "3"), message(stream, b"")].concat();

    /// [WIRE-64]
    binary_metadata_that_is_not_base64: Internal, Reset(CANCEL), |stream| start_with(stream, "x-bin", "!!!!");
    /// [WIRE-64]
    binary_metadata_in_trailers_that_is_not_base64: Internal, GoesOn, |stream| [start(stream), message(stream, b""), trailers(stream, &[("grpc-status", "0"), ("x-bin", "a")])].concat();
}

/// [WIRE-74]
#[test]
fn a_block_that_does_not_go_on() {
    bounded(
        BOUND,
        endure(Code::DeadlineExceeded, Fate::Over, async |attacker, stream| {
            attacker
                .say(&frame(HEADERS, 0, stream, &block(&[(":status", "200"), ("content-type", "application/grpc")])))
                .await;
            // Nothing can come on this connection any more; whoever waits on it waits until the server gives up.
            attacker.hear(|heard| !heard.resets.is_empty()).await;
            assert_eq!(attacker.heard.resets[&stream], CANCEL);
            attacker.hang_up().await;
        }),
    );
}
