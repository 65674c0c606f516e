//! Each misbehaviour as a dialogue: what the client wrote, and the frames it got.

use serde_json::{Value, json};

use super::super::service::framed;
use super::*;

const ZERO: Duration = Duration::ZERO;
/// SimpleRequest { response_size: 1 }, and what answers it.
const REQUEST: &[u8] = &[0x10, 1];
const RESPONSE: &[u8] = &[0x0a, 3, 0x12, 1, 0];

/// A client that writes into the connection under test and reads its frames.
struct Client {
    connection: Connection,
    shared: Rc<Shared>,
}

fn server(behaviour: Value) -> Client {
    let shared = Rc::new(Shared {
        name: "me".to_owned(),
        behaviour: RefCell::new(serde_json::from_value(behaviour).expect("a behaviour")),
        counts: RefCell::new(Counts::default()),
    });
    let id = shared.counts.borrow_mut().opened();
    Client { connection: Connection::new(id, Rc::clone(&shared)), shared }
}

/// A client whose greeting is over.
fn greeted(behaviour: Value) -> Client {
    let mut client = server(behaviour);
    client.greet(ZERO);
    let greeting = client.frames();
    assert!(greeting.iter().all(|frame| frame.starts_with("SETTINGS")), "{greeting:?}");
    client
}

impl Client {
    fn write(&mut self, now: Duration, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, kind, flags, stream, payload);
        self.connection.on_bytes(&bytes, now);
    }

    fn greet(&mut self, now: Duration) {
        self.connection.on_bytes(frame::PREFACE, now);
        self.write(now, frame::SETTINGS, 0, 0, &[]);
    }

    fn begin(&mut self, stream: u32) {
        let mut bytes = Vec::new();
        let fields = [(":method", "POST"), (":path", "/grpc.testing.TestService/UnaryCall"), ("x-call-id", "one")];
        frame::put_headers(&mut bytes, stream, false, &fields);
        self.connection.on_bytes(&bytes, ZERO);
    }

    fn call(&mut self, stream: u32) {
        self.call_at(stream, ZERO);
    }

    fn call_at(&mut self, stream: u32, now: Duration) {
        self.begin(stream);
        self.write(now, frame::DATA, frame::END_STREAM, stream, &framed(REQUEST));
    }

    fn act(&mut self, action: Value) {
        let action = serde_json::from_value(action).expect("an action");
        self.connection.on_action(&action, ZERO);
    }

    /// What was written since the last time, frame by frame; credit is left out.
    fn frames(&mut self) -> Vec<String> {
        let bytes = self.connection.output().to_vec();
        self.connection.on_written(bytes.len());
        let (mut at, mut told) = (0, Vec::new());
        while let Some(frame) = Frame::read(&bytes[at..]) {
            at += frame::HEADER + frame.payload.len();
            if frame.kind != frame::WINDOW_UPDATE {
                told.push(tell(&frame));
            }
        }
        if at < bytes.len() {
            told.push(format!("and {} bytes of a frame", bytes.len() - at));
        }
        told
    }

    fn counts(&self) -> Value {
        self.shared.counts.borrow().answer()
    }
}

fn tell(frame: &Frame<'_>) -> String {
    let Frame { stream, payload, .. } = frame;
    let end = if frame.has(frame::END_STREAM) { " end" } else { "" };
    match frame.kind {
        frame::DATA => format!("DATA {stream} {}{end}", payload.len()),
        frame::HEADERS => {
            let fields = loona_hpack::Decoder::new().decode(payload).expect("a header block");
            let status = fields.iter().find(|(name, _)| name == b"grpc-status");
            let status =
                status.map_or(String::new(), |(_, value)| format!(" status {}", String::from_utf8_lossy(value)));
            format!("HEADERS {stream}{status}{end}")
        }
        frame::RST_STREAM => format!("RST_STREAM {stream} {}", frame::number(payload)),
        frame::SETTINGS if frame.has(frame::ACK) => "SETTINGS ack".to_owned(),
        frame::SETTINGS => format!("SETTINGS {payload:?}"),
        frame::PING if frame.has(frame::ACK) => "PING ack".to_owned(),
        frame::PING => "PING".to_owned(),
        frame::GOAWAY => {
            let (last, code) = (frame::number(payload), frame::number(&payload[4..]));
            format!("GOAWAY {last} {code} {}", String::from_utf8_lossy(&payload[8..]))
        }
        kind => format!("kind {kind}"),
    }
}

