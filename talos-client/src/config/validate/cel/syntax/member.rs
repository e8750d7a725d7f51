//! What follows an operand: fields, calls, indices and the fields of a message.

use super::super::Fault;
use super::super::lexer::Kind;
use super::super::types::Type;
use super::expected::{START_OF_ARGUMENTS, START_OF_INDEX};
use super::{Expr, Node, Parser};

impl Parser<'_> {
    pub(super) fn member(&mut self, starters: &str) -> Result<Expr, Fault> {
        let mut expr = self.primary(starters)?;
        loop {
            if let Some(at) = self.take(".") {
                let optional = self.optional_mark(at, ".?");
                let token = self.token(0).clone();
                if token.kind != Kind::Identifier {
                    return Err(self.no_name_after_dot(optional));
                }
                self.advance();
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
    pub(super) fn arguments(&mut self) -> Result<Vec<Expr>, Fault> {
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
}
