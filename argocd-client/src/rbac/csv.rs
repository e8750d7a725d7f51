//! The lines of a policy: values that are separated by commas, after blanks.

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An empty line or a comment.
    Nothing,
    /// Subject, resource, action, object and effect.
    Rule([String; 5]),
    /// A member has a role.
    Role { member: String, role: String },
}

/// Reads one line, as `loadPolicyLine` does (`util/rbac/rbac.go`, 3.5.1). Blanks before a value do not count, those behind it do.
pub(super) fn read(line: &str) -> Result<Line, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Line::Nothing);
    }
    let mut values = values(line)?.into_iter();
    let kind = values.next().unwrap_or_default();
    let rest: Vec<String> = values.collect();
    match kind.as_str() {
        "p" => rest
            .try_into()
            .map(Line::Rule)
            .map_err(|_| "a rule has five values after `p`".to_owned()),
        "g" => match <[String; 2]>::try_from(rest) {
            Ok([member, role]) => Ok(Line::Role { member, role }),
            Err(_) => Err("a role has two values after `g`".to_owned()),
        },
        _ => Err("a line begins with `p` or `g`".to_owned()),
    }
}

fn values(line: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if !rest.starts_with('"') && value.contains('"') {
            return Err("a quotation mark inside of a value".to_owned());
        }
        values.push(value);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(values),
            None => return Err("text behind a quotation".to_owned()),
        }
    }
}

/// The value up to the closing quotation mark, and what follows. A doubled mark stands for itself.
fn quoted_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Ok((value, after)),
        }
    }
    Err("a quotation that does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted_and_have_blanks_before_them() {
        let line = r#"p, ci,  applications, "sync", "a,""b""/*",allow"#;
        let expected = ["ci", "applications", "sync", "a,\"b\"/*", "allow"];

        assert_eq!(read(line), Ok(Line::Rule(expected.map(str::to_owned))));
        for broken in [
            "p, \"ci",
            "p, \"ci\"x, a, b, c, allow",
            "p, c\"i, a, b, c, allow",
        ] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn blanks_behind_a_value_belong_to_it() {
        let role = Line::Role {
            member: "ci ".to_owned(),
            role: "role:admin".to_owned(),
        };
        assert_eq!(read(" g, ci , role:admin "), Ok(role));
    }
}