fn whole(stream: u32) -> Vec<String> {
    let data = framed(RESPONSE).len();
    vec![format!("HEADERS {stream}"), format!("DATA {stream} {data}"), format!("HEADERS {stream} status 0 end")]
}

#[test]
fn without_a_word_it_greets_answers_and_counts() {
    let mut client = server(json!({}));
    client.greet(ZERO);
    assert_eq!(client.frames(), ["SETTINGS []", "SETTINGS ack"]);
    client.call(1);
    client.call(3);
    assert_eq!(client.frames(), [whole(1), whole(3)].concat());
    client.write(ZERO, frame::PING, 0, 0, &[1; 8]);
    assert_eq!(client.frames(), ["PING ack"]);
    let counts = client.counts();
    assert_eq!(counts["calls"], json!({ "UnaryCall": 2 }));
    assert_eq!((&counts["call_ids"], &counts["repeated"]), (&json!(1), &json!({ "one": 2 })));
    assert_eq!((&counts["connections"][0]["pings"], &counts["open_calls"]), (&json!(1), &json!(0)));
}

#[test]
fn settings_come_late_and_nothing_before_them_or_never() {
    let mut late = server(json!({ "settings_after_ms": 50, "settings": { "max_concurrent_streams": 3 } }));
    late.greet(ZERO);
    late.call(1);
    assert_eq!(late.frames(), Vec::<String>::new());
    assert_eq!(late.connection.next_deadline(ZERO), Some(Duration::from_millis(50)));
    late.connection.on_time(Duration::from_millis(50));
    assert_eq!(late.frames()[..3], ["SETTINGS [0, 3, 0, 0, 0, 3]", "SETTINGS ack", "HEADERS 1"]);

    let mut never = server(json!({ "settings_after_ms": null }));
    never.greet(ZERO);
    never.connection.on_time(Duration::from_secs(3600));
    assert_eq!((never.frames(), never.connection.next_deadline(ZERO)), (vec![], None));
}

#[test]
fn settings_of_the_client_may_stay_without_an_answer_and_ours_may_change() {
    let mut client = server(json!({ "acks_settings": false }));
    client.greet(ZERO);
    assert_eq!(client.frames(), ["SETTINGS []"]);
    client.act(json!({ "do": "settings", "settings": { "max_concurrent_streams": 1 } }));
    assert_eq!(client.frames(), ["SETTINGS [0, 3, 0, 0, 0, 1]"]);
}

#[test]
fn refused_streams_are_reset_and_not_counted_as_calls() {
    let refusal = json!({ "at": "start", "then": { "reset": 7 }, "first": 1 });
    let mut client = greeted(json!({ "calls": [refusal] }));
    client.call(1);
    client.call(3);
    assert_eq!(client.frames(), [vec!["RST_STREAM 1 7".to_owned()], whole(3)].concat());
    let counts = client.counts();
    assert_eq!((&counts["refused"], &counts["calls"]), (&json!(1), &json!({ "UnaryCall": 1 })));
}

