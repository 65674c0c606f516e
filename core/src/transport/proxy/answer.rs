//! A proxy's answer to CONNECT, as it comes in: a status line and headers, in lines (RFC 9112 §2 to §5). Pure.
//!
//! Nothing of the headers matters: a success has no body, whatever they say, and after any other answer the connection is given up.

use bytes::BytesMut;

/// The final answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Fit to be shown; may be empty.
    pub(crate) reason: String,
}

/// All heads together, those of interim answers too.
const MOST_BYTES: usize = 16 << 10;
const MOST_LINES: usize = 256;

/// More of a reason is not shown.
const SHOWN: usize = 100;

/// How far the answer has come.
#[derive(Default)]
pub(crate) struct Reading {
    bytes: usize,
    lines: usize,
    /// The answer whose headers are being read.
    head: Option<Answer>,
}

impl Reading {
    /// Takes whole lines out of what was received until the final answer's head has ended; what is left then is no part of it. `None` when
    /// more is needed.
    ///
    /// # Errors
    /// It is no answer, or it is too long.
    pub(crate) fn read(&mut self, received: &mut BytesMut) -> Result<Option<Answer>, String> {
        while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let line = received.split_to(end + 1);
            self.bytes += line.len();
            self.lines += 1;
            self.check_size(0)?;
            if let Some(answer) = self.on_line(without_end(&line))? {
                return Ok(Some(answer));
            }
        }
        self.check_size(received.len())?;
        // What does not even begin as an answer may never have a line's end.
        if self.head.is_none() && !begins_as_answer(received) {
            return Err(no_answer(received));
        }
        Ok(None)
    }

    fn check_size(&self, unfinished: usize) -> Result<(), String> {
        if self.bytes + unfinished > MOST_BYTES || self.lines > MOST_LINES {
            return Err(format!(
                "the proxy's answer to CONNECT is longer than {MOST_BYTES} bytes or {MOST_LINES} lines"
            ));
        }
        Ok(())
    }

    fn on_line(&mut self, line: &[u8]) -> Result<Option<Answer>, String> {
        if self.head.is_none() {
            self.head = Some(status_line(line).ok_or_else(|| no_answer(line))?);
            return Ok(None);
        }
        if line.is_empty() {
            // RFC 9110 §15.2: an interim answer is followed by another.
            return Ok(self.head.take().filter(|answer| answer.status >= 200));
        }
        // A line that begins with a space goes on with the header before it.
        let is_header = line.contains(&b':') || line.starts_with(b" ") || line.starts_with(b"\t");
        if is_header { Ok(None) } else { Err(no_answer(line)) }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

const VERSION: &[u8] = b"HTTP/1.";

fn begins_as_answer(received: &[u8]) -> bool {
    received.starts_with(VERSION) || VERSION.starts_with(received)
}

/// `HTTP/1.1 200 Connection established`; the reason may be missing.
fn status_line(line: &[u8]) -> Option<Answer> {
    let [b'0' | b'1', b' ', rest @ ..] = line.strip_prefix(VERSION)? else { return None };
    let (digits, rest) = rest.split_first_chunk::<3>()?;
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let status = std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| is_number && *status >= 100)?;
    Some(Answer { status, reason: shown(reason) })
}

fn no_answer(received: &[u8]) -> String {
    format!("the proxy's answer to CONNECT is not HTTP/1: \"{}\"", shown(received))
}

