//! Operators by their precedence.

use super::super::Fault;
use super::super::lexer::Kind;
use super::expected::START;
use super::{Expr, MAX_DEPTH, MAX_TREE, Node, Parser};

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

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expr, Fault> {
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

    pub(super) fn build(&self, at: usize, node: Node) -> Result<Expr, Fault> {
        let depth = 1 + node.children().map(|child| child.depth).max().unwrap_or(0);
        if depth > MAX_TREE {
            return Err(self.too_deep());
        }
        Ok(Expr { at, node, depth })
    }

    pub(super) fn call(
        &self,
        function: &str,
        at: usize,
        arguments: Vec<Expr>,
    ) -> Result<Expr, Fault> {
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
            self.advance();
            let right = self.binary(precedence + 1)?;
            left = self.call(function, at, vec![left, right])?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let starters = std::mem::replace(&mut self.starters, START);
        if !self.starts_operand(0) && self.token(0).kind != Kind::End && self.starts_operand(1) {
            self.drop_extraneous(starters);
        }
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
        if self.starts_operand(1) {
            self.drop_extraneous(START);
            return Ok(());
        }
        let text = &self.token(0).text;
        Err(self.fault(format!("extraneous input '{text}' expecting {START}")))
    }

    /// A minus belongs to the number that follows it.
    pub(super) fn has_signed_number(&self) -> bool {
        self.symbol() == Some("-") && matches!(self.token(1).kind, Kind::Int | Kind::Float)
    }
}