#[test]
fn a_call_is_spoilt_in_the_phase_that_was_asked_for() {
    let first: Vec<String> = ["HEADERS 1", "DATA 1 5"].map(str::to_owned).to_vec();
    for (at, before) in [("request", &[][..]), ("headers", &first[..1]), ("half_message", &first[..])] {
        let mut client = greeted(json!({ "calls": [{ "at": at, "then": { "reset": 2 } }] }));
        client.call(1);
        assert_eq!(client.frames(), [before, &["RST_STREAM 1 2".to_owned()]].concat(), "{at}");
    }
    let body = &whole(1)[..2];
    for (then, last) in [
        (json!({ "reset": 8 }), Some("RST_STREAM 1 8")),
        (json!("silence"), None),
        (json!({ "status": 14 }), Some("HEADERS 1 status 14 end")),
        (json!("no_trailers"), Some("DATA 1 0 end")),
        (json!("half_frame"), Some("and 41 bytes of a frame")),
    ] {
        let mut client = greeted(json!({ "calls": [{ "at": "message", "then": then }] }));
        client.call(1);
        let last: Vec<String> = last.into_iter().map(str::to_owned).collect();
        assert_eq!(client.frames(), [body, &last].concat(), "{then}");
    }
}

#[test]
fn after_half_a_frame_nothing_comes_although_pings_do() {
    let mut client = greeted(json!({ "calls": [{ "at": "headers", "then": "half_frame" }] }));
    client.call(1);
    assert_eq!(client.frames(), ["HEADERS 1", "and 41 bytes of a frame"]);
    client.write(ZERO, frame::PING, 0, 0, &[1; 8]);
    client.call(3);
    assert_eq!(client.frames(), Vec::<String>::new());
}

#[test]
fn a_call_may_end_the_connection() {
    for (then, end) in [("close", End::Close), ("abort", End::Abort)] {
        let mut client = greeted(json!({ "calls": [{ "at": "start", "then": then }] }));
        client.call(1);
        assert_eq!(client.connection.end, Some(end));
    }
}

#[test]
fn an_answer_takes_its_time() {
    let mut client = greeted(json!({ "answer_after_ms": 20 }));
    client.call(1);
    assert_eq!(client.frames(), Vec::<String>::new());
    assert_eq!(client.connection.next_deadline(ZERO), Some(Duration::from_millis(20)));
    client.connection.on_time(Duration::from_millis(20));
    assert_eq!(client.frames(), whole(1));
}

#[test]
fn a_graceful_end_serves_what_comes_before_the_ping_is_answered() {
    let mut client = greeted(json!({}));
    client.begin(1);
    client.act(json!({ "do": "drain" }));
    assert_eq!(client.frames(), ["GOAWAY 2147483647 0 graceful", "PING"]);
    client.call(3);
    assert_eq!(client.frames(), whole(3));
    client.write(ZERO, frame::PING, frame::ACK, 0, DRAIN_PING);
    assert_eq!(client.frames(), ["GOAWAY 3 0 graceful"]);
    client.call(5);
    assert_eq!((client.frames(), client.connection.end), (vec![], None));
    client.write(ZERO, frame::DATA, frame::END_STREAM, 1, &framed(REQUEST));
    assert_eq!((client.frames(), client.connection.end), (whole(1), Some(End::Close)));
    assert_eq!(client.counts()["refused"], 1);
}

#[test]
fn an_abrupt_goaway_has_its_code_its_text_and_its_last_stream() {
    let mut client = greeted(json!({ "answer_after_ms": 20 }));
    client.call(1);
    client.call(3);
    client.act(json!({ "do": "goaway", "last_stream": 1, "code": 11, "debug": "calm", "closes": false }));
    assert_eq!(client.frames(), ["GOAWAY 1 11 calm"]);
    client.connection.on_time(Duration::from_millis(20));
    assert_eq!(client.frames(), whole(1));
    assert_eq!((&client.counts()["refused"], client.connection.end), (&json!(1), None));
    client.act(json!({ "do": "goaway", "closes": true }));
    assert_eq!((client.frames(), client.connection.end), (vec!["GOAWAY 3 0 ".to_owned()], Some(End::Close)));
}

#[test]
fn a_goaway_comes_behind_so_many_answers_and_what_came_before_it_is_served() {
    let mut client = greeted(json!({ "goaway_after_answers": 1 }));
    client.begin(1);
    client.call(3);
    assert_eq!(client.frames(), [whole(3), vec!["GOAWAY 3 0 ".to_owned()]].concat());
    client.write(ZERO, frame::DATA, frame::END_STREAM, 1, &framed(REQUEST));
    assert_eq!(client.frames(), whole(1));
    assert_eq!(client.counts()["connections"][0]["most_streams"], 2);
}