fn shown(text: &[u8]) -> String {
    let text = text.trim_ascii();
    text[..text.len().min(SHOWN)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes of these bytes when they arrive in pieces of this size: the answer and what is left, or an error.
    fn read(bytes: &[u8], piece: usize) -> Result<Option<(Answer, Vec<u8>)>, String> {
        let (mut reading, mut received) = (Reading::default(), BytesMut::new());
        let mut pieces = bytes.chunks(piece);
        while let Some(piece) = pieces.next() {
            received.extend_from_slice(piece);
            if let Some(answer) = reading.read(&mut received)? {
                let left = pieces.fold(received.to_vec(), |left, piece| [&left[..], piece].concat());
                return Ok(Some((answer, left)));
            }
        }
        Ok(None)
    }

    fn answer(bytes: &str) -> (u16, String, String) {
        let mut outcomes = [1, 2, 7, 100_000].map(|piece| read(bytes.as_bytes(), piece)).into_iter();
        let first = outcomes.next().expect("four");
        assert!(outcomes.all(|outcome| outcome == first), "{bytes:?} depends on how it is cut");
        let (answer, left) = first.expect(bytes).expect(bytes);
        (answer.status, answer.reason, String::from_utf8(left).expect("ASCII"))
    }

    /// [CONN-176]
    #[test]
    fn what_is_left_after_the_head_is_no_part_of_the_answer() {
        for (bytes, status, reason, left) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", 200, "Connection established", ""),
            ("HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 3\r\n\r\nPRI\r\n\r\n", 200, "OK", "PRI\r\n\r\n"),
            ("HTTP/1.1 204\r\n\r\n", 204, "", ""),
            ("HTTP/1.1 200 \n\nx", 200, "", "x"),
            ("HTTP/1.1 403 Forbidden\r\nX: a\r\n b\r\n\r\n", 403, "Forbidden", ""),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 299 y\r\n\r\nz", 299, "y", "z"),
            ("HTTP/1.1 502 \u{1b}[31mr\"\r\n\r\n", 502, "\\x1b[31mr\\\"", ""),
        ] {
            assert_eq!(answer(bytes), (status, reason.to_owned(), left.to_owned()), "{bytes:?}");
        }
        let long = format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(5_000));
        assert_eq!(answer(&long).1.len(), SHOWN);
    }

    #[test]
    fn what_is_no_answer_is_told_as_soon_as_it_shows() {
        for bytes in [
            &b"\0\0\x12\x04"[..],
            b"SSH-2.0-x\r\n",
            b"HTTP/2 200 OK\r\n",
            b"HTTP/1.1200 OK\r\n",
            b"HTTP/1.1 20 OK\r\n",
            b"HTTP/1.1 +20 OK\r\n",
            b"HTTP/1.1 099 OK\r\n",
            b"HTTP/1.1 2000 OK\r\n",
            b"HTTP/1.2 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nno header\r\n",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            for piece in [1, 100] {
                let wrong = read(bytes, piece).expect_err("no answer");
                assert!(wrong.starts_with("the proxy's answer to CONNECT is not HTTP/1: \""), "{wrong}");
            }
        }
        assert!(read(b"\0\x01", 9).expect_err("no answer").ends_with("\"\\x00\\x01\""));
    }

    #[test]
    fn an_answer_without_end_is_cut_off() {
        let endless_line = [b"HTTP/1.1 200 ", &b"x".repeat(MOST_BYTES)[..]].concat();
        let endless_headers = [b"HTTP/1.1 200 OK\r\n", &b"a:b\r\n".repeat(MOST_LINES)[..]].concat();
        let endless_interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(MOST_LINES);
        for bytes in [endless_line, endless_headers, endless_interim] {
            for piece in [1, 1_000, 100_000] {
                let wrong = read(&bytes, piece).expect_err("too long");
                assert!(wrong.contains("is longer than 16384 bytes or 256 lines"), "{wrong}");
            }
        }
        let wide = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_LINES - 2));
        assert_eq!(answer(&wide).0, 200);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// [CONN-176]
        #[test]
        fn an_answer_is_the_same_however_it_is_cut(
            interim in 0_usize..3, status in 200_u16..1_000, reason in "[ -~]{0,20}", headers in prop::collection::vec("[a-z]{1,4}: ?[ -~]{0,9}", 0..4),
            end in "\r?\n", left in prop::collection::vec(any::<u8>(), 0..20), piece in 1_usize..40,
        ) {
            let head = |status: u16| format!("HTTP/1.1 {status} {reason}{end}{}{end}", headers.iter().map(|header| format!("{header}{end}")).collect::<String>());
            let bytes = [head(100).repeat(interim).as_bytes(), head(status).as_bytes(), &left].concat();
            let shown = reason.trim().replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\\\"");
            prop_assert_eq!(read(&bytes, piece), Ok(Some((Answer { status, reason: shown }, left))));
        }

        #[test]
        fn any_bytes_are_an_answer_or_refused_or_not_whole(
            start in "(HTTP/1.[012] [0-9]{2,4} ?|)", rest in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), any::<u8>()], 0..80), piece in 1_usize..40,
        ) {
            let bytes = [start.as_bytes(), &rest].concat();
            match (read(&bytes, piece), read(&bytes, bytes.len() + 1)) {
                // How much of what is no answer is shown depends on how much was there.
                (Err(one), Err(other)) => prop_assert!(one.starts_with(&other[..30]), "{one}, {other}"),
                (one, other) => prop_assert_eq!(one, other),
            }
        }
    }
}
