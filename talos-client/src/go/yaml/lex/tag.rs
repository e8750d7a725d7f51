//! Anchors, aliases, tags and directives.

use super::problem::Problem;
use super::token::{Mark, TokenKind};
use super::{Dialect, Lexer, Scanned};

const TAG: &str = "while parsing a tag";
const TAG_DIRECTIVE: &str = "while parsing a %TAG directive";
const DIRECTIVE: &str = "while scanning a directive";
const VERSION: &str = "while scanning a %YAML directive";

impl<'a> Lexer<'a> {
    pub(super) fn scan_anchor(&mut self, alias: bool) -> Scanned<&'a str> {
        let start = self.cursor.mark();
        self.cursor.skip();
        let from = self.cursor.at();
        while self.is_anchor_character() {
            self.cursor.skip();
        }
        let name = self.cursor.slice(from);
        let ended = self.cursor.is_blank_or_end(0)
            || matches!(
                self.cursor.byte(0),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if name.is_empty() || !ended {
            let context = if alias {
                "while scanning an alias"
            } else {
                "while scanning an anchor"
            };
            return Err(Problem::scanner(
                context,
                start,
                "did not find expected alphabetic or numeric character",
                self.cursor.mark(),
            ));
        }
        Ok(name)
    }

    /// Since v1.12 every printable ASCII character but the flow indicators and the colon.
    fn is_anchor_character(&self) -> bool {
        let byte = self.cursor.byte(0);
        if self.dialect == Dialect::V3 {
            return is_word(byte);
        }
        byte.is_ascii_graphic() && !matches!(byte, b':' | b'[' | b']' | b'{' | b'}' | b',')
    }

