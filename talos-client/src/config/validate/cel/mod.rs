//! Checks of expressions in the Common Expression Language, as far as configuration documents use it.
//!
//! Talos compiles the expressions of disk, volume and link selectors and of the out-of-memory handler.
//! Syntax, names, fields and types are checked here with the texts of that compiler. Validation evaluates nothing; a
//! lint that knows the disks of a machine evaluates what it can.
//! Not covered: construction of messages that exist, and the follow-up errors of a syntax error, of which only the first is
//! reported.

mod check;
mod environment;
mod evaluate;
mod lexer;
mod library;
mod syntax;
mod types;

pub(in crate::config) use environment::Environment;
pub(in crate::config) use evaluate::Value;

use syntax::Expr;
use types::Type;

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
pub(super) fn check_bool(source: &str, environment: Environment) -> Result<(), String> {
    check_type(source, environment, &Type::Bool)
}

/// Checks that `source` is an expression of type double over `environment`.
pub(super) fn check_double(source: &str, environment: Environment) -> Result<(), String> {
    check_type(source, environment, &Type::Double)
}

/// The value of a condition over `environment`; nothing when it is invalid or what `names` does not know decides it.
///
/// `names` is asked for `("disk", "size")` and, for a plain name, with an empty field.
pub(in crate::config) fn decide(
    source: &str,
    environment: Environment,
    names: &dyn Fn(&str, &str) -> Value,
) -> Option<bool> {
    let expr = compile(source, environment, &Type::Bool).ok()?;
    match evaluate::evaluate(&expr, names) {
        Value::Bool(decided) => Some(decided),
        _ => None,
    }
}

fn check_type(source: &str, environment: Environment, wanted: &Type) -> Result<(), String> {
    compile(source, environment, wanted).map(drop)
}

