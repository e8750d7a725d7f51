//! Tokens of the Common Expression Language.

use super::Fault;

/// What a token is; operators and punctuation carry their spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Uint,
    Float,
    Text,
    Bytes,
    Identifier,
    True,
    False,
    Null,
    /// Operators, punctuation and the keyword `in`.
    Symbol(&'static str),
    End,
}

/// A token and the offset of its first character, counted in characters.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) at: usize,
}

/// Longer spellings first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":",
    "+", "*", "/", "%", "<", ">",
];

/// Splits `source` into tokens; characters that start no token are reported and skipped.
pub(super) fn tokens(source: &str) -> (Vec<Token>, Vec<Fault>) {
    let mut lexer = Lexer {
        chars: source.chars().collect(),
        at: 0,
        tokens: Vec::new(),
        faults: Vec::new(),
    };
    while lexer.step() {}
    let end = lexer.chars.len();
    lexer.tokens.push(Token {
        kind: Kind::End,
        text: "<EOF>".to_owned(),
        at: end,
    });
    (lexer.tokens, lexer.faults)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    tokens: Vec<Token>,
    faults: Vec<Fault>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) -> bool {
        let Some(first) = self.peek(0) else {
            return false;
        };
        if first.is_whitespace() {
            self.at += 1;
        } else if first == '/' && self.peek(1) == Some('/') {
            while self.peek(0).is_some_and(|c| c != '\n') {
                self.at += 1;
            }
        } else if let Some((prefix, bytes)) = self.quote_prefix() {
            self.quoted(prefix, bytes);
        } else if first.is_ascii_alphabetic() || first == '_' {
            self.word();
        } else if first.is_ascii_digit()
            || (first == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit()))
        {
            self.number();
        } else if first == '`' {
            self.escaped_identifier();
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.starts_with(symbol)) {
            self.push(Kind::Symbol(symbol), symbol.len());
        } else {
            // A lone `=`, `&` or `|` is only known to be wrong once the next character was seen.
            let seen = if matches!(first, '=' | '&' | '|') {
                2
            } else {
                1
            };
            self.unknown(seen);
        }
        true
    }

    fn starts_with(&self, symbol: &str) -> bool {
        symbol
            .chars()
            .enumerate()
            .all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let end = (self.at + length).min(self.chars.len());
        self.tokens.push(Token {
            kind,
            text: self.chars[self.at..end].iter().collect(),
            at: self.at,
        });
        self.at = end;
    }

    fn unknown(&mut self, length: usize) {
        let end = (self.at + length).min(self.chars.len());
        let text: String = self.chars[self.at..end].iter().collect();
        self.faults.push(Fault::new(
            self.at,
            format!("Syntax error: token recognition error at: '{text}'"),
        ));
        self.at = end;
    }

    fn word(&mut self) {
        let mut length = 1;
        while self
            .peek(length)
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            length += 1;
        }
        let text: String = self.chars[self.at..self.at + length].iter().collect();
        let kind = match text.as_str() {
            "true" => Kind::True,
            "false" => Kind::False,
            "null" => Kind::Null,
            "in" => Kind::Symbol("in"),
            _ => Kind::Identifier,
        };
        self.push(kind, length);
    }

    fn escaped_identifier(&mut self) {
        let length = (1..).take_while(|ahead| self.peek(*ahead).is_some_and(|c| c != '`'));
        let length = length.count() + 1;
        if self.peek(length) == Some('`') && length > 1 {
            self.push(Kind::Identifier, length + 1);
        } else {
            self.unknown(length);
        }
    }

    fn digits(&self, mut ahead: usize, radix: u32) -> usize {
        while self.peek(ahead).is_some_and(|c| c.is_digit(radix)) {
            ahead += 1;
        }
        ahead
    }

    fn number(&mut self) {
        if self.peek(0) == Some('0') && self.peek(1) == Some('x') {
            let length = self.digits(2, 16);
            if length > 2 {
                return self.integer(length);
            }
        }
        let whole = self.digits(0, 10);
        let mut length = whole;
        let mut float = false;
        if self.peek(length) == Some('.') && self.digits(length + 1, 10) > length + 1 {
            length = self.digits(length + 1, 10);
            float = true;
        }
        if matches!(self.peek(length), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.peek(length + 1), Some('+' | '-')));
            let end = self.digits(length + 1 + sign, 10);
            if end > length + 1 + sign {
                length = end;
                float = true;
            }
        }
        if float {
            self.push(Kind::Float, length);
        } else {
            self.integer(length);
        }
    }

    fn integer(&mut self, length: usize) {
        if matches!(self.peek(length), Some('u' | 'U')) {
            self.push(Kind::Uint, length + 1);
        } else {
            self.push(Kind::Int, length);
        }
    }

    /// The letters before an opening quote: `r` makes it raw, `b` makes it bytes.
    fn quote_prefix(&self) -> Option<(usize, bool)> {
        let mut length = 0;
        let mut bytes = false;
        while length < 2 {
            match self.peek(length) {
                Some('b' | 'B') => bytes = true,
                Some('r' | 'R') => {}
                _ => break,
            }
            length += 1;
        }
        matches!(self.peek(length), Some('"' | '\'')).then_some((length, bytes))
    }

    fn quoted(&mut self, prefix: usize, bytes: bool) {
        let kind = if bytes { Kind::Bytes } else { Kind::Text };
        let raw = (0..prefix).any(|ahead| matches!(self.peek(ahead), Some('r' | 'R')));
        let quote = self.peek(prefix);
        let triple = self.peek(prefix + 1) == quote && self.peek(prefix + 2) == quote;
        let width = if triple { 3 } else { 1 };
        match self.quoted_end(prefix + width, (quote, width), raw) {
            Ok(end) => self.push(kind, end),
            // Without an end three quotes are an empty text and the start of another one.
            Err(_) if triple => self.push(kind, prefix + 2),
            // Without an end the letters before the quote are a name.
            Err(_) if prefix > 0 => self.push(Kind::Identifier, prefix),
            Err(seen) => self.unknown(seen),
        }
    }

    /// The length up to the closing quote, or up to the character that cannot be there.
    fn quoted_end(
        &self,
        start: usize,
        (quote, width): (Option<char>, usize),
        raw: bool,
    ) -> Result<usize, usize> {
        let mut length = start;
        loop {
            match self.peek(length) {
                None => return Err(length),
                Some('\n' | '\r') if width == 1 => return Err(length + 1),
                Some('\\') if !raw => length = self.escape(length + 1)?,
                c if c == quote && (0..width).all(|ahead| self.peek(length + ahead) == quote) => {
                    return Ok(length + width);
                }
                Some(_) => length += 1,
            }
        }
    }

    /// The length after an escape whose backslash was read, or up to the character that is wrong.
    fn escape(&self, at: usize) -> Result<usize, usize> {
        let digits = |from: usize, count: usize, radix: u32| {
            let wrong = (from..from + count)
                .find(|ahead| !self.peek(*ahead).is_some_and(|c| c.is_digit(radix)));
            match wrong {
                Some(ahead) => Err((ahead + 1).min(self.chars.len() - self.at)),
                None => Ok(from + count),
            }
        };
        match self.peek(at) {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '`' | '\\' | '?') => {
                Ok(at + 1)
            }
            Some('x' | 'X') => digits(at + 1, 2, 16),
            Some('u') => digits(at + 1, 4, 16),
            Some('U') => digits(at + 1, 8, 16),
            Some('0'..='3') => digits(at + 1, 2, 8),
            Some(_) => Err(at + 1),
            None => Err(at),
        }
    }
}
