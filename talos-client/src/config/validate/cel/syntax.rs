//! Syntax tree of the Common Expression Language and its recursive-descent parser.

use super::Fault;
use super::lexer::{Kind, Token};
use super::types::Type;

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

const START: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

const START_OF_INDEX: &str = "{'[', '{', '(', '.', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_OF_ARGUMENTS: &str = "{'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_OF_LIST: &str = "{'[', ']', '{', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_OF_MAP: &str = "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Spelling, function and precedence of the binary operators.
const OPERATORS: [(&str, &str, usize); 14] = [
    ("||", "_||_", 0),
    ("&&", "_&&_", 1),
    ("==", "_==_", 2),
    ("!=", "_!=_", 2),
    ("<", "_<_", 2),
    ("<=", "_<=_", 2),
    (">", "_>_", 2),
    (">=", "_>=_", 2),
    ("in", "@in", 2),
    ("+", "_+_", 3),
    ("-", "_-_", 3),
    ("*", "_*_", 4),
    ("/", "_/_", 4),
    ("%", "_%_", 4),
];

/// Nesting the parser follows before it gives up; the reference stops at 250, far beyond any selector.
const MAX_DEPTH: usize = 64;

/// Depth of the tree, which chains of operators and selections make deep without nesting in the text.
const MAX_TREE: usize = 300;

/// Reads one expression that spans all tokens of `source`.
///
/// # Errors
/// The first syntax error, after what was wrong before it without stopping the parser: numbers out of range, reserved names,
/// unsupported syntax, misused macros.
pub(super) fn parse(source: &str, tokens: &[Token], optionals: bool) -> Result<Expr, Vec<Fault>> {
    let mut parser = Parser {
        source: source.chars().collect(),
        tokens,
        optionals,
        starters: START,
        next: 0,
        depth: 0,
        faults: Vec::new(),
    };
    let expr = parser
        .expression()
        .and_then(|expr| parser.expect_end().map(|()| expr));
    match expr {
        Ok(expr) if parser.faults.is_empty() => Ok(expr),
        Ok(_) => Err(parser.faults),
        Err(fault) => {
            parser.faults.push(fault);
            Err(parser.faults)
        }
    }
}

/// Names that an expression may not use for anything.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
];

struct Parser<'a> {
    source: Vec<char>,
    tokens: &'a [Token],
    /// Whether `.?`, `[?` and `?` before an item may be used.
    optionals: bool,
    /// What the next operand may start with.
    starters: &'static str,
    next: usize,
    depth: usize,
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
            self.next += 1;
            at
        })
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
            let text = &token.text;
            return Err(self.fault(format!("missing '{symbol}' at '{text}'")));
        }
        Err(self.unexpected_before(symbol, &format!("'{symbol}'")))
    }

    /// The end of a literal where another item could follow.
    fn close_items(&mut self, symbol: &str, after_comma: bool) -> Result<(), Fault> {
        if after_comma {
            return self.close(symbol);
        }
        if self.take(symbol).is_some() {
            return Ok(());
        }
        Err(self.unexpected_before(symbol, &format!("{{'{symbol}', ','}}")))
    }

    /// The token is called extraneous when the wanted one is next.
    fn unexpected_before(&self, symbol: &str, expected: &str) -> Fault {
        let problem = if matches!(self.token(1).kind, Kind::Symbol(next) if next == symbol) {
            "extraneous"
        } else {
            "mismatched"
        };
        let text = &self.token(0).text;
        self.fault(format!("{problem} input '{text}' expecting {expected}"))
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

    fn expression(&mut self) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep());
        }
        let condition = self.binary(0)?;
        let expr = if let Some(at) = self.take("?") {
            let yes = self.binary(0)?;
            self.close(":")?;
            let no = self.expression()?;
            self.call("_?_:_", at, vec![condition, yes, no])?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn too_deep(&self) -> Fault {
        Fault::new(
            self.token(0).at,
            format!("expression recursion limit exceeded: {MAX_DEPTH}"),
        )
    }

    fn build(&self, at: usize, node: Node) -> Result<Expr, Fault> {
        let depth = 1 + node.children().map(|child| child.depth).max().unwrap_or(0);
        if depth > MAX_TREE {
            return Err(self.too_deep());
        }
        Ok(Expr { at, node, depth })
    }

    fn call(&self, function: &str, at: usize, arguments: Vec<Expr>) -> Result<Expr, Fault> {
        let node = Node::Call {
            function: function.to_owned(),
            target: None,
            arguments,
        };
        self.build(at, node)
    }

    /// Binary operators of at least a precedence; all associate to the left.
    fn binary(&mut self, minimum: usize) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        while let Some((_, function, precedence)) = self.symbol().and_then(|symbol| {
            let mut operators = OPERATORS.iter();
            operators
                .find(|(spelling, _, precedence)| *spelling == symbol && *precedence >= minimum)
        }) {
            let at = self.token(0).at;
            self.next += 1;
            let right = self.binary(precedence + 1)?;
            left = self.call(function, at, vec![left, right])?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let starters = std::mem::replace(&mut self.starters, START);
        if self.has_signed_number() {
            return self.member(starters);
        }
        for (operator, function) in [("!", "!_"), ("-", "-_")] {
            let Some(at) = self.take(operator) else {
                continue;
            };
            let mut count = 1;
            while self.take(operator).is_some() {
                count += 1;
            }
            self.check_operand(operator)?;
            let operand = self.member(START)?;
            // An even number of signs cancels out.
            return if count % 2 == 0 {
                Ok(operand)
            } else {
                self.call(function, at, vec![operand])
            };
        }
        self.member(starters)
    }

    /// What follows a sign has to start an operand.
    fn check_operand(&mut self, operator: &str) -> Result<(), Fault> {
        if operator == "-" && self.symbol() == Some("!") {
            return Err(self.no_way_on());
        }
        if self.starts_operand(0) {
            return Ok(());
        }
        if operator == "-" {
            let fault = self.no_way_on();
            self.faults.push(fault);
            return Err(self.unexpected(START));
        }
        let text = &self.token(0).text;
        Err(self.fault(format!("extraneous input '{text}' expecting {START}")))
    }

    /// A minus belongs to the number that follows it.
    fn has_signed_number(&self) -> bool {
        self.symbol() == Some("-") && matches!(self.token(1).kind, Kind::Int | Kind::Float)
    }

    fn member(&mut self, starters: &str) -> Result<Expr, Fault> {
        let mut expr = self.primary(starters)?;
        loop {
            if let Some(at) = self.take(".") {
                let optional = self.optional_mark(at, ".?");
                let token = self.token(0).clone();
                if token.kind != Kind::Identifier {
                    return Err(self.no_name_after_dot(optional));
                }
                self.next += 1;
                expr = if optional {
                    let field = Node::Literal(Type::Text, format!("'{}'", token.text));
                    let field = self.build(token.at, field)?;
                    self.call("_?._", at, vec![expr, field])?
                } else if let Some(open) = self.take("(") {
                    let arguments = self.arguments()?;
                    self.check_macro(&token.text, &arguments);
                    let node = Node::Call {
                        function: token.text,
                        target: Some(Box::new(expr)),
                        arguments,
                    };
                    self.build(open, node)?
                } else {
                    let node = Node::Select {
                        operand: Box::new(expr),
                        field: token.text.trim_matches('`').to_owned(),
                        presence: false,
                    };
                    self.build(at, node)?
                };
            } else if let Some(at) = self.take("[") {
                let optional = self.optional_mark(at, "[?");
                let index = self.expression_after(START_OF_INDEX)?;
                self.close("]")?;
                let function = if optional { "_[?_]" } else { "_[_]" };
                expr = self.call(function, at, vec![expr, index])?;
            } else if self.symbol() == Some("{")
                && let Some(name) = expr.qualified_name()
            {
                expr = self.message(name)?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// What stands after the dot is no name.
    fn no_name_after_dot(&mut self, optional: bool) -> Fault {
        if !optional {
            return self.no_way_on();
        }
        let token = self.token(0).clone();
        let expected = "expecting {IDENTIFIER, ESC_IDENTIFIER}";
        let fault = self.fault(format!("mismatched input '{}' {expected}", token.text));
        self.faults.push(fault);
        Fault::new(token.at, "unsupported ident kind".to_owned())
    }

    /// The first argument of a macro is the name of a variable.
    fn check_macro(&mut self, function: &str, arguments: &[Expr]) {
        let problem = match (function, arguments.len()) {
            ("all" | "exists" | "exists_one", 2) => "argument must be a simple name".to_owned(),
            ("filter", 2) | ("map", 2 | 3) => "argument is not an identifier".to_owned(),
            ("optMap" | "optFlatMap", 2) if self.optionals => {
                format!("{function}() variable name must be a simple identifier")
            }
            _ => return,
        };
        if let Some(variable) = arguments.first()
            && !matches!(variable.node, Node::Identifier(_))
        {
            self.faults.push(Fault::new(variable.at, problem));
        }
    }

    /// A literal whose value is out of range is reported and stands for a value of its type.
    fn literal(&mut self, at: usize, ty: Type, text: String) -> Result<Expr, Fault> {
        if let Some(problem) = out_of_range(&ty, &text) {
            self.faults.push(Fault::new(at, problem.to_owned()));
        }
        self.build(at, Node::Literal(ty, text))
    }

    fn signed_number(&mut self) -> Result<Expr, Fault> {
        let at = self.token(0).at;
        let number = self.token(1).clone();
        self.next += 2;
        let ty = match number.kind {
            Kind::Float => Type::Double,
            _ => Type::Int,
        };
        self.literal(at, ty, format!("-{}", number.text))
    }

    fn primary(&mut self, starters: &str) -> Result<Expr, Fault> {
        if self.has_signed_number() {
            return self.signed_number();
        }
        let leading_dot = self.take(".").is_some();
        if leading_dot && self.token(0).kind != Kind::Identifier {
            return Err(self.no_way_on());
        }
        let token = self.token(0).clone();
        self.next += 1;
        let ty = match token.kind {
            Kind::Int => Type::Int,
            Kind::Uint => Type::Uint,
            Kind::Float => Type::Double,
            Kind::Text => Type::Text,
            Kind::Bytes => Type::Bytes,
            Kind::True | Kind::False => Type::Bool,
            Kind::Null => Type::Null,
            Kind::Identifier => return self.identifier(&token, leading_dot),
            Kind::Symbol("(") => {
                let inner = self.expression()?;
                self.close(")")?;
                return Ok(inner);
            }
            Kind::Symbol("[") => {
                let items = self.list()?;
                return self.build(token.at, Node::List(items));
            }
            Kind::Symbol("{") => return self.map(token.at),
            // After the signs of an operand; a number would have been read with its sign.
            Kind::Symbol("-") => return Err(self.no_way_on()),
            _ => {
                self.next -= 1;
                return Err(self.unexpected(starters));
            }
        };
        self.literal(token.at, ty, token.text)
    }

    /// The token is not the start of an operand; it is called extraneous when the next one is.
    fn unexpected(&self, starters: &str) -> Fault {
        let token = self.token(0);
        let problem = if token.kind != Kind::End && self.starts_operand(1) {
            "extraneous"
        } else {
            "mismatched"
        };
        self.fault(format!(
            "{problem} input '{}' expecting {starters}",
            token.text
        ))
    }

    fn identifier(&mut self, token: &Token, leading_dot: bool) -> Result<Expr, Fault> {
        if RESERVED.contains(&token.text.as_str()) || token.text == "while" {
            let problem = format!("reserved identifier: {}", token.text);
            let at = token.at - usize::from(leading_dot);
            self.faults.push(Fault::new(at, problem));
        }
        let Some(open) = self.take("(") else {
            let dot = if leading_dot { "." } else { "" };
            return self.build(token.at, Node::Identifier(format!("{dot}{}", token.text)));
        };
        let mut arguments = self.arguments()?;
        if token.text == "has" && arguments.len() == 1 {
            let argument = arguments.remove(0);
            return match argument.node {
                Node::Select { operand, field, .. } => {
                    let presence = true;
                    let node = Node::Select {
                        operand,
                        field,
                        presence,
                    };
                    self.build(open, node)
                }
                _ => {
                    let problem = "invalid argument to has() macro".to_owned();
                    self.faults.push(Fault::new(argument.at, problem));
                    Ok(argument)
                }
            };
        }
        self.call(&token.text, open, arguments)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Fault> {
        if self.take(")").is_some() {
            return Ok(Vec::new());
        }
        let mut arguments = vec![self.expression_after(START_OF_ARGUMENTS)?];
        while self.take(",").is_some() {
            arguments.push(self.expression()?);
        }
        self.close(")")?;
        Ok(arguments)
    }

    /// Whether a literal goes on with another item: after its opening bracket or a comma.
    fn has_item(&self, close: &str) -> bool {
        !matches!(self.token(0).kind, Kind::Symbol(symbol) if symbol == close)
            && self.token(0).kind != Kind::End
    }

    fn list(&mut self) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        let mut starters = START_OF_LIST;
        let mut after_comma = true;
        if self.take(",").is_none() && self.symbol() != Some("]") {
            loop {
                let optional = self.optional_mark(self.token(0).at, "?");
                let value = self.expression_after(starters)?;
                items.push(Item { value, optional });
                starters = START;
                after_comma = self.take(",").is_some();
                if !after_comma || !self.has_item("]") {
                    break;
                }
            }
        }
        self.close_items("]", after_comma)?;
        Ok(items)
    }

    fn map(&mut self, at: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        let mut starters = START_OF_MAP;
        let mut after_comma = true;
        if self.take(",").is_none() && self.symbol() != Some("}") {
            loop {
                let optional = self.optional_mark(self.token(0).at, "?");
                let key = self.expression_after(starters)?;
                starters = START;
                self.close(":")?;
                let value = self.expression()?;
                entries.push((key, Item { value, optional }));
                after_comma = self.take(",").is_some();
                if !after_comma || !self.has_item("}") {
                    break;
                }
            }
        }
        self.close_items("}", after_comma)?;
        self.build(at, Node::Map(entries))
    }

    fn message(&mut self, name: String) -> Result<Expr, Fault> {
        let at = self.token(0).at;
        let mut fields = Vec::new();
        self.next += 1;
        let mut after_comma = true;
        if self.take(",").is_none() && self.symbol() != Some("}") {
            loop {
                self.optional_mark(self.token(0).at, "?");
                let name = self.token(0).clone();
                if name.kind != Kind::Identifier {
                    let expected = "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}";
                    return Err(self.unexpected_before("}", expected));
                }
                self.next += 1;
                let at = self.token(0).at;
                self.close(":")?;
                fields.push(MessageField {
                    at,
                    name: name.text.trim_matches('`').to_owned(),
                    value: self.expression()?,
                });
                after_comma = self.take(",").is_some();
                if !after_comma || !self.has_item("}") {
                    break;
                }
            }
        }
        self.close_items("}", after_comma)?;
        self.build(at, Node::Message(name, fields))
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

/// What the compiler says of a literal that is no value of its type.
fn out_of_range(ty: &Type, text: &str) -> Option<&'static str> {
    match ty {
        Type::Int => super::evaluate::integer(text)
            .is_none_or(|value| i64::try_from(value).is_err())
            .then_some("invalid int literal"),
        Type::Uint => super::evaluate::integer(text)
            .is_none_or(|value| u64::try_from(value).is_err())
            .then_some("invalid uint literal"),
        Type::Double => text
            .parse::<f64>()
            .is_ok_and(f64::is_infinite)
            .then_some("invalid double literal"),
        Type::Text => super::evaluate::text(text).err(),
        Type::Bytes => {
            let raw = text.contains(['r', 'R']) && !text.starts_with(['"', '\'']);
            (!raw && (text.contains("\\u") || text.contains("\\U")))
                .then_some("unable to unescape string")
        }
        _ => None,
    }
}
