//! Syntax tree of the Common Expression Language and its recursive-descent parser.

mod expected;
mod literal;
mod member;
mod operator;
mod primary;

use super::Fault;
use super::lexer::{Kind, Token};
use super::types::Type;
use expected::START;

/// An expression and the offset an error about it points at: the operator of a call or
/// selection, the first character of anything else.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) node: Node,
    /// Levels of nodes below and including this one.
    depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    /// The type and the spelling.
    Literal(Type, String),
    Identifier(String),
    Select {
        operand: Box<Expr>,
        field: String,
        /// `has(x.y)` asks for presence instead of the value.
        presence: bool,
    },
    Call {
        function: String,
        target: Option<Box<Expr>>,
        arguments: Vec<Expr>,
    },
    List(Vec<Item>),
    Map(Vec<(Expr, Item)>),
    /// `a.b{c: d}`
    Message(String, Vec<MessageField>),
}

/// A part of a literal; an optional one, marked by `?`, is left out when its value is none.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// A field of a message that is constructed; an error about it points at the colon.
#[derive(Debug, Clone)]
pub(super) struct MessageField {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) value: Expr,
}

/// Nesting the parser follows before it gives up; the reference stops at 250, far beyond any selector.
const MAX_DEPTH: usize = 64;

/// Depth of the tree, which chains of operators and selections make deep without nesting in the text.
const MAX_TREE: usize = 300;

/// Reads one expression that spans all tokens of `source`.
///
/// # Errors
/// The syntax errors up to the one behind which the reference no longer knows where it is, and what was wrong before it without
/// stopping the parser: numbers out of range, reserved names, unsupported syntax, misused macros.
pub(super) fn parse(source: &str, tokens: &[Token], optionals: bool) -> Result<Expr, Vec<Fault>> {
    let mut parser = Parser {
        source: source.chars().collect(),
        tokens,
        optionals,
        starters: START,
        next: 0,
        depth: 0,
        lost: false,
        faults: Vec::new(),
    };
    let expr = parser
        .expression()
        .and_then(|expr| parser.expect_end().map(|()| expr));
    match expr {
        Ok(expr) if parser.faults.is_empty() => Ok(expr),
        Ok(_) => Err(parser.faults),
        Err(fault) => {
            parser.report(fault);
            Err(parser.faults)
        }
    }
}

struct Parser<'a> {
    source: Vec<char>,
    tokens: &'a [Token],
    /// Whether `.?`, `[?` and `?` before an item may be used.
    optionals: bool,
    /// What the next operand may start with.
    starters: &'static str,
    next: usize,
    depth: usize,
    /// A syntax error was reported, and no token was understood since: what follows from it is not reported.
    lost: bool,
    /// What is wrong and does not stop the parser.
    faults: Vec<Fault>,
}

