//! Takes the fuzzer's bytes one after the other. There are always enough: behind the end all are 0.

/// What is left of the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(super) fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// At most so many.
    pub(super) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many as the next byte says.
    pub(super) fn counted(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.take(usize::from(count))
    }

    /// The next line, without its end, as text if it is one.
    pub(super) fn line(&mut self) -> &'a str {
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let line = self.take(end);
        self.take(1);
        std::str::from_utf8(line).unwrap_or_default()
    }

    /// All that is left, in pieces of different sizes, which a number decides.
    pub(super) fn pieces(self, mut decides: u32) -> impl Iterator<Item = &'a [u8]> {
        let mut left = self;
        std::iter::from_fn(move || {
            // Numerical Recipes' generator: the sizes need not be good, only different.
            decides = decides.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let most = 1 << (decides >> 29);
            let size = 1 + (decides >> 8) as usize % most;
            (!left.is_over()).then(|| left.take(size))
        })
    }
}
