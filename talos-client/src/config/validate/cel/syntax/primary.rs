//! Operands: names, calls, numbers and texts.

use super::super::Fault;
use super::super::evaluate;
use super::super::lexer::{Kind, Token};
use super::super::types::Type;
use super::{Expr, Node, Parser};

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

impl Parser<'_> {
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
        self.advance();
        self.advance();
        let ty = match number.kind {
            Kind::Float => Type::Double,
            _ => Type::Int,
        };
        self.literal(at, ty, format!("-{}", number.text))
    }

    pub(super) fn primary(&mut self, starters: &str) -> Result<Expr, Fault> {
        if self.has_signed_number() {
            return self.signed_number();
        }
        let leading_dot = self.take(".").is_some();
        if leading_dot && self.token(0).kind != Kind::Identifier {
            return Err(self.no_way_on());
        }
        let token = self.token(0).clone();
        self.advance();
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
    pub(super) fn unexpected(&self, starters: &str) -> Fault {
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
}

/// What the compiler says of a literal that is no value of its type.
fn out_of_range(ty: &Type, text: &str) -> Option<&'static str> {
    match ty {
        Type::Int => evaluate::integer(text)
            .is_none_or(|value| i64::try_from(value).is_err())
            .then_some("invalid int literal"),
        Type::Uint => evaluate::integer(text)
            .is_none_or(|value| u64::try_from(value).is_err())
            .then_some("invalid uint literal"),
        Type::Double => text
            .parse::<f64>()
            .is_ok_and(f64::is_infinite)
            .then_some("invalid double literal"),
        Type::Text => evaluate::text(text).err(),
        Type::Bytes => {
            let raw = text.contains(['r', 'R']) && !text.starts_with(['"', '\'']);
            (!raw && (text.contains("\\u") || text.contains("\\U")))
                .then_some("unable to unescape string")
        }
        _ => None,
    }
}