    pub(super) fn scan_tag(&mut self) -> Scanned<TokenKind<'a>> {
        let start = self.cursor.mark();
        let kind = if self.cursor.byte(1) == b'<' {
            self.cursor.skip();
            self.cursor.skip();
            let suffix = self.scan_tag_uri(TAG, true, None, start)?;
            if self.cursor.byte(0) != b'>' {
                return Err(self.tag_problem("did not find the expected '>'", start));
            }
            self.cursor.skip();
            TokenKind::Tag { handle: "", suffix }
        } else {
            let handle = self.scan_tag_handle(TAG, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri(TAG, false, None, start)?;
                TokenKind::Tag { handle, suffix }
            } else {
                let suffix = self.scan_tag_uri(TAG, false, Some(handle), start)?;
                if suffix.is_empty() {
                    // A lone `!`: the tag itself is `!`.
                    TokenKind::Tag {
                        handle: "",
                        suffix: "!".to_owned(),
                    }
                } else {
                    TokenKind::Tag {
                        handle: "!",
                        suffix,
                    }
                }
            }
        };
        if !self.cursor.is_blank_or_end(0) {
            return Err(self.tag_problem("did not find expected whitespace or line break", start));
        }
        Ok(kind)
    }

    fn tag_problem(&self, problem: &'static str, start: Mark) -> Box<Problem> {
        Problem::scanner("while scanning a tag", start, problem, self.cursor.mark())
    }

    fn scan_tag_handle(&mut self, context: &'static str, start: Mark) -> Scanned<&'a str> {
        let missing = "did not find expected '!'";
        if self.cursor.byte(0) != b'!' {
            return Err(Problem::scanner(
                context,
                start,
                missing,
                self.cursor.mark(),
            ));
        }
        let from = self.cursor.at();
        self.cursor.skip();
        while is_word(self.cursor.byte(0)) {
            self.cursor.skip();
        }
        if self.cursor.byte(0) == b'!' {
            self.cursor.skip();
        } else if context == TAG_DIRECTIVE && self.cursor.slice(from) != "!" {
            return Err(Problem::scanner(
                context,
                start,
                missing,
                self.cursor.mark(),
            ));
        }
        Ok(self.cursor.slice(from))
    }

    fn scan_tag_uri(
        &mut self,
        context: &'static str,
        verbatim: bool,
        head: Option<&str>,
        start: Mark,
    ) -> Scanned<String> {
        let mut uri = head
            .and_then(|head| head.get(1..))
            .unwrap_or_default()
            .to_owned();
        let mut found = head.is_some();
        while self.is_tag_character(verbatim) {
            if self.cursor.byte(0) == b'%' {
                self.scan_uri_escape(context, start, &mut uri)?;
            } else {
                uri.push(char::from(self.cursor.byte(0)));
                self.cursor.skip();
            }
            found = true;
        }
        let next = self.cursor.byte(0);
        if self.dialect >= Dialect::V4Rc4
            && !verbatim
            && (b' '..=b'~').contains(&next)
            && !self.cursor.is_blank_or_end(0)
        {
            let problem = format!(
                "found character '{}' that is not allowed in a YAML tag",
                char::from(next)
            );
            return Err(Problem::scanner(
                context,
                start,
                problem,
                self.cursor.mark(),
            ));
        }
        if !found {
            return Err(Problem::scanner(
                context,
                start,
                "did not find expected tag URI",
                self.cursor.mark(),
            ));
        }
        Ok(uri)
    }

    /// Up to v1.12 commas and brackets belong to a tag.
    fn is_tag_character(&self, verbatim: bool) -> bool {
        let byte = self.cursor.byte(0);
        is_word(byte)
            || matches!(
                byte,
                b';' | b'/'
                    | b'?'
                    | b':'
                    | b'@'
                    | b'&'
                    | b'='
                    | b'+'
                    | b'$'
                    | b'.'
                    | b'!'
                    | b'~'
                    | b'*'
                    | b'\''
                    | b'('
                    | b')'
                    | b'%'
            )
            || match byte {
                b',' | b'[' | b']' => verbatim || self.dialect < Dialect::V4Rc4,
                b'{' | b'}' => verbatim && self.dialect >= Dialect::V4Rc4,
                _ => false,
            }
    }

    /// `%41`, as many as one character takes.
    fn scan_uri_escape(
        &mut self,
        context: &'static str,
        start: Mark,
        uri: &mut String,
    ) -> Scanned<()> {
        let mut bytes = Vec::new();
        let mut width = 1;
        while bytes.len() < width {
            let digit = |ahead| char::from(self.cursor.byte(ahead)).to_digit(16);
            let octet = match (self.cursor.byte(0), digit(1), digit(2)) {
                (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or_default(),
                _ => {
                    return Err(Problem::scanner(
                        context,
                        start,
                        "did not find URI escaped octet",
                        self.cursor.mark(),
                    ));
                }
            };
            if bytes.is_empty() {
                width = match octet {
                    0..0x80 => 1,
                    0xc0..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    0xf0..0xf8 => 4,
                    _ => {
                        return Err(Problem::scanner(
                            context,
                            start,
                            "found an incorrect leading UTF-8 octet",
                            self.cursor.mark(),
                        ));
                    }
                };
            } else if octet & 0xc0 != 0x80 {
                return Err(Problem::scanner(
                    context,
                    start,
                    "found an incorrect trailing UTF-8 octet",
                    self.cursor.mark(),
                ));
            }
            bytes.push(octet);
            for _ in 0..3 {
                self.cursor.skip();
            }
        }
        uri.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    pub(super) fn scan_directive(&mut self) -> Scanned<TokenKind<'a>> {
        let start = self.cursor.mark();
        self.cursor.skip();
        let from = self.cursor.at();
        while is_word(self.cursor.byte(0)) {
            self.cursor.skip();
        }
        let name = self.cursor.slice(from);
        if name.is_empty() {
            return Err(self.directive_problem("could not find expected directive name", start));
        }
        if !self.cursor.is_blank_or_end(0) {
            return Err(
                self.directive_problem("found unexpected non-alphabetical character", start)
            );
        }
        let kind = match name {
            "YAML" => self.scan_version(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return Err(self.directive_problem("found unknown directive name", start)),
        };
        self.skip_blanks();
        if self.cursor.byte(0) == b'#' {
            self.cursor.skip_to_line_end();
        }
        if !self.cursor.is_break_or_end() {
            return Err(
                self.directive_problem("did not find expected comment or line break", start)
            );
        }
        if self.cursor.is_break(0) {
            self.cursor.skip_line();
        }
        Ok(kind)
    }

    fn directive_problem(&self, problem: &'static str, start: Mark) -> Box<Problem> {
        Problem::scanner(DIRECTIVE, start, problem, self.cursor.mark())
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.cursor.is_blank() {
            self.cursor.skip();
        }
    }

    fn scan_version(&mut self, start: Mark) -> Scanned<TokenKind<'a>> {
        self.skip_blanks();
        let major = self.scan_version_number(start)?;
        if self.cursor.byte(0) != b'.' {
            return Err(Problem::scanner(
                VERSION,
                start,
                "did not find expected digit or '.' character",
                self.cursor.mark(),
            ));
        }
        self.cursor.skip();
        Ok(TokenKind::Version(major, self.scan_version_number(start)?))
    }

    fn scan_version_number(&mut self, start: Mark) -> Scanned<u8> {
        let from = self.cursor.at();
        while self.cursor.byte(0).is_ascii_digit() {
            self.cursor.skip();
            if self.cursor.slice(from).len() > 2 {
                return Err(Problem::scanner(
                    VERSION,
                    start,
                    "found extremely long version number",
                    self.cursor.mark(),
                ));
            }
        }
        self.cursor.slice(from).parse().map_err(|_| {
            Problem::scanner(
                VERSION,
                start,
                "did not find expected version number",
                self.cursor.mark(),
            )
        })
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Scanned<TokenKind<'a>> {
        self.skip_blanks();
        let handle = self.scan_tag_handle(TAG_DIRECTIVE, start)?;
        if !self.cursor.is_blank() {
            return Err(Problem::scanner(
                TAG_DIRECTIVE,
                start,
                "did not find expected whitespace",
                self.cursor.mark(),
            ));
        }
        self.skip_blanks();
        let prefix = self.scan_tag_uri(TAG_DIRECTIVE, true, None, start)?;
        if !self.cursor.is_blank_or_end(0) {
            return Err(Problem::scanner(
                TAG_DIRECTIVE,
                start,
                "did not find expected whitespace or line break",
                self.cursor.mark(),
            ));
        }
        Ok(TokenKind::TagDirective { handle, prefix })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
