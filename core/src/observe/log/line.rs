//! A line as it is written.

use std::fmt::Write as _;
use std::time::Duration;

use super::{LogLevel, Room};

/// `22:15:03.123Z I 4711 subchannel: channel 3 dns:///x: …` and a line's end: the time of day in UTC, the level, the process, the room, the text.
/// What a peer wrote into the text does not end the line.
pub(crate) fn written(time_of_day: Duration, process: u32, level: LogLevel, room: Room, text: &str) -> String {
    let seconds = time_of_day.as_secs() % 86_400;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let (millis, letter, room) = (time_of_day.subsec_millis(), level.letter(), room.name());
    let mut line = format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z {letter} {process} {room}: ");
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let time = Duration::from_millis((2 * 86_400 + 3_600 * 7 + 62) * 1_000 + 5);
        let line = written(time, 4711, LogLevel::Warn, Room::Http, "channel 3 x: said \"a\nb\u{1b}\" → over");
        assert_eq!(line, "07:01:02.005Z W 4711 http: channel 3 x: said \"a\\nb\\u{1b}\" → over\n");
    }
}
