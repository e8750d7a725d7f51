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
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Literal(Type),
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
}

const START: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_AFTER_NOT: &str = "{'[', '{', '(', '.', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const START_AFTER_MINUS: &str = "{'[', '{', '(', '.', '-', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Nesting the parser follows before it gives up, the limit of the reference implementation.
const MAX_DEPTH: usize = 250;

/// Operators and selections in one expression; they nest to the left, so they bound the tree's depth.
const MAX_LINKS: usize = 1000;

/// Reads one expression that spans all tokens.
pub(super) fn parse(tokens: &[Token]) -> Result<Expr, Fault> {
    let mut parser = Parser {
        tokens,
        next: 0,
        depth: 0,
        links: 0,
    };
    let expr = parser.expression()?;
    parser.expect_end()?;
    Ok(expr)
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    links: usize,
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
        if token.kind == Kind::End {
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
            call("_?_:_", at, vec![condition, yes, no])
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

    fn link(&mut self) -> Result<(), Fault> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.too_deep());
        }
        Ok(())
    }

    /// Binary operators by rising precedence; all associate to the left.
    fn binary(&mut self, level: usize) -> Result<Expr, Fault> {
        const LEVELS: [&[(&str, &str)]; 5] = [
            &[("||", "_||_")],
            &[("&&", "_&&_")],
            &[
                ("==", "_==_"),
                ("!=", "_!=_"),
                ("<", "_<_"),
                ("<=", "_<=_"),
                (">", "_>_"),
                (">=", "_>=_"),
                ("in", "@in"),
            ],
            &[("+", "_+_"), ("-", "_-_")],
            &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
        ];
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some((_, function)) = self
            .symbol()
            .and_then(|symbol| operators.iter().find(|(spelling, _)| *spelling == symbol))
        {
            let at = self.token(0).at;
            self.next += 1;
            self.link()?;
            let right = self.binary(level + 1)?;
            left = call(function, at, vec![left, right]);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        for (operator, function, following) in [
            ("!", "!_", START_AFTER_NOT),
            ("-", "-_", START_AFTER_MINUS),
        ] {
            let Some(at) = self.take(operator) else {
                continue;
            };
            let mut count = 1;
            while self.take(operator).is_some() {
                count += 1;
            }
            let operand = self.member(following)?;
            // An even number of signs cancels out.
            return Ok(if count % 2 == 0 {
                operand
            } else {
                call(function, at, vec![operand])
            });
        }
        self.member(START)
    }

    fn member(&mut self, starters: &str) -> Result<Expr, Fault> {
        let mut expr = self.primary(starters)?;
        loop {
            self.link()?;
            if let Some(at) = self.take(".") {
                self.take("?");
                let token = self.token(0).clone();
                if token.kind != Kind::Identifier {
                    return Err(self.fault(format!(
                        "no viable alternative at input '.{}'",
                        if token.kind == Kind::End { "" } else { &token.text }
                    )));
                }
                self.next += 1;
                expr = if let Some(open) = self.take("(") {
                    let arguments = self.arguments(")")?;
                    Expr {
                        at: open,
                        node: Node::Call {
                            function: token.text,
                            target: Some(Box::new(expr)),
                            arguments,
                        },
                    }
                } else {
                    Expr {
                        at,
                        node: Node::Select {
                            operand: Box::new(expr),
                            field: token.text.trim_matches('`').to_owned(),
                            presence: false,
                        },
                    }
                };
            } else if let Some(at) = self.take("[") {
                self.take("?");
                let index = self.expression()?;
                self.close("]")?;
                expr = call("_[_]", at, vec![expr, index]);
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
        let literal = |ty| {
            Ok(Expr {
                at: token.at,
                node: Node::Literal(ty),
            })
        };
        match token.kind {
            Kind::Int => literal(Type::Int),
            Kind::Uint => literal(Type::Uint),
            Kind::Float => literal(Type::Double),
            Kind::Text => literal(Type::Text),
            Kind::Bytes => literal(Type::Bytes),
            Kind::True | Kind::False => literal(Type::Bool),
            Kind::Null => literal(Type::Null),
            Kind::Identifier => self.identifier(&token),
            Kind::Symbol("(") if !leading_dot => {
                let inner = self.expression()?;
                self.close(")")?;
                Ok(inner)
            }
            Kind::Symbol("[") => Ok(Expr {
                at: token.at,
                node: Node::List(self.arguments("]")?),
            }),
            Kind::Symbol("{") => self.map(token.at),
            _ => {
                self.next -= 1;
                Err(self.unexpected(starters))
            }
        }
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

    fn identifier(&mut self, token: &Token) -> Result<Expr, Fault> {
        let Some(open) = self.take("(") else {
            return Ok(Expr {
                at: token.at,
                node: Node::Identifier(token.text.clone()),
            });
        };
        let mut arguments = self.arguments(")")?;
        if token.text == "has" && arguments.len() == 1 {
            let argument = arguments.remove(0);
            return match argument.node {
                Node::Select { operand, field, .. } => Ok(Expr {
                    at: open,
                    node: Node::Select {
                        operand,
                        field,
                        presence: true,
                    },
                }),
                _ => Err(Fault::new(
                    argument.at,
                    "invalid argument to has() macro".to_owned(),
                )),
            };
        }
        Ok(Expr {
            at: open,
            node: Node::Call {
                function: token.text.clone(),
                target: None,
                arguments,
            },
        })
    }

    fn arguments(&mut self, close: &str) -> Result<Vec<Expr>, Fault> {
        let mut arguments = Vec::new();
        while self.take(close).is_none() {
            arguments.push(self.expression()?);
            if self.take(",").is_none() {
                self.close(close)?;
                break;
            }
        }
        Ok(arguments)
    }

    fn map(&mut self, at: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        while self.take("}").is_none() {
            self.take("?");
            let key = self.expression()?;
            self.close(":")?;
            entries.push((key, self.expression()?));
            if self.take(",").is_none() {
                self.close("}")?;
                break;
            }
        }
        Ok(Expr {
            at,
            node: Node::Map(entries),
        })
    }
}

fn call(function: &str, at: usize, arguments: Vec<Expr>) -> Expr {
    Expr {
        at,
        node: Node::Call {
            function: function.to_owned(),
            target: None,
            arguments,
        },
    }
}
