//! Evaluation with unknowns: what a lint can say about an expression without the machine.

use super::syntax::{Expr, Item, Node};
use super::types::Type;

/// A value, or `Unknown` for what is not given or not implemented here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Value {
    Bool(bool),
    /// Signed and unsigned integers; the type checker keeps them apart.
    Number(i128),
    Text(String),
    List(Vec<Self>),
    Unknown,
}

/// The value of an expression that passed the type checker.
pub(super) fn evaluate(expr: &Expr, names: &dyn Fn(&str, &str) -> Value) -> Value {
    Evaluator {
        names,
        scope: Vec::new(),
    }
    .value(expr)
}

struct Evaluator<'a> {
    names: &'a dyn Fn(&str, &str) -> Value,
    /// Variables of the enclosing macros.
    scope: Vec<(&'a str, Value)>,
}

impl<'a> Evaluator<'a> {
    fn value(&mut self, expr: &'a Expr) -> Value {
        match &expr.node {
            Node::Literal(ty, spelling) => literal(ty, spelling),
            Node::Identifier(name) => self.named(name, ""),
            Node::Select {
                operand,
                field,
                presence: false,
            } => match &operand.node {
                Node::Identifier(name) => self.named(name, field),
                _ => Value::Unknown,
            },
            Node::List(items) => self.list(items),
            Node::Call {
                function,
                target,
                arguments,
            } => self.call(function, target.as_deref(), arguments),
            Node::Select { .. } | Node::Map(_) | Node::Message(..) => Value::Unknown,
        }
    }

    /// A variable of a macro, a unit, or what the caller knows. A leading dot looks beyond the variables.
    fn named(&self, name: &str, field: &str) -> Value {
        let plain = name.trim_start_matches('.');
        let mut scope = self.scope.iter().rev();
        if let Some((_, value)) = scope.find(|(bound, _)| *bound == name) {
            return match field {
                "" => value.clone(),
                _ => Value::Unknown,
            };
        }
        match unit(plain) {
            Some(value) if field.is_empty() => value,
            _ => (self.names)(plain, field),
        }
    }

    fn list(&mut self, items: &'a [Item]) -> Value {
        if items.iter().any(|item| item.optional) {
            return Value::Unknown;
        }
        Value::List(items.iter().map(|item| self.value(&item.value)).collect())
    }

    fn call(&mut self, function: &str, target: Option<&'a Expr>, arguments: &'a [Expr]) -> Value {
        if let Some(range) = target
            && let [variable, body] = arguments
            && let Node::Identifier(variable) = &variable.node
            && matches!(function, "all" | "exists" | "exists_one" | "filter" | "map")
        {
            return self.comprehension(function, range, (variable, body));
        }
        let operands = target.into_iter().chain(arguments);
        let values: Vec<Value> = operands.map(|operand| self.value(operand)).collect();
        call(function, &values)
    }

    fn comprehension(
        &mut self,
        function: &str,
        range: &'a Expr,
        (variable, body): (&'a str, &'a Expr),
    ) -> Value {
        let Value::List(items) = self.value(range) else {
            return Value::Unknown;
        };
        let mut results = Vec::with_capacity(items.len());
        for item in &items {
            self.scope.push((variable, item.clone()));
            results.push(self.value(body));
            self.scope.pop();
        }
        match function {
            "all" if results.contains(&Value::Bool(false)) => Value::Bool(false),
            "exists" if results.contains(&Value::Bool(true)) => Value::Bool(true),
            _ if !results.iter().all(known) => Value::Unknown,
            "all" => Value::Bool(true),
            "exists" => Value::Bool(false),
            "map" => Value::List(results),
            _ => {
                let chosen = items.into_iter().zip(&results);
                let chosen = chosen.filter(|(_, keep)| **keep == Value::Bool(true));
                let chosen: Vec<Value> = chosen.map(|(item, _)| item).collect();
                match function {
                    "exists_one" => Value::Bool(chosen.len() == 1),
                    _ => Value::List(chosen),
                }
            }
        }
    }
}

fn literal(ty: &Type, spelling: &str) -> Value {
    match ty {
        Type::Bool => Value::Bool(spelling == "true"),
        Type::Int | Type::Uint => integer(spelling).map_or(Value::Unknown, Value::Number),
        Type::Text => text(spelling).map_or(Value::Unknown, Value::Text),
        _ => Value::Unknown,
    }
}