impl Parser<'_> {
    fn token(&self, ahead: usize) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.next + ahead).min(last)]
    }

    fn symbol(&self) -> Option<&'static str> {
        match self.token(0).kind {
            Kind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    fn take(&mut self, symbol: &str) -> Option<usize> {
        (self.symbol() == Some(symbol)).then(|| {
            let at = self.token(0).at;
            self.advance();
            at
        })
    }

    /// Moves over a token that was understood.
    fn advance(&mut self) {
        self.next += 1;
        self.lost = false;
    }

    /// Reports a syntax error, unless it follows from the one before.
    fn report(&mut self, fault: Fault) {
        if !self.lost {
            self.faults.push(fault);
        }
        self.lost = true;
    }

    /// Goes on behind a token that is too much: the one after it is what was expected.
    fn drop_extraneous(&mut self, expected: &str) {
        let text = &self.token(0).text;
        let fault = self.fault(format!("extraneous input '{text}' expecting {expected}"));
        self.report(fault);
        self.advance();
    }

    fn fault(&self, message: String) -> Fault {
        Fault::new(self.token(0).at, format!("Syntax error: {message}"))
    }

    fn expect_end(&self) -> Result<(), Fault> {
        let token = self.token(0);
        if token.kind == Kind::End {
            return Ok(());
        }
        let problem = if self.token(1).kind == Kind::End {
            "extraneous"
        } else {
            "mismatched"
        };
        Err(self.fault(format!("{problem} input '{}' expecting <EOF>", token.text)))
    }

    fn close(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.take(symbol).is_some() {
            return Ok(());
        }
        let token = self.token(0);
        if token.kind == Kind::End && symbol != ":" || symbol == ":" && self.starts_operand(0) {
            let fault = self.fault(format!("missing '{symbol}' at '{}'", token.text));
            // It is taken as if it were there.
            self.report(fault);
            return Ok(());
        }
        self.take_behind(symbol, &format!("'{symbol}'"))
    }

    /// The end of a literal where another item could follow.
    fn close_items(&mut self, symbol: &str, after_comma: bool) -> Result<(), Fault> {
        if after_comma {
            return self.close(symbol);
        }
        if self.take(symbol).is_some() {
            return Ok(());
        }
        self.take_behind(symbol, &format!("{{'{symbol}', ','}}"))
    }

    /// Takes a symbol behind a token that is too much.
    fn take_behind(&mut self, symbol: &str, expected: &str) -> Result<(), Fault> {
        if matches!(self.token(1).kind, Kind::Symbol(next) if next == symbol) {
            self.drop_extraneous(expected);
            self.advance();
            return Ok(());
        }
        Err(self.mismatched(expected))
    }

    fn mismatched(&self, expected: &str) -> Fault {
        let text = &self.token(0).text;
        self.fault(format!("mismatched input '{text}' expecting {expected}"))
    }

    fn starts_operand(&self, ahead: usize) -> bool {
        match self.token(ahead).kind {
            Kind::Symbol(symbol) => matches!(symbol, "(" | "[" | "{" | "." | "-" | "!"),
            Kind::End => false,
            _ => true,
        }
    }

    /// The text from the token before to the present one, which a wrong turn is described with.
    fn no_way_on(&self) -> Fault {
        let before = &self.tokens[self.next - 1];
        let token = self.token(0);
        let mut text = before.text.clone();
        if token.kind != Kind::End {
            // Of what is between them only blanks count; characters that are no token were skipped.
            let gap = (before.at + before.text.chars().count()).min(token.at)..token.at;
            text.extend(self.source[gap].iter().filter(|c| c.is_whitespace()));
            text.push_str(&token.text);
        }
        self.fault(format!("no viable alternative at input '{text}'"))
    }

    /// An expression where more than an operand may stand, which an error lists.
    fn expression_after(&mut self, starters: &'static str) -> Result<Expr, Fault> {
        self.starters = starters;
        self.expression()
    }

    /// Reads the mark of an optional part, an error where there are none; `from` is what the error points at.
    fn optional_mark(&mut self, from: usize, shown: &str) -> bool {
        let marked = self.take("?").is_some();
        if marked && !self.optionals {
            self.faults
                .push(Fault::new(from, format!("unsupported syntax '{shown}'")));
        }
        marked
    }
}

impl Expr {
    /// `a.b.c` when the expression is nothing but names.
    pub(super) fn qualified_name(&self) -> Option<String> {
        match &self.node {
            Node::Identifier(name) => Some(name.clone()),
            Node::Select {
                operand,
                field,
                presence: false,
            } => Some(format!("{}.{field}", operand.qualified_name()?)),
            _ => None,
        }
    }
}

impl Node {
    fn children(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Self::Literal(..) | Self::Identifier(_) => Box::new(std::iter::empty()),
            Self::Message(_, fields) => Box::new(fields.iter().map(|field| &field.value)),
            Self::Select { operand, .. } => Box::new(std::iter::once(&**operand)),
            Self::Call {
                target, arguments, ..
            } => Box::new(target.iter().map(AsRef::as_ref).chain(arguments)),
            Self::List(items) => Box::new(items.iter().map(|item| &item.value)),
            Self::Map(entries) => {
                Box::new(entries.iter().flat_map(|(key, item)| [key, &item.value]))
            }
        }
    }
}
