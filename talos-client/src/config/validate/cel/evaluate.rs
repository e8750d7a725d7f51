//! Evaluation with unknowns: what a lint can say about an expression without the machine.

use super::syntax::{Expr, Node};
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
    match &expr.node {
        Node::Literal(ty, text) => literal(ty, text),
        Node::Identifier(name) => {
            let name = name.trim_start_matches('.');
            unit(name).unwrap_or_else(|| names(name, ""))
        }
        Node::Select {
            operand,
            field,
            presence: false,
        } => match &operand.node {
            Node::Identifier(name) => names(name.trim_start_matches('.'), field),
            _ => Value::Unknown,
        },
        Node::List(items) => Value::List(items.iter().map(|item| evaluate(item, names)).collect()),
        Node::Call {
            function,
            target,
            arguments,
        } => {
            let values: Vec<Value> = target
                .as_deref()
                .into_iter()
                .chain(arguments)
                .map(|argument| evaluate(argument, names))
                .collect();
            call(function, &values)
        }
        Node::Select { .. } | Node::Map(_) | Node::Message(_) => Value::Unknown,
    }
}

fn literal(ty: &Type, text: &str) -> Value {
    match ty {
        Type::Bool => Value::Bool(text == "true"),
        Type::Int | Type::Uint => {
            let digits = text.trim_end_matches(['u', 'U']);
            let number = digits
                .strip_prefix("0x")
                .map_or_else(|| digits.parse(), |digits| i128::from_str_radix(digits, 16));
            number.map_or(Value::Unknown, Value::Number)
        }
        Type::Text => unquoted(text).map_or(Value::Unknown, Value::Text),
        _ => Value::Unknown,
    }
}

/// The text between the quotes; nothing when it has escapes.
fn unquoted(text: &str) -> Option<String> {
    let raw = text.starts_with(['r', 'R']);
    let text = text.trim_start_matches(['r', 'R']);
    let width = ["\"\"\"", "'''"]
        .iter()
        .find(|quote| text.len() >= 6 && text.starts_with(**quote))
        .map_or(1, |quote| quote.len());
    let inner = text.get(width..text.len().checked_sub(width)?)?;
    (raw || !inner.contains('\\')).then(|| inner.to_owned())
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

    fn decided(source: &str) -> Option<bool> {
        decide(
            source,
            Environment::Disk,
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
    }
}