/// The value of an integer literal, signed or unsigned; nothing when it is beyond every range.
pub(super) fn integer(spelling: &str) -> Option<i128> {
    let digits = spelling.trim_end_matches(['u', 'U']);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, digits),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    Some(sign * value.ok()?)
}

/// The text of a literal; the error is the compiler's.
pub(super) fn text(spelling: &str) -> Result<String, &'static str> {
    let raw = spelling.starts_with(['r', 'R']);
    let quoted = spelling.trim_start_matches(['r', 'R']);
    let is_triple = |quote: &&&str| quoted.len() >= 6 && quoted.starts_with(**quote);
    let width = ["\"\"\"", "'''"]
        .iter()
        .find(is_triple)
        .map_or(1, |quote| quote.len());
    let end = quoted.len().saturating_sub(width);
    let inner = quoted.get(width..end).unwrap_or_default();
    if raw || !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut characters = inner.chars();
    let mut text = String::with_capacity(inner.len());
    while let Some(c) = characters.next() {
        text.push(if c == '\\' {
            unescaped(&mut characters).ok_or("invalid unicode code point")?
        } else {
            c
        });
    }
    Ok(text)
}

/// The character of an escape after its backslash, which the lexer has checked.
fn unescaped(characters: &mut std::str::Chars<'_>) -> Option<char> {
    let kind = characters.next()?;
    let mut code = |first: &str, count: usize, radix: u32| {
        let rest = characters.by_ref().take(count);
        let digits: String = first.chars().chain(rest).collect();
        char::from_u32(u32::from_str_radix(&digits, radix).ok()?)
    };
    match kind {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        'x' | 'X' => code("", 2, 16),
        'u' => code("", 4, 16),
        'U' => code("", 8, 16),
        '0'..='3' => code(&kind.to_string(), 2, 8),
        other => Some(other),
    }
}

fn unit(name: &str) -> Option<Value> {
    let (base, letters): (i128, &str) = match name {
        "kB" => return Some(Value::Number(1000)),
        name if name.ends_with("iB") => (1024, name.strip_suffix("iB")?),
        name => (1000, name.strip_suffix('B')?),
    };
    let power = ["K", "M", "G", "T", "P", "E"]
        .iter()
        .position(|letter| *letter == letters)?;
    Some(Value::Number(
        base.pow(u32::try_from(power).unwrap_or_default() + 1),
    ))
}

fn call(function: &str, values: &[Value]) -> Value {
    use Value::{Bool, List, Number, Text, Unknown};
    match (function, values) {
        ("_&&_", [Bool(false), _] | [_, Bool(false)]) => Bool(false),
        ("_&&_", [Bool(true), Bool(true)]) => Bool(true),
        ("_||_", [Bool(true), _] | [_, Bool(true)]) => Bool(true),
        ("_||_", [Bool(false), Bool(false)]) => Bool(false),
        ("!_", [Bool(value)]) => Bool(!value),
        ("-_", [Number(value)]) => number(value.checked_neg()),
        ("_?_:_", [Bool(condition), yes, no]) => if *condition { yes } else { no }.clone(),
        ("_==_" | "_!=_", [left, right]) if known(left) && known(right) => {
            Bool((left == right) == (function == "_==_"))
        }
        ("_<_" | "_<=_" | "_>_" | "_>=_", [Number(left), Number(right)]) => {
            Bool(ordered(function, left.cmp(right)))
        }
        ("_<_" | "_<=_" | "_>_" | "_>=_", [Text(left), Text(right)]) => {
            Bool(ordered(function, left.cmp(right)))
        }
        ("_+_", [Number(left), Number(right)]) => number(left.checked_add(*right)),
        ("_-_", [Number(left), Number(right)]) => number(left.checked_sub(*right)),
        ("_*_", [Number(left), Number(right)]) => number(left.checked_mul(*right)),
        ("_/_", [Number(left), Number(right)]) => number(left.checked_div(*right)),
        ("_%_", [Number(left), Number(right)]) => number(left.checked_rem(*right)),
        ("_+_", [Text(left), Text(right)]) => Text(format!("{left}{right}")),
        ("uint" | "int", [Number(value)]) => Number(*value),
        ("@in", [item, List(items)]) if items.contains(item) && known(item) => Bool(true),
        ("@in", [item, List(items)]) if known(item) && items.iter().all(known) => Bool(false),
        ("glob", [Text(pattern), Text(text)]) => Bool(glob(pattern, text)),
        ("startsWith", [Text(text), Text(part)]) => Bool(text.starts_with(part.as_str())),
        ("endsWith", [Text(text), Text(part)]) => Bool(text.ends_with(part.as_str())),
        ("contains", [Text(text), Text(part)]) => Bool(text.contains(part.as_str())),
        ("matches", [Text(text), Text(pattern)]) => {
            regex::Regex::new(pattern).map_or(Unknown, |regex| Bool(regex.is_match(text)))
        }
        ("size", [Text(text)]) => number(i128::try_from(text.chars().count()).ok()),
        ("size", [List(items)]) => number(i128::try_from(items.len()).ok()),
        ("_[_]", [List(items), Number(index)]) => usize::try_from(*index)
            .ok()
            .and_then(|index| items.get(index).cloned())
            .unwrap_or(Unknown),
        ("_+_", [List(left), List(right)]) => List([left.as_slice(), right].concat()),
        _ => Unknown,
    }
}

