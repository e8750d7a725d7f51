//! The type checker: names, fields and overloads.

use super::Fault;
use super::environment::{self, Environment};
use super::library;
use super::syntax::{Expr, Node};
use super::types::{Bindings, Type};

/// The type of `expr` and every problem on the way; after a problem its part counts as any type.
pub(super) fn check(expr: &Expr, environment: Environment) -> (Type, Vec<Fault>) {
    let mut checker = Checker {
        environment,
        scope: Vec::new(),
        faults: Vec::new(),
    };
    let ty = checker.check(expr);
    (ty, checker.faults)
}

struct Checker {
    environment: Environment,
    /// Variables of the enclosing `all`, `exists`, `map` and `filter` macros.
    scope: Vec<(String, Type)>,
    faults: Vec<Fault>,
}

impl Checker {
    fn fault(&mut self, at: usize, message: String) -> Type {
        self.faults.push(Fault::new(at, message));
        Type::Error
    }

    fn check(&mut self, expr: &Expr) -> Type {
        match &expr.node {
            Node::Literal(ty, _) => ty.clone(),
            Node::Identifier(name) => self.identifier(expr.at, name),
            Node::Select {
                operand,
                field,
                presence,
            } => {
                let found = self.select(expr.at, operand, field);
                if *presence && found != Type::Error {
                    Type::Bool
                } else {
                    found
                }
            }
            Node::List(items) => {
                let types: Vec<Type> = items.iter().map(|item| self.check(item)).collect();
                Type::list(joined(&types))
            }
            Node::Map(entries) => {
                let (keys, values): (Vec<Type>, Vec<Type>) = entries
                    .iter()
                    .map(|(key, value)| (self.check(key), self.check(value)))
                    .unzip();
                Type::map(joined(&keys), joined(&values))
            }
            Node::Call {
                function,
                target,
                arguments,
            } => self.call(expr.at, function, target.as_deref(), arguments),
        }
    }

    fn identifier(&mut self, at: usize, name: &str) -> Type {
        let scoped = self.scope.iter().rev().find(|(bound, _)| bound == name);
        if let Some((_, ty)) = scoped {
            return ty.clone();
        }
        if let Some(ty) = self.environment.name(name) {
            return ty;
        }
        self.fault(at, undeclared(name))
    }

    fn select(&mut self, at: usize, operand: &Expr, field: &str) -> Type {
        let object = self.check(operand);
        match object {
            Type::Object(name) => environment::field(name, field)
                .unwrap_or_else(|| self.fault(at, format!("undefined field '{field}'"))),
            Type::Map(_, value) => *value,
            Type::Dyn | Type::Error => object,
            other => self.fault(
                at,
                format!("type '{other}' does not support field selection"),
            ),
        }
    }

    fn call(
        &mut self,
        at: usize,
        function: &str,
        target: Option<&Expr>,
        arguments: &[Expr],
    ) -> Type {
        if let (Some(range), "all" | "exists" | "exists_one" | "map" | "filter") =
            (target, function)
            && arguments.len() >= 2
        {
            return self.comprehension(function, range, arguments);
        }
        let mut overloads = library::standard(function);
        overloads.extend(self.environment.functions(function));
        if overloads.is_empty() {
            for expr in target.into_iter().chain(arguments) {
                self.check(expr);
            }
            return self.fault(at, undeclared(function));
        }
        let types: Vec<Type> = target
            .into_iter()
            .chain(arguments)
            .map(|expr| self.check(expr))
            .collect();
        library::resolve(&overloads, target.is_some(), &types).unwrap_or_else(|| {
            let applied = applied_to(target.is_some(), &types);
            self.fault(
                at,
                format!("found no matching overload for '{function}' applied to '{applied}'"),
            )
        })
    }

    fn comprehension(&mut self, function: &str, range: &Expr, arguments: &[Expr]) -> Type {
        let item = match self.check(range) {
            Type::List(item) => *item,
            Type::Map(key, _) => *key,
            Type::Dyn => Type::Dyn,
            Type::Error => Type::Error,
            other => self.fault(
                range.at,
                format!("expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"),
            ),
        };
        let [variable, conditions @ .., body] = arguments else {
            return Type::Error;
        };
        let Node::Identifier(name) = &variable.node else {
            return self.fault(variable.at, "argument must be a simple name".to_owned());
        };
        self.scope.push((name.clone(), item.clone()));
        for condition in conditions {
            self.condition(condition);
        }
        let result = if function == "map" {
            Type::list(self.check(body))
        } else {
            self.condition(body);
            if function == "filter" {
                Type::list(item)
            } else {
                Type::Bool
            }
        };
        self.scope.pop();
        result
    }

    fn condition(&mut self, expr: &Expr) {
        let ty = self.check(expr);
        if ty != Type::Bool && !ty.is_dynamic() {
            self.fault(
                expr.at,
                format!("found no matching overload for '_&&_' applied to '(bool, {ty})'"),
            );
        }
    }
}

fn undeclared(name: &str) -> String {
    format!("undeclared reference to '{name}' (in container '')")
}

fn applied_to(member: bool, types: &[Type]) -> String {
    let list = |types: &[Type]| {
        let types: Vec<String> = types.iter().map(Type::to_string).collect();
        format!("({})", types.join(", "))
    };
    match types {
        [target, arguments @ ..] if member => format!("{target}.{}", list(arguments)),
        _ => list(types),
    }
}

/// The common type of the items of a literal, dynamic when they differ.
fn joined(types: &[Type]) -> Type {
    let Some((first, rest)) = types.split_first() else {
        return Type::Dyn;
    };
    if rest.iter().all(|ty| Bindings::default().accept(first, ty)) {
        first.clone()
    } else {
        Type::Dyn
    }
}
