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
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// `a.b{…}`; Talos declares no message that is worth constructing, so only the name counts.
    Message(String),
}

const START: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_AFTER_NOT: &str = "{'[', '{', '(', '.', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_AFTER_MINUS: &str = "{'[', '{', '(', '.', '-', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

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

/// Reads one expression that spans all tokens.
pub(super) fn parse(tokens: &[Token], optionals: bool) -> Result<Expr, Fault> {
    let mut parser = Parser {
        tokens,
        optionals,
        starters: START,
        next: 0,
        depth: 0,
    };
    let expr = parser.expression()?;
    parser.expect_end()?;
    Ok(expr)
}

struct Parser<'a> {
    tokens: &'a [Token],
    /// Whether `.?`, `[?` and `?` before an item may be used.
    optionals: bool,
    /// What the next operand may start with.
    starters: &'static str,
    next: usize,
    depth: usize,
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
        if token.kind == Kind::End && symbol != ":" {
            return Err(self.fault(format!("missing '{symbol}' at '<EOF>'")));
        }
        let problem = if matches!(self.token(1).kind, Kind::Symbol(next) if next == symbol) {
            "extraneous"
        } else {
            "mismatched"
        };
        Err(self.fault(format!(
            "{problem} input '{}' expecting '{symbol}'",
            token.text
        )))
    }

    /// An expression where more than an operand may stand, which an error lists.
    fn expression_after(&mut self, starters: &'static str) -> Result<Expr, Fault> {
        self.starters = starters;
        self.expression()
    }

    /// Reads the mark of an optional part, an error where there are none; `from` is what the error points at.
    fn optional_mark(&mut self, from: usize, shown: &str) -> Result<(), Fault> {
        match self.take("?") {
            Some(_) if !self.optionals => {
                Err(Fault::new(from, format!("unsupported syntax '{shown}'")))
            }
            _ => Ok(()),
        }
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
        for (operator, function, following) in
            [("!", "!_", START_AFTER_NOT), ("-", "-_", START_AFTER_MINUS)]
        {
            let Some(at) = self.take(operator) else {
                continue;
            };
            let mut count = 1;
            while self.take(operator).is_some() {
                count += 1;
            }
            let operand = self.member(following)?;
            // An even number of signs cancels out.
            return if count % 2 == 0 {
                Ok(operand)
            } else {
                self.call(function, at, vec![operand])
            };
        }
        self.member(starters)
    }

    fn member(&mut self, starters: &str) -> Result<Expr, Fault> {
        let mut expr = self.primary(starters)?;
        loop {
            if let Some(at) = self.take(".") {
                self.optional_mark(at, ".?")?;
                let token = self.token(0).clone();
                if token.kind != Kind::Identifier {
                    return Err(self.fault(format!(
                        "no viable alternative at input '.{}'",
                        if token.kind == Kind::End {
                            ""
                        } else {
                            &token.text
                        }
                    )));
                }
                self.next += 1;
                expr = if let Some(open) = self.take("(") {
                    let arguments = self.arguments()?;
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
                self.optional_mark(at, "[?")?;
                let index = self.expression_after(START_OF_INDEX)?;
                self.close("]")?;
                expr = self.call("_[_]", at, vec![expr, index])?;
            } else if self.symbol() == Some("{")
                && let Some(name) = expr.qualified_name()
            {
                expr = self.message(name)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self, starters: &str) -> Result<Expr, Fault> {
        let leading_dot = self.symbol() == Some(".")
            && self.token(1).kind == Kind::Identifier
            && self.take(".").is_some();
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
            Kind::Symbol("(") if !leading_dot => {
                let inner = self.expression()?;
                self.close(")")?;
                return Ok(inner);
            }
            Kind::Symbol("[") => {
                let items = self.list()?;
                return self.build(token.at, Node::List(items));
            }
            Kind::Symbol("{") => return self.map(token.at),
            _ => {
                self.next -= 1;
                return Err(self.unexpected(starters));
            }
        };
        self.build(token.at, Node::Literal(ty, token.text))
    }

    /// The token is not the start of an operand; it is called extraneous when the next one is.
    fn unexpected(&self, starters: &str) -> Fault {
        let token = self.token(0);
        let next_starts = !matches!(self.token(1).kind, Kind::End | Kind::Symbol(_))
            || matches!(
                self.token(1).kind,
                Kind::Symbol("(" | "[" | "{" | "." | "-" | "!")
            );
        let problem = if token.kind != Kind::End && next_starts {
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
                _ => Err(Fault::new(
                    argument.at,
                    "invalid argument to has() macro".to_owned(),
                )),
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

    fn list(&mut self) -> Result<Vec<Expr>, Fault> {
        let mut items = Vec::new();
        let mut starters = START_OF_LIST;
        if self.take(",").is_none() && self.symbol() != Some("]") {
            loop {
                self.optional_mark(self.token(0).at, "?")?;
                items.push(self.expression_after(starters)?);
                starters = START;
                if self.take(",").is_none() || !self.has_item("]") {
                    break;
                }
            }
        }
        self.close("]")?;
        Ok(items)
    }

    fn map(&mut self, at: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        let mut starters = START_OF_MAP;
        if self.take(",").is_none() && self.symbol() != Some("}") {
            loop {
                self.optional_mark(self.token(0).at, "?")?;
                let key = self.expression_after(starters)?;
                starters = START;
                self.close(":")?;
                entries.push((key, self.expression()?));
                if self.take(",").is_none() || !self.has_item("}") {
                    break;
                }
            }
        }
        self.close("}")?;
        self.build(at, Node::Map(entries))
    }

    /// The fields are read for their syntax only.
    fn message(&mut self, name: String) -> Result<Expr, Fault> {
        let at = self.token(0).at;
        self.next += 1;
        if self.take(",").is_none() && self.symbol() != Some("}") {
            loop {
                self.optional_mark(self.token(0).at, "?")?;
                let field = self.token(0);
                if field.kind != Kind::Identifier {
                    let text = &field.text;
                    let expected = "{'}', ',', '?', ESC_IDENTIFIER, IDENTIFIER}";
                    return Err(
                        self.fault(format!("mismatched input '{text}' expecting {expected}"))
                    );
                }
                self.next += 1;
                if self.take(":").is_none() {
                    let text = &self.token(0).text;
                    return Err(self.fault(format!("mismatched input '{text}' expecting ':'")));
                }
                self.expression()?;
                if self.take(",").is_none() || !self.has_item("}") {
                    break;
                }
            }
        }
        self.close("}")?;
        self.build(at, Node::Message(name))
    }
}

impl Expr {
    /// `a.b.c` when the expression is nothing but names.
    fn qualified_name(&self) -> Option<String> {
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
            Self::Literal(..) | Self::Identifier(_) | Self::Message(_) => {
                Box::new(std::iter::empty())
            }
            Self::Select { operand, .. } => Box::new(std::iter::once(&**operand)),
            Self::Call {
                target, arguments, ..
            } => Box::new(target.iter().map(AsRef::as_ref).chain(arguments)),
            Self::List(items) => Box::new(items.iter()),
            Self::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
        }
    }
}