#[test]
fn pings_stand_around_each_frame_of_an_answer_and_their_answers_are_counted() {
    let mut client = greeted(json!({ "pings_around_answers": true }));
    client.call(1);
    let [headers, data, trailers] = <[String; 3]>::try_from(whole(1)).expect("three frames");
    let ping = || "PING".to_owned();
    assert_eq!(client.frames(), [ping(), headers, ping(), ping(), data, ping(), trailers]);
    client.write(ZERO, frame::PING, frame::ACK, 0, b"before..");
    let counts = client.counts();
    assert_eq!(
        (&counts["connections"][0]["pings_sent"], &counts["connections"][0]["pings_answered"]),
        (&json!(4), &json!(1))
    );
}

#[test]
fn padded_data_takes_of_the_connections_window_too() {
    let mut client = greeted(json!({ "data": { "bytes": 5, "padding": 255 } }));
    client.call(1);
    let data = "DATA 1 261".to_owned();
    assert_eq!(client.frames(), ["HEADERS 1".to_owned(), data.clone(), data, "HEADERS 1 status 0 end".to_owned()]);
    assert_eq!(client.connection.window, i64::from(frame::FIRST_WINDOW) - 2 * 261);
}

#[test]
fn age_and_idleness_end_a_connection_gracefully_and_say_so() {
    for why in ["age", "idle"] {
        let mut client = greeted(json!({ format!("max_connection_{why}_ms"): 5000 }));
        assert_eq!(client.connection.next_deadline(ZERO), Some(Duration::from_secs(5)));
        client.connection.on_time(Duration::from_secs(5));
        assert_eq!(client.frames(), [format!("GOAWAY 2147483647 0 max_{why}"), "PING".to_owned()]);
        client.write(Duration::from_secs(5), frame::PING, frame::ACK, 0, DRAIN_PING);
        assert_eq!(client.frames(), [format!("GOAWAY 0 0 max_{why}")]);
    }
}

#[test]
fn grace_closes_over_open_calls() {
    let mut client = greeted(json!({ "max_connection_age_ms": 5000, "max_connection_age_grace_ms": 1000 }));
    client.begin(1);
    client.connection.on_time(Duration::from_secs(5));
    client.connection.on_time(Duration::from_secs(6));
    assert_eq!(client.connection.end, Some(End::Close));
}

#[test]
fn a_stalled_connection_holds_everything_back_until_it_goes_on() {
    let mut client = greeted(json!({}));
    client.act(json!({ "do": "stall", "reads": false }));
    assert!(!client.connection.reads);
    client.call(1);
    assert_eq!(client.frames(), Vec::<String>::new());
    client.act(json!({ "do": "resume" }));
    assert_eq!((client.frames(), client.connection.reads), (whole(1), true));
}

/// [CONN-110]
#[test]
fn the_fourth_early_ping_is_answered_by_too_many_pings() {
    let mut client = greeted(json!({ "ping_policy": {} }));
    client.begin(1);
    for second in 0..3 {
        client.write(Duration::from_secs(second), frame::PING, 0, 0, &[1; 8]);
    }
    assert_eq!(client.frames(), ["PING ack"; 3]);
    client.write(Duration::from_secs(3), frame::PING, 0, 0, &[1; 8]);
    assert_eq!(
        (client.frames(), client.connection.end),
        (vec!["GOAWAY 1 11 too_many_pings".to_owned()], Some(End::Close))
    );
    let counts = client.counts();
    assert_eq!(counts["connections"][0]["goaways"], json!([[11, "too_many_pings"]]));
    assert_eq!((&counts["connections"][0]["pings"], &counts["connections"][0]["strikes"]), (&json!(4), &json!(3)));
}

