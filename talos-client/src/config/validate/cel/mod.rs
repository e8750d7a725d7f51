//! Checks of expressions in the Common Expression Language, as far as configuration documents use it.
//!
//! Talos compiles the expressions of disk, volume and link selectors and of the out-of-memory handler.
//! Syntax, names, fields and types are checked here with the texts of that compiler. Validation evaluates nothing; a
//! lint that knows the disks of a machine evaluates what it can.
//! Not covered: construction of messages that no selector leads to, and the follow-up errors of a syntax error, of which only the
//! first is reported.

mod check;
mod environment;
mod evaluate;
mod lexer;
mod library;
mod macros;
mod message;
mod syntax;
#[cfg(test)]
mod tests;
mod types;

pub(in crate::config) use environment::Environment;
pub(in crate::config) use evaluate::Value;

use syntax::Expr;
use types::Type;

use crate::config::VersionContract;

/// A problem and the character it points at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn new(at: usize, message: String) -> Self {
        Self { at, message }
    }
}

/// Checks that `source` is a boolean expression over `environment`; the error is the compiler's text.
pub(super) fn check_bool(
    source: &str,
    environment: Environment,
    release: VersionContract,
) -> Result<(), String> {
    compile(source, environment, release, &Type::Bool).map(drop)
}

/// Checks that `source` is an expression of type double over `environment`.
pub(super) fn check_double(
    source: &str,
    environment: Environment,
    release: VersionContract,
) -> Result<(), String> {
    compile(source, environment, release, &Type::Double).map(drop)
}

/// The value of a condition over `environment`; nothing when it is invalid or what `names` does not know decides it.
///
/// `names` is asked for `("disk", "size")` and, for a plain name, with an empty field.
pub(in crate::config) fn decide(
    source: &str,
    environment: Environment,
    release: VersionContract,
    names: &dyn Fn(&str, &str) -> Value,
) -> Option<bool> {
    let expr = compile(source, environment, release, &Type::Bool).ok()?;
    match evaluate::evaluate(&expr, names) {
        Value::Bool(decided) => Some(decided),
        _ => None,
    }
}

fn compile(
    source: &str,
    environment: Environment,
    release: VersionContract,
    wanted: &Type,
) -> Result<Expr, String> {
    let (tokens, mut faults) = lexer::tokens(source);
    let expr = match syntax::parse(source, &tokens, environment.has_optionals()) {
        Ok(expr) if faults.is_empty() => expr,
        Ok(_) => return Err(render(source, faults)),
        Err(found) => {
            faults.extend(found);
            return Err(render(source, faults));
        }
    };
    let (found, faults) = check::check(&expr, environment, release);
    if !faults.is_empty() {
        return Err(render(source, faults));
    }
    let plain = match &found {
        Type::Wrapper(inner) => inner,
        other => other,
    };
    if plain != wanted {
        return Err(format!(
            "expression output type is {}, expected {wanted}",
            found.full_name()
        ));
    }
    Ok(expr)
}

/// Below a character that is not ASCII stands a wide one.
const WIDE_DOT: char = '\u{ff0e}';
const WIDE_POINTER: char = '\u{ff3e}';

/// One block per fault: position, message, the source line and a pointer below it.
fn render(source: &str, mut faults: Vec<Fault>) -> String {
    faults.sort_by_key(|fault| fault.at);
    let blocks: Vec<String> = faults
        .iter()
        .map(|fault| {
            let before: String = source.chars().take(fault.at).collect();
            let line = before.matches('\n').count();
            let column = before.chars().rev().take_while(|c| *c != '\n').count();
            let text = source.split('\n').nth(line).unwrap_or_default();
            let text = text.replace('\t', " ");
            let mut characters = text.chars();
            let dots: String = characters
                .by_ref()
                .take(column)
                .map(|c| if c.is_ascii() { '.' } else { WIDE_DOT })
                .collect();
            let pointer = match characters.next() {
                Some(c) if !c.is_ascii() => WIDE_POINTER,
                _ => '^',
            };
            format!(
                "ERROR: <input>:{}:{}: {}\n | {text}\n | {dots}{pointer}",
                line + 1,
                column + 1,
                fault.message,
            )
        })
        .collect();
    blocks.join("\n")
}
