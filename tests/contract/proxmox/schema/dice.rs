//! Values drawn from a seed.

/// Draws values; the same seed draws the same ones.
pub(super) struct Dice {
    state: u64,
    /// Whether texts of a fixed form are sometimes broken.
    breaks: bool,
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Texts that have the form of few parameters.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "a",
    "-",
    ".",
    "..",
    "/",
    "a/b/c/d",
    "a b",
    "a,b",
    "a;b",
    "a=b",
    "a\nb",
    "ä",
    "\u{0}",
    "%00",
    "'",
    "\"",
    "<x>",
    "0",
    "-1",
    "1",
    "99999999999999999999",
    "1e3",
    "a@b",
    "a@b!c",
    "@",
    "!",
    "a:b",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.1/",
    "☃",
    "a\u{2028}b",
    "_x",
    "x_",
    "x-",
    "-x",
    "x.",
    "x..y",
    "1x",
];

impl Dice {
    pub(super) fn new(seed: u64, breaks: bool) -> Self {
        let mut dice = Self {
            state: seed,
            breaks,
        };
        dice.next();
        dice
    }

    /// The generator is splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, both ends included; the ends come often.
    pub(super) fn within(&mut self, from: u64, to: u64) -> u64 {
        match self.next() % 8 {
            0 => from,
            1 => to,
            _ => from + self.next() % (to - from + 1),
        }
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, from: u64, to: u64) -> T
    where
        T::Error: std::fmt::Debug,
    {
        self.within(from, to).try_into().unwrap()
    }

    pub(super) fn flip(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    pub(super) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        let at = usize::try_from(self.next() % items.len() as u64).unwrap();
        items[at].clone()
    }

    /// Sometimes changes a value.
    pub(super) fn maybe<T>(&mut self, value: T, change: impl FnOnce(T, &mut Self) -> T) -> T {
        if self.flip() {
            change(value, self)
        } else {
            value
        }
    }

    pub(super) fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flip().then(|| make(self))
    }

    fn letters(&mut self, from: &str, least: u64, most: u64) -> String {
        let from: Vec<char> = from.chars().collect();
        (0..self.within(least, most))
            .map(|_| self.pick(&from))
            .collect()
    }

    /// A letter, characters of this set, and a letter or digit.
    pub(super) fn word(&mut self, inner: &str, most: u64) -> String {
        let first = self.letters(LOWER, 1, 1);
        let last = self.letters(ALPHANUMERIC, 1, 1);
        let inner = format!("{ALPHANUMERIC}{inner}");
        format!("{first}{}{last}", self.letters(&inner, 0, most - 2))
    }

    pub(super) fn list(
        &mut self,
        least: u64,
        most: u64,
        mut item: impl FnMut(&mut Self) -> String,
    ) -> String {
        let items: Vec<String> = (0..self.within(least, most)).map(|_| item(self)).collect();
        items.join(",")
    }

    /// A text of a fixed form; sometimes broken.
    pub(super) fn form(&mut self, good: String) -> String {
        if !self.breaks || self.flip() {
            return good;
        }
        match self.next() % 3 {
            0 => self.pick(HOSTILE).to_owned(),
            1 => good.repeat(40),
            _ => {
                let at =
                    usize::try_from(self.next()).unwrap_or_default() % (good.chars().count() + 1);
                let mut text: Vec<char> = good.chars().collect();
                text.insert(
                    at,
                    self.pick(&[' ', ',', '/', '@', ':', 'ä', '\n', '=', '!', '-', '.']),
                );
                text.into_iter().collect()
            }
        }
    }

    /// Any text, without being empty.
    pub(super) fn text(&mut self, most: u64) -> String {
        let pool: Vec<char> = "abc xyz\n\t&;=+%?#/\\'\"<>äß漢😀\u{7f}0189-_.,:@"
            .chars()
            .collect();
        let length = self.within(1, most);
        (0..length).map(|_| self.pick(&pool)).collect()
    }

    pub(super) fn hex(&mut self, digits: u64) -> String {
        self.letters("0123456789abcdef", digits, digits)
    }

    pub(super) fn address(&mut self) -> String {
        match self.flip() {
            true => format!(
                "10.{}.{}.{}",
                self.within(0, 255),
                self.within(0, 255),
                self.within(0, 255)
            ),
            false => format!(
                "fd00:{:x}::{:x}",
                self.within(0, 0xFFFF),
                self.within(0, 0xFFFF)
            ),
        }
    }

    pub(super) fn network(&mut self) -> String {
        match self.flip() {
            true => format!("10.{}.0.0/{}", self.within(0, 255), self.within(8, 32)),
            false => format!(
                "fd00:{:x}::/{}",
                self.within(0, 0xFFFF),
                self.within(8, 128)
            ),
        }
    }
}
