//! The types of macros: calls that bind a variable, and conditions.

use super::check::{Checker, applied_to};
use super::syntax::{Expr, Node};
use super::types::Type;

impl Checker {
    /// `a.optMap(x, …)`, which stands for `a.hasValue() ? optional.of(…a.value()…) : optional.none()`.
    pub(super) fn optional_map(
        &mut self,
        at: usize,
        function: &str,
        operand: &Expr,
        (variable, body): (&Expr, &Expr),
    ) -> Type {
        let inner = match self.check(operand) {
            Type::Optional(inner) => *inner,
            ty if ty.is_dynamic() => Type::Dyn,
            other => {
                for name in ["hasValue", "value"] {
                    let applied = applied_to(true, std::slice::from_ref(&other));
                    let problem =
                        format!("found no matching overload for '{name}' applied to '{applied}'");
                    self.fault(at, problem);
                }
                Type::Error
            }
        };
        let Node::Identifier(name) = &variable.node else {
            return Type::Error;
        };
        self.scope.push((name.clone(), inner));
        let result = self.check(body);
        self.scope.pop();
        if function == "optMap" {
            return Type::Optional(Box::new(result));
        }
        let none = Type::Optional(Box::new(Type::Dyn));
        if matches!(result, Type::Optional(_)) || result.is_dynamic() {
            return result;
        }
        let applied = applied_to(false, &[Type::Bool, result, none]);
        let problem = format!("found no matching overload for '_?_:_' applied to '{applied}'");
        self.fault(at, problem)
    }

    pub(super) fn comprehension(
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
            return Type::Error;
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
    pub(super) fn truth(&mut self, expr: &Expr) -> bool {
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
