//! Frames that break the rules of framing itself.

use crate::attacker::*;
use crate::siege::attacks;

const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;

attacks! {
    /// [WIRE-207]
    a_ping_of_seven_bytes: Internal, GoAway(PROTOCOL_ERROR), |_| frame(PING, 0, 0, &[0; 7]);
    /// [WIRE-207]
    a_ping_on_a_stream: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(PING, 0, stream, &[0; 8]);
    /// [WIRE-206]
    an_answer_to_a_ping_nobody_sent: Ok, GoesOn, |stream| [frame(PING, ACK, 0, b"whatever"), answer(stream, b"")].concat();
    /// [WIRE-7]
    settings_of_five_bytes: Internal, GoAway(PROTOCOL_ERROR), |_| frame(SETTINGS, 0, 0, &[0; 5]);
    /// [WIRE-7]
    settings_on_a_stream: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(SETTINGS, 0, stream, &[]);
    /// [WIRE-7]
    an_acknowledgement_of_settings_with_a_payload: Internal, GoAway(PROTOCOL_ERROR), |_| frame(SETTINGS, ACK, 0, &[0; 6]);
    a_second_acknowledgement_of_settings: Internal, GoAway(PROTOCOL_ERROR), |_| frame(SETTINGS, ACK, 0, &[]);
    a_reset_of_three_bytes: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(RST_STREAM, 0, stream, &[0; 3]);
    a_window_update_of_three_bytes: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 3]);
    a_goaway_of_four_bytes: Internal, GoAway(PROTOCOL_ERROR), |_| frame(GOAWAY, 0, 0, &[0; 4]);
    a_priority_of_four_bytes: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(PRIORITY, 0, stream, &[0; 4]);
    a_priority_on_no_stream: Internal, GoAway(PROTOCOL_ERROR), |_| frame(PRIORITY, 0, 0, &[0; 5]);
    a_stream_that_depends_on_itself: Internal, Reset(PROTOCOL_ERROR), |stream| frame(PRIORITY, 0, stream, &[&stream.to_be_bytes()[..], &[0]].concat());
    data_longer_than_allowed: Internal, GoAway(FRAME_SIZE_ERROR), |stream| [start(stream), data(stream, &[0; 16_385])].concat();
    /// Only the head comes: what it announces is not waited for.
    a_frame_of_the_largest_length_there_is: Internal, GoAway(FRAME_SIZE_ERROR), |stream| vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, u8::try_from(stream).expect("small")];
    headers_longer_than_allowed: Internal, GoAway(FRAME_SIZE_ERROR), |stream| frame(HEADERS, END_HEADERS, stream, &[0; 16_385]);
    padding_as_long_as_the_data: Internal, GoAway(PROTOCOL_ERROR), |stream| [start(stream), frame(DATA, PADDED, stream, &[9; 9])].concat();
    padding_longer_than_the_data: Internal, GoAway(PROTOCOL_ERROR), |stream| [start(stream), frame(DATA, PADDED, stream, &[255, 0, 0])].concat();
    padded_data_without_a_length: Internal, GoAway(PROTOCOL_ERROR), |stream| [start(stream), frame(DATA, PADDED, stream, &[])].concat();
    padding_longer_than_the_headers: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(HEADERS, END_HEADERS | PADDED, stream, &[200, 0x88]);
    padded_headers_without_a_length: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(HEADERS, END_HEADERS | PADDED, stream, &[]);
    a_continuation_of_nothing: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(CONTINUATION, END_HEADERS, stream, &block(&[("a", "b")]));
    a_continuation_for_another_stream: Internal, GoAway(PROTOCOL_ERROR), |stream| [frame(HEADERS, 0, stream, &[0x88]), frame(CONTINUATION, END_HEADERS, stream + 2, &[])].concat();
    a_frame_between_headers_and_their_continuation: Internal, GoAway(PROTOCOL_ERROR), |stream| [frame(HEADERS, 0, stream, &[0x88]), frame(PING, 0, 0, &[0; 8])].concat();
    /// [WIRE-210]
    unknown_frames_on_any_stream_and_of_any_size: Ok, GoesOn, |stream| [frame(0xfa, 0xff, 0, &[1; 16_384]), frame(0xfb, 1, 12_346, &[]), frame(0xfc, 4, stream, b"?"), answer(stream, b"")].concat();
    /// [WIRE-210]
    unknown_flags_and_the_reserved_bit: Ok, GoesOn, |stream| [frame(PING, 0xfe, 0, &[0; 8]), frame(SETTINGS, 0xf0, 0, &[]), frame(HEADERS, END_HEADERS | 0x50, stream | 1 << 31, &block(&[(":status", "200"), ("content-type", "application/grpc")])), frame(DATA, 0xf0, stream | 1 << 31, &[0; 5]), trailers(stream, &[("grpc-status", "0")])].concat();
    /// [WIRE-210]
    priority_for_streams_that_never_were: Ok, GoesOn, |stream| [frame(PRIORITY, 0, 12_345, &[0; 5]), frame(PRIORITY, 0, 12_346, &[0; 5]), answer(stream, b"")].concat();
}
