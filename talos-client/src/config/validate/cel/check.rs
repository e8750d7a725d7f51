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
                if *presence { Type::Bool } else { found }
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
            Node::Message(name) => {
                let problem = match self.known(name) {
                    None => undeclared(name),
                    Some(Type::Kind(_)) => format!("'{name}' is not a message type"),
                    Some(_) => format!("'{name}' is not a type"),
                };
                self.fault(expr.at, problem)
            }
        }
    }

    fn identifier(&mut self, at: usize, name: &str) -> Type {
        self.known(name)
            .unwrap_or_else(|| self.fault(at, undeclared(name)))
    }

    /// The type of a name. A leading dot looks beyond the variables of macros.
    fn known(&self, name: &str) -> Option<Type> {
        if let Some(name) = name.strip_prefix('.') {
            return self.environment.name(name);
        }
        let mut scope = self.scope.iter().rev();
        let scoped = scope.find(|(bound, _)| bound == name);
        scoped
            .map(|(_, ty)| ty.clone())
            .or_else(|| self.environment.name(name))
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
            Type::Object(name) => environment::field(name, field)
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
        if let (Some(range), "all" | "exists" | "exists_one" | "map" | "filter") =
            (target, function)
            && arguments.len() >= 2
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

    fn comprehension(
        &mut self,
        at: usize,
        function: &str,
        range: &Expr,
        arguments: &[Expr],
    ) -> Type {
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
        let result = match function {
            "all" | "exists" => {
                self.truth(body);
                Type::Bool
            }
            "exists_one" => {
                self.choice(at, body, &Type::Int);
                Type::Bool
            }
            "filter" => {
                let items = Type::list(item);
                self.choice(at, body, &items);
                items
            }
            _ => {
                let conditions: Vec<Type> = conditions
                    .iter()
                    .map(|condition| self.check(condition))
                    .collect();
                let items = Type::list(self.check(body));
                for condition in &conditions {
                    self.chosen(at, condition, &items);
                }
                items
            }
        };
        self.scope.pop();
        result
    }

    /// A side of a logical operator; what is no truth value is reported where it stands.
    fn truth(&mut self, expr: &Expr) -> bool {
        let ty = self.check(expr);
        let fits = ty == Type::Bool || ty.is_dynamic();
        if !fits {
            self.fault(expr.at, format!("expected type 'bool' but found '{ty}'"));
        }
        fits
    }

    /// The condition of a macro that stands for `condition ? changed : unchanged`.
    fn choice(&mut self, at: usize, condition: &Expr, result: &Type) {
        let ty = self.check(condition);
        self.chosen(at, &ty, result);
    }

    fn chosen(&mut self, at: usize, condition: &Type, result: &Type) {
        if *condition != Type::Bool && !condition.is_dynamic() {
            let types = [condition.clone(), result.clone(), result.clone()];
            let applied = applied_to(false, &types);
            self.fault(
                at,
                format!("found no matching overload for '_?_:_' applied to '{applied}'"),
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