fn known(value: &Value) -> bool {
    match value {
        Value::Unknown => false,
        Value::List(items) => items.iter().all(known),
        _ => true,
    }
}

fn number(result: Option<i128>) -> Value {
    result.map_or(Value::Unknown, Value::Number)
}

fn ordered(function: &str, order: std::cmp::Ordering) -> bool {
    match function {
        "_<_" => order.is_lt(),
        "_<=_" => order.is_le(),
        "_>_" => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// `*` stands for any text; nothing else is special, as in the `glob` function of Talos.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, decide};
    use super::Value;
    use crate::config::VersionContract;

    fn decided(source: &str) -> Option<bool> {
        decide(
            source,
            Environment::Disk,
            VersionContract::V1_13,
            &|name, field| match (name, field) {
                ("disk", "size") => Value::Number(32 << 30),
                ("disk", "transport") => Value::Text("virtio".to_owned()),
                ("disk", "symlinks") => Value::List(vec![Value::Text("/dev/disk/a".to_owned())]),
                ("disk", "cdrom") => Value::Bool(false),
                _ => Value::Unknown,
            },
        )
    }

    #[test]
    fn known_fields_decide_a_condition() {
        for (source, expected) in [
            ("disk.size > 10u * GiB", true),
            ("disk.size >= 40u * GB && !disk.cdrom", false),
            ("disk.transport == 'sata'", false),
            ("disk.transport in ['sata', 'virtio']", true),
            ("glob('v*i*o', disk.transport)", true),
            ("glob('v?rtio', disk.transport)", false),
            ("disk.transport.startsWith(\"vir\") ? true : false", true),
            ("'/dev/disk/a' in disk.symlinks", true),
            ("disk.size == 0x800000000u", true),
            (
                "disk.symlinks.exists(link, link.startsWith('/dev/disk/'))",
                true,
            ),
            ("disk.symlinks.all(link, link.endsWith('b'))", false),
            (
                "disk.symlinks.filter(link, link.contains('disk')).size() == 1",
                true,
            ),
            (
                "disk.symlinks.map(link, link + '!') == ['/dev/disk/a!']",
                true,
            ),
            (
                "disk.symlinks.exists_one(link, true) && disk.symlinks[0].matches('^/dev/.+a$')",
                true,
            ),
            ("disk.transport == '\\x76\\151\\u0072tio'", true),
            ("disk.transport.matches('sata|nvme')", false),
            ("-1 < 0 && size(disk.transport) == 6", true),
        ] {
            assert_eq!(decided(source), Some(expected), "{source}");
        }
    }

    #[test]
    fn unknown_fields_decide_nothing_unless_they_do_not_matter() {
        assert_eq!(decided("disk.rotational"), None);
        assert_eq!(decided("disk.serial == 'x' && disk.size > 0u"), None);
        assert_eq!(
            decided("disk.serial == 'x' && disk.size == 0u"),
            Some(false)
        );
        assert_eq!(decided("system_disk || disk.size > 0u"), Some(true));
    }

    #[test]
    fn invalid_conditions_and_impossible_sums_decide_nothing() {
        assert_eq!(decided("disk.nothing"), None);
        assert_eq!(decided("disk.size / 0u == 1u"), None);
        assert_eq!(decided("disk.symlinks[1] == 'x'"), None);
        assert_eq!(
            decided("disk.secondary_disks.exists(name, name == 'x')"),
            None
        );
    }
}