#[test]
fn an_answer_to_a_call_forgives_its_pings() {
    let mut client = greeted(json!({ "ping_policy": {} }));
    for stream in [1, 3, 5, 7, 9, 11] {
        client.write(ZERO, frame::PING, 0, 0, &[1; 8]);
        client.call(stream);
    }
    assert_eq!((client.counts()["connections"][0]["strikes"].clone(), client.connection.end), (json!(0), None));
}

#[test]
fn pings_may_stay_without_an_answer() {
    let mut client = greeted(json!({ "answers_pings": false }));
    client.write(ZERO, frame::PING, 0, 0, &[1; 8]);
    assert_eq!(client.frames(), Vec::<String>::new());
    client.act(json!({ "do": "ping" }));
    assert_eq!(client.frames(), ["PING"]);
}

#[test]
fn no_credit_comes_back_when_that_is_wanted() {
    for (returns, wanted) in [(true, 2), (false, 0)] {
        let mut client = greeted(json!({ "returns_credit": returns }));
        client.begin(1);
        client.write(ZERO, frame::DATA, 0, 1, &[0, 0, 0, 0, 9]);
        let bytes = client.connection.output();
        let (mut at, mut credits) = (0, 0);
        while let Some(frame) = Frame::read(&bytes[at..]) {
            at += frame::HEADER + frame.payload.len();
            credits += usize::from(frame.kind == frame::WINDOW_UPDATE && frame::number(frame.payload) == 5);
        }
        assert_eq!((at, credits), (bytes.len(), wanted));
    }
}

#[test]
fn the_clients_windows_are_kept() {
    let mut client = greeted(json!({}));
    // SETTINGS_INITIAL_WINDOW_SIZE: 4 bytes of a stream, then credit for the rest.
    client.write(ZERO, frame::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 4]);
    client.call(1);
    assert_eq!(client.frames(), ["SETTINGS ack", "HEADERS 1", "DATA 1 4"]);
    client.write(ZERO, frame::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 6]);
    assert_eq!(client.frames(), ["DATA 1 6", "HEADERS 1 status 0 end"]);
}

#[test]
fn a_reset_by_the_client_and_its_goaway_are_counted() {
    let mut client = greeted(json!({ "answer_after_ms": 9 }));
    client.call(1);
    client.write(ZERO, frame::RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    client.write(ZERO, frame::GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\x0bbye");
    client.connection.on_time(Duration::from_secs(1));
    assert_eq!(client.frames(), Vec::<String>::new());
    let connection = &client.counts()["connections"][0];
    assert_eq!((&connection["client_resets"], &connection["client_goaway"]), (&json!(1), &json!([11, "bye"])));
}

#[test]
fn bytes_are_written_as_they_are() {
    let mut client = greeted(json!({}));
    client.act(json!({ "do": "bytes", "hex": "00 00 08 06 01 00000000 0000000000000000" }));
    assert_eq!(client.frames(), ["PING ack"]);
}

#[test]
fn header_blocks_in_parts_and_with_a_table_are_read() {
    let mut client = greeted(json!({}));
    let path = b"\x40\x05:path\x0a/UnaryCall";
    client.write(ZERO, frame::HEADERS, frame::END_STREAM, 1, &path[..4]);
    client.write(ZERO, frame::CONTINUATION, frame::END_HEADERS, 1, &path[4..]);
    // The newest entry of the table.
    client.write(ZERO, frame::HEADERS, frame::END_STREAM | frame::END_HEADERS, 3, &[0x80 | 62]);
    assert_eq!(client.counts()["calls"], json!({ "UnaryCall": 2 }));
}

#[test]
fn a_method_that_is_not_served_says_so() {
    let mut client = greeted(json!({}));
    let mut bytes = Vec::new();
    frame::put_headers(&mut bytes, 1, true, &[(":path", "/grpc.testing.TestService/UnimplementedCall")]);
    client.connection.on_bytes(&bytes, ZERO);
    assert_eq!(client.frames(), ["HEADERS 1 status 12 end"]);
}
