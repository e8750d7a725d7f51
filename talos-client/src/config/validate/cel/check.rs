//! The type checker: names, fields and overloads.

use super::Fault;
use super::environment::Environment;
use super::library;
use super::message;
use super::syntax::{Expr, Item, MessageField, Node};
use super::types::{Bindings, Type};
use crate::config::VersionContract;

/// The type of `expr` and every problem on the way; after a problem its part counts as any type.
pub(super) fn check(
    expr: &Expr,
    environment: Environment,
    release: VersionContract,
) -> (Type, Vec<Fault>) {
    let mut checker = Checker {
        environment,
        release,
        scope: Vec::new(),
        faults: Vec::new(),
    };
    let ty = checker.check(expr);
    (ty, checker.faults)
}

pub(super) struct Checker {
    environment: Environment,
    release: VersionContract,
    /// Variables of the enclosing `all`, `exists`, `map` and `filter` macros.
    pub(super) scope: Vec<(String, Type)>,
    faults: Vec<Fault>,
}

impl Checker {
    pub(super) fn fault(&mut self, at: usize, message: String) -> Type {
        self.faults.push(Fault::new(at, message));
        Type::Error
    }

    pub(super) fn check(&mut self, expr: &Expr) -> Type {
        match &expr.node {
            Node::Literal(ty, _) => ty.clone(),
            Node::Identifier(name) => self.identifier(expr.at, name),
            Node::Select {
                operand,
                field,
                presence,
            } => {
                if let Some(ty) = self.qualified(expr) {
                    return ty;
                }
                let found = self.select(expr.at, operand, field);
                if *presence { Type::Bool } else { found }
            }
            Node::List(items) => {
                let types: Vec<Type> = items.iter().map(|item| self.item(item)).collect();
                Type::list(joined(&types))
            }
            Node::Map(entries) => {
                let (keys, values): (Vec<Type>, Vec<Type>) = entries
                    .iter()
                    .map(|(key, item)| (self.check(key), self.item(item)))
                    .unzip();
                Type::map(joined(&keys), joined(&values))
            }
            Node::Call {
                function,
                target,
                arguments,
            } => self.call(expr.at, function, target.as_deref(), arguments),
            Node::Message(name, fields) => self.message(expr.at, name, fields),
        }
    }

    /// A part of a literal; one that is marked as optional has to be.
    fn item(&mut self, item: &Item) -> Type {
        let ty = self.check(&item.value);
        match ty {
            Type::Optional(inner) if item.optional => *inner,
            ty if item.optional && !ty.is_dynamic() => {
                let problem = format!("expected type 'optional_type({ty})' but found '{ty}'");
                self.fault(item.value.at, problem);
                ty
            }
            ty => ty,
        }
    }

    /// The construction of a message, and what is wrong with its fields.
    fn message(&mut self, at: usize, name: &str, fields: &[MessageField]) -> Type {
        let plain = name.trim_start_matches('.');
        let ty = match self.known(name) {
            Some(Type::Kind(ty)) if plain.contains('.') => *ty,
            other => {
                let problem = match other {
                    None => undeclared(name),
                    Some(Type::Kind(ty)) => format!("'{ty}' is not a message type"),
                    Some(_) => undeclared(name),
                };
                self.fault(at, problem)
            }
        };
        for field in fields {
            let value = self.check(&field.value);
            if ty == Type::Error {
                if matches!(self.known(name), Some(Type::Kind(_))) {
                    let problem = format!("unexpected failed resolution of '{plain}'");
                    self.fault(field.at, problem);
                }
                continue;
            }
            match message::field(plain, &field.name, self.release) {
                None => {
                    self.fault(field.at, format!("undefined field '{}'", field.name));
                }
                Some(wanted) if !Bindings::default().accept(&wanted, &value) => {
                    let name = &field.name;
                    let problem = format!(
                        "expected type of field '{name}' is '{wanted}' but provided type is '{value}'"
                    );
                    self.fault(field.at, problem);
                }
                Some(_) => {}
            }
        }
        ty
    }

    fn identifier(&mut self, at: usize, name: &str) -> Type {
        self.known(name)
            .unwrap_or_else(|| self.fault(at, undeclared(name)))
    }

