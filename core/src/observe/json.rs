//! Writing JSON: objects, arrays, escaped text, numbers. Enough for snapshots, and no more.

/// JSON being written. Commas take care of themselves.
#[derive(Default)]
pub(crate) struct Json {
    text: String,
    /// A value was written at this level, so the next one needs a comma.
    needs_comma: bool,
}

impl Json {
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nested('{', '}', fill);
    }

    pub(crate) fn array(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nested('[', ']', fill);
    }

    /// The name of the value that is written next.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.text.push(':');
        self.needs_comma = false;
        self
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.separate();
        self.text.push_str(&value.to_string());
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.separate();
        self.text.push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn null(&mut self) {
        self.separate();
        self.text.push_str("null");
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.separate();
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                control if control < ' ' => self.text.push_str(&format!("\\u{:04x}", u32::from(control))),
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }

    pub(crate) fn text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// With one digit after the point.
    pub(crate) fn decimal_or_null(&mut self, value: Option<f64>) {
        match value {
            Some(value) => {
                self.separate();
                self.text.push_str(&format!("{value:.1}"));
            }
            None => self.null(),
        }
    }

    pub(crate) fn number_or_null(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.number(value),
            None => self.null(),
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn nested(&mut self, open: char, close: char, fill: impl FnOnce(&mut Self)) {
        self.separate();
        self.text.push(open);
        self.needs_comma = false;
        fill(self);
        self.text.push(close);
        self.needs_comma = true;
    }

    fn separate(&mut self) {
        if self.needs_comma {
            self.text.push(',');
        }
        self.needs_comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_forbids_in_text_is_escaped() {
        let mut json = Json::default();
        json.text("a\"b\\c\nd\u{1}e→");
        assert_eq!(json.finish(), r#""a\"b\\c\nd\u0001e→""#);
    }

    #[test]
    fn commas_stand_between_values_only() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("a").number(1);
            json.key("b").array(|json| {
                json.number(2);
                json.null();
                json.object(|_| {});
            });
            json.key("c").text_or_null(None);
        });
        assert_eq!(json.finish(), r#"{"a":1,"b":[2,null,{}],"c":null}"#);
    }
}