fn compile(source: &str, environment: Environment, wanted: &Type) -> Result<Expr, String> {
    let (tokens, mut faults) = lexer::tokens(source);
    let parsed = syntax::parse(&tokens, environment.has_optionals());
    if let Err(fault) = &parsed {
        faults.push(fault.clone());
    }
    let expr = match parsed {
        Ok(expr) if faults.is_empty() => expr,
        _ => return Err(render(source, faults)),
    };
    let (found, faults) = check::check(&expr, environment);
    if !faults.is_empty() {
        return Err(render(source, faults));
    }
    if found != *wanted {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(source: &str) -> Result<(), String> {
        check_bool(source, Environment::Disk)
    }

    #[test]
    fn usual_disk_selectors_pass() {
        for source in [
            "true",
            "disk.transport == \"nvme\"",
            "disk.size > 120u * GB && disk.size < 1u * TB",
            "!disk.rotational && !system_disk",
            "glob('/dev/disk/by-id/*', disk.symlinks[0])",
            "'/dev/x' in disk.symlinks",
            "disk.symlinks.exists(link, link.startsWith('/dev/disk'))",
            "disk.model.matches('^Samsung') ? disk.size > 1u * TiB : has(disk.serial)",
            "size(disk.symlinks) > 0 || disk.dev_path in ['/dev/sda', '/dev/sdb']",
        ] {
            assert_eq!(disk(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn an_unknown_field_is_pointed_at() {
        assert_eq!(
            disk("disk.foo == 1").unwrap_err(),
            "ERROR: <input>:1:5: undefined field 'foo'\n | disk.foo == 1\n | ....^"
        );
    }

    #[test]
    fn an_unknown_name_is_pointed_at() {
        assert_eq!(
            disk("size > 1").unwrap_err(),
            "ERROR: <input>:1:1: undeclared reference to 'size' (in container '')\n | size > 1\n | ^"
        );
    }

    #[test]
    fn mixed_number_types_have_no_overload() {
        assert_eq!(
            disk("disk.size > 10 * GB").unwrap_err(),
            "ERROR: <input>:1:16: found no matching overload for '_*_' applied to '(int, uint)'\n \
             | disk.size > 10 * GB\n | ...............^"
        );
        assert_eq!(
            disk("disk.size > 10").unwrap_err(),
            "ERROR: <input>:1:11: found no matching overload for '_>_' applied to '(uint, int)'\n \
             | disk.size > 10\n | ..........^"
        );
    }

    #[test]
    fn a_number_is_not_a_condition() {
        assert_eq!(
            disk("disk.size").unwrap_err(),
            "expression output type is uint, expected bool"
        );
    }

    /// Position and text of each fault, without the quoted source.
    fn faults(source: &str) -> Vec<String> {
        let text = disk(source).unwrap_err();
        let lines = text.lines().filter(|line| !line.starts_with(" |"));
        lines
            .map(|line| line.trim_start_matches("ERROR: <input>:1:").to_owned())
            .collect()
    }

    #[test]
    fn each_side_of_a_logical_operator_is_judged_where_it_stands() {
        assert_eq!(
            faults("disk.size && disk.model"),
            [
                "5: expected type 'bool' but found 'uint'",
                "18: expected type 'bool' but found 'string'"
            ]
        );
        assert_eq!(
            faults("disk.symlinks.all(x, 1)"),
            ["22: expected type 'bool' but found 'int'"]
        );
        assert_eq!(
            faults("disk.symlinks.filter(x, 1)"),
            [
                "21: found no matching overload for '_?_:_' applied to '(int, list(string), list(string))'"
            ]
        );
    }

    #[test]
    fn types_are_values() {
        assert_eq!(disk("type(disk.size) == uint"), Ok(()));
        for (source, ty) in [
            ("type", "type(type)"),
            ("type(int)", "type(type(int))"),
            ("map", "type(map(dyn, dyn))"),
            ("null", "null_type"),
            ("type(null)", "type(null_type)"),
            ("duration('1s')", "google.protobuf.Duration"),
        ] {
            assert_eq!(
                faults(source),
                [format!("expression output type is {ty}, expected bool")]
            );
        }
        assert_eq!(
            faults("disk.size == int"),
            ["11: found no matching overload for '_==_' applied to '(uint, type(int))'"]
        );
    }

    #[test]
    fn optional_parts_and_messages_are_refused_by_name() {
        for (source, fault) in [
            ("disk.?model", "5: unsupported syntax '.?'"),
            ("disk.symlinks[?0]", "14: unsupported syntax '[?'"),
            ("[?1]", "2: unsupported syntax '?'"),
            ("{?1: 2}", "2: unsupported syntax '?'"),
            (
                "a.b{c: 1}",
                "4: undeclared reference to 'a.b' (in container '')",
            ),
            (".x", "2: undeclared reference to '.x' (in container '')"),
            (
                "f{lse",
                "6: Syntax error: mismatched input '<EOF>' expecting ':'",
            ),
            (
                "true ? 1",
                "9: Syntax error: mismatched input '<EOF>' expecting ':'",
            ),
            (
                "[ ,2]",
                "4: Syntax error: extraneous input '2' expecting ']'",
            ),
            ("[1,", "4: Syntax error: missing ']' at '<EOF>'"),
        ] {
            assert_eq!(faults(source), [fault], "{source}");
        }
    }

    #[test]
    fn syntax_errors_name_what_was_expected() {
        assert!(disk("disk.size >").unwrap_err().starts_with(
            "ERROR: <input>:1:12: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(',"
        ));
        assert!(
            disk("(disk.cdrom")
                .unwrap_err()
                .starts_with("ERROR: <input>:1:12: Syntax error: missing ')' at '<EOF>'")
        );
        assert!(
            disk("disk.size = 1u")
                .unwrap_err()
                .starts_with("ERROR: <input>:1:11: Syntax error: token recognition error at: '= '")
        );
        assert!(disk("disk.cdrom true").unwrap_err().starts_with(
            "ERROR: <input>:1:12: Syntax error: extraneous input 'true' expecting <EOF>"
        ));
    }

    #[test]
    fn hostile_nesting_is_refused_without_overflow() {
        for source in ["(", "!(", "[", "true || ", "disk.a + "] {
            let source = source.repeat(100_000) + "true";

            assert!(disk(&source).unwrap_err().contains("recursion limit"));
        }
    }

    #[test]
    fn link_and_out_of_memory_expressions_have_their_own_names() {
        assert_eq!(
            check_bool("mac(link.permanent_addr) == '00:11'", Environment::Link),
            Ok(())
        );
        assert_eq!(check_bool("link.vlan.vid == 7u", Environment::Link), Ok(()));
        assert!(check_bool("link.vlan.vid == 7", Environment::Link).is_err());
        assert_eq!(
            check_bool(
                "memory_full_avg10 > 12.0 && time_since_trigger > duration(\"500ms\")",
                Environment::OutOfMemoryTrigger
            ),
            Ok(())
        );
        assert_eq!(
            check_double(
                "memory_max.hasValue() ? 0.0 : {Besteffort: 1.0, Guaranteed: 0.0, Burstable: 0.5}[class] * \
                 double(memory_current.orValue(0u))",
                Environment::OutOfMemoryRanking
            ),
            Ok(())
        );
    }
}
