//! A place in the text that moves on.

use super::token::Mark;

/// Reads a text character by character and counts lines and columns.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    mark: Mark,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            mark: Mark::default(),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// The offset in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn slice(&self, from: usize) -> &'a str {
        &self.text[from..self.at]
    }

    /// The byte at a distance; 0 behind the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.text.as_bytes()[self.at.min(self.text.len())..].starts_with(text.as_bytes())
    }

    /// Whether a line break is there: also those of Unicode.
    pub(super) fn is_break(&self, ahead: usize) -> bool {
        match self.byte(ahead) {
            b'\r' | b'\n' => true,
            0xc2 => self.byte(ahead + 1) == 0x85,
            0xe2 => self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xa8 | 0xa9),
            _ => false,
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        matches!(self.byte(0), b' ' | b'\t')
    }

    pub(super) fn is_blank_or_end(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t' | 0) || self.is_break(ahead)
    }

    pub(super) fn is_break_or_end(&self) -> bool {
        self.byte(0) == 0 || self.is_break(0)
    }

    /// Moves over one character.
    pub(super) fn skip(&mut self) {
        self.at += match self.byte(0) {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        self.at = self.at.min(self.text.len());
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Moves over all ASCII characters that `is_part` takes; it must take no line break.
    pub(super) fn skip_while(&mut self, is_part: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii() || !is_part(*byte))
            .unwrap_or(rest.len());
        self.at += length;
        let characters = u32::try_from(length).unwrap_or(u32::MAX);
        self.mark.index += characters;
        self.mark.column += characters;
    }

    /// Moves over a line break and returns what it means inside a scalar.
    pub(super) fn skip_line(&mut self) -> &'static str {
        let (bytes, characters, text) = match (self.byte(0), self.byte(1)) {
            (b'\r', b'\n') => (2, 2, "\n"),
            (b'\r' | b'\n', _) => (1, 1, "\n"),
            (0xc2, _) => (2, 1, "\n"),
            (0xe2, _) if self.byte(2) == 0xa8 => (3, 1, "\u{2028}"),
            _ => (3, 1, "\u{2029}"),
        };
        self.at += bytes;
        self.mark.index += characters;
        self.mark.column = 0;
        self.mark.line += 1;
        text
    }

    pub(super) fn skip_to_line_end(&mut self) {
        loop {
            self.skip_while(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            if self.is_break_or_end() {
                return;
            }
            self.skip();
        }
    }

    /// Moves back over blanks on the same line.
    pub(super) fn back_over_blanks(&mut self, count: usize) {
        self.at -= count;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.mark.index -= count;
        self.mark.column -= count;
    }

    /// At the end of the text: the next line, unless this one is empty.
    pub(super) fn force_new_line(&mut self) {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }
}