    /// The type of a name. A leading dot looks beyond the variables of macros.
    fn known(&self, name: &str) -> Option<Type> {
        if let Some(name) = name.strip_prefix('.') {
            return self.environment.name(name, self.release);
        }
        let mut scope = self.scope.iter().rev();
        let scoped = scope.find(|(bound, _)| bound == name);
        scoped
            .map(|(_, ty)| ty.clone())
            .or_else(|| self.environment.name(name, self.release))
    }

    /// The type of `a.b.c` when that is the name of a message.
    fn qualified(&self, expr: &Expr) -> Option<Type> {
        let name = expr.qualified_name()?;
        let first = name.trim_start_matches('.').split('.').next()?;
        let is_variable = self.scope.iter().any(|(bound, _)| bound == first);
        (!is_variable).then(|| self.known(&name)).flatten()
    }

    fn select(&mut self, at: usize, operand: &Expr, field: &str) -> Type {
        match self.check(operand) {
            Type::Optional(inner) => Type::Optional(Box::new(self.field(at, *inner, field))),
            object => self.field(at, object, field),
        }
    }

    /// The type of a field; what has no fields gives anything, so that the check goes on.
    fn field(&mut self, at: usize, object: Type, field: &str) -> Type {
        match object {
            Type::Object(name) => message::field(name, field, self.release)
                .unwrap_or_else(|| self.fault(at, format!("undefined field '{field}'"))),
            Type::Map(_, value) => *value,
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                self.fault(
                    at,
                    format!("type '{other}' does not support field selection"),
                );
                Type::Dyn
            }
        }
    }

    fn call(
        &mut self,
        at: usize,
        function: &str,
        target: Option<&Expr>,
        arguments: &[Expr],
    ) -> Type {
        if let (Some(range), "all" | "exists" | "exists_one" | "filter", 2)
        | (Some(range), "map", 2 | 3) = (target, function, arguments.len())
        {
            return self.comprehension(at, function, range, arguments);
        }
        if matches!(function, "_&&_" | "_||_") {
            // Both sides are checked before either is judged; the order of the faults is that of the text.
            let fits = arguments.iter().map(|side| self.truth(side));
            return match fits.filter(|fits| !fits).count() {
                0 => Type::Bool,
                _ => Type::Error,
            };
        }
        if function == "_?._"
            && let [operand, field] = arguments
        {
            return self.optional_select(at, operand, field);
        }
        if let (Some(operand), "optMap" | "optFlatMap", [variable, body]) =
            (target, function, arguments)
            && self.environment.has_optionals()
        {
            return self.optional_map(at, function, operand, (variable, body));
        }
        if let Some(target) = target
            && matches!(&target.node, Node::Identifier(name) if name == "optional")
        {
            let overloads = self.environment.functions(&format!("optional.{function}"));
            if !overloads.is_empty() {
                let types: Vec<Type> = arguments.iter().map(|expr| self.check(expr)).collect();
                return self.resolved(
                    at,
                    &format!("optional.{function}"),
                    &overloads,
                    (false, &types),
                );
            }
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
        self.resolved(at, function, &overloads, (target.is_some(), &types))
    }

    fn resolved(
        &mut self,
        at: usize,
        function: &str,
        overloads: &[library::Overload],
        (member, types): (bool, &[Type]),
    ) -> Type {
        library::resolve(overloads, member, types).unwrap_or_else(|| {
            let applied = applied_to(member, types);
            self.fault(
                at,
                format!("found no matching overload for '{function}' applied to '{applied}'"),
            )
        })
    }

    /// `a.?b`: an optional of the field's type.
    fn optional_select(&mut self, at: usize, operand: &Expr, field: &Expr) -> Type {
        let Node::Literal(_, name) = &field.node else {
            return Type::Error;
        };
        let ty = self.select(at, operand, name.trim_matches(['\'', '`']));
        match ty {
            Type::Optional(_) => ty,
            other => Type::Optional(Box::new(other)),
        }
    }
}

fn undeclared(name: &str) -> String {
    format!("undeclared reference to '{name}' (in container '')")
}

pub(super) fn applied_to(member: bool, types: &[Type]) -> String {
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
