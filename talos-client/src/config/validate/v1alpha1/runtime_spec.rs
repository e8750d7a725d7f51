//! `machine.baseRuntimeSpecOverrides` must decode as an OCI runtime specification.
//!
//! The decoder of the reference is Go's JSON package, so only types matter: unknown keys pass, and keys match in any case.
//! The tables cover the specification down to the sections that apply to Linux containers; what is not listed passes.

use super::super::findings::Findings;
use super::super::view::View;
use crate::go::yaml::{Node, Value};

enum Shape {
    Text,
    Bool,
    /// A Go integer type.
    Integer(&'static str),
    Texts,
    TextMap,
    Integers(&'static str),
    Struct(&'static Struct),
    Structs(&'static Struct),
}

struct Struct {
    name: &'static str,
    fields: &'static [(&'static str, Shape)],
}

static SPEC: Struct = Struct {
    name: "Spec",
    fields: &[
        ("ociVersion", Shape::Text),
        ("process", Shape::Struct(&PROCESS)),
        ("root", Shape::Struct(&ROOT)),
        ("hostname", Shape::Text),
        ("domainname", Shape::Text),
        ("mounts", Shape::Structs(&MOUNT)),
        ("hooks", Shape::Struct(&HOOKS)),
        ("annotations", Shape::TextMap),
        ("linux", Shape::Struct(&LINUX)),
    ],
};
static PROCESS: Struct = Struct {
    name: "Process",
    fields: &[
        ("terminal", Shape::Bool),
        ("consoleSize", Shape::Struct(&CONSOLE)),
        ("user", Shape::Struct(&USER)),
        ("args", Shape::Texts),
        ("commandLine", Shape::Text),
        ("env", Shape::Texts),
        ("cwd", Shape::Text),
        ("capabilities", Shape::Struct(&CAPABILITIES)),
        ("rlimits", Shape::Structs(&RLIMIT)),
        ("noNewPrivileges", Shape::Bool),
        ("apparmorProfile", Shape::Text),
        ("oomScoreAdj", Shape::Integer("int")),
        ("selinuxLabel", Shape::Text),
    ],
};
static CONSOLE: Struct = Struct {
    name: "Box",
    fields: &[
        ("height", Shape::Integer("uint")),
        ("width", Shape::Integer("uint")),
    ],
};
static USER: Struct = Struct {
    name: "User",
    fields: &[
        ("uid", Shape::Integer("uint32")),
        ("gid", Shape::Integer("uint32")),
        ("umask", Shape::Integer("uint32")),
        ("additionalGids", Shape::Integers("uint32")),
        ("username", Shape::Text),
    ],
};
static CAPABILITIES: Struct = Struct {
    name: "LinuxCapabilities",
    fields: &[
        ("bounding", Shape::Texts),
        ("effective", Shape::Texts),
        ("inheritable", Shape::Texts),
        ("permitted", Shape::Texts),
        ("ambient", Shape::Texts),
    ],
};
static RLIMIT: Struct = Struct {
    name: "POSIXRlimit",
    fields: &[
        ("type", Shape::Text),
        ("hard", Shape::Integer("uint64")),
        ("soft", Shape::Integer("uint64")),
    ],
};
static ROOT: Struct = Struct {
    name: "Root",
    fields: &[("path", Shape::Text), ("readonly", Shape::Bool)],
};
static MOUNT: Struct = Struct {
    name: "Mount",
    fields: &[
        ("destination", Shape::Text),
        ("type", Shape::Text),
        ("source", Shape::Text),
        ("options", Shape::Texts),
        ("uidMappings", Shape::Structs(&ID_MAPPING)),
        ("gidMappings", Shape::Structs(&ID_MAPPING)),
    ],
};
static HOOKS: Struct = Struct {
    name: "Hooks",
    fields: &[
        ("prestart", Shape::Structs(&HOOK)),
        ("createRuntime", Shape::Structs(&HOOK)),
        ("createContainer", Shape::Structs(&HOOK)),
        ("startContainer", Shape::Structs(&HOOK)),
        ("poststart", Shape::Structs(&HOOK)),
        ("poststop", Shape::Structs(&HOOK)),
    ],
};
static HOOK: Struct = Struct {
    name: "Hook",
    fields: &[
        ("path", Shape::Text),
        ("args", Shape::Texts),
        ("env", Shape::Texts),
        ("timeout", Shape::Integer("int")),
    ],
};
static LINUX: Struct = Struct {
    name: "Linux",
    fields: &[
        ("uidMappings", Shape::Structs(&ID_MAPPING)),
        ("gidMappings", Shape::Structs(&ID_MAPPING)),
        ("sysctl", Shape::TextMap),
        ("cgroupsPath", Shape::Text),
        ("namespaces", Shape::Structs(&NAMESPACE)),
        ("devices", Shape::Structs(&DEVICE)),
        ("rootfsPropagation", Shape::Text),
        ("maskedPaths", Shape::Texts),
        ("readonlyPaths", Shape::Texts),
        ("mountLabel", Shape::Text),
    ],
};
static ID_MAPPING: Struct = Struct {
    name: "LinuxIDMapping",
    fields: &[
        ("containerID", Shape::Integer("uint32")),
        ("hostID", Shape::Integer("uint32")),
        ("size", Shape::Integer("uint32")),
    ],
};
static NAMESPACE: Struct = Struct {
    name: "LinuxNamespace",
    fields: &[("path", Shape::Text)],
};
static DEVICE: Struct = Struct {
    name: "LinuxDevice",
    fields: &[
        ("path", Shape::Text),
        ("type", Shape::Text),
        ("major", Shape::Integer("int64")),
        ("minor", Shape::Integer("int64")),
        ("uid", Shape::Integer("uint32")),
        ("gid", Shape::Integer("uint32")),
    ],
};

pub(in super::super) fn check(overrides: View<'_>, findings: &mut Findings) {
    if !overrides.has_content() {
        return;
    }
    if let Err(Mismatch(error)) = check_struct(overrides, &SPEC, "") {
        findings.error(format!(
            "failed to unmarshal base runtime spec overrides: {error}"
        ));
    }
}

/// The first value of a wrong type, in the text of Go's decoder.
struct Mismatch(String);

fn check_struct(value: View<'_>, shape: &'static Struct, path: &str) -> Result<(), Mismatch> {
    // The overrides are encoded to JSON first, which sorts keys: the first mismatch is the first of that order.
    for (key, value) in value.entries() {
        let field = shape
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        let Some((name, field)) = field else { continue };
        let path = if path.is_empty() {
            (*name).to_owned()
        } else {
            format!("{path}.{name}")
        };
        check_field(value, field, shape.name, &path)?;
    }
    Ok(())
}

fn check_field(
    value: View<'_>,
    shape: &'static Shape,
    owner: &str,
    path: &str,
) -> Result<(), Mismatch> {
    let Some(found) = value.node().map(kind) else {
        return Ok(());
    };
    let mismatch = |found: &str, wanted: &str| {
        Err(Mismatch(format!(
            "json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {wanted}"
        )))
    };
    match shape {
        Shape::Text if found != "string" => mismatch(found, "string"),
        Shape::Bool if found != "bool" => mismatch(found, "bool"),
        Shape::Integer(ty) => check_integer(value, ty).or_else(|found| mismatch(&found, ty)),
        Shape::Texts | Shape::Integers(_) | Shape::Structs(_) if found != "array" => {
            mismatch(found, &shape.type_text())
        }
        Shape::TextMap | Shape::Struct(_) if found != "object" => {
            mismatch(found, &shape.type_text())
        }
        Shape::Texts => value
            .items()
            .try_for_each(|item| match item.node().map(kind) {
                Some(found) if found != "string" => mismatch(found, "string"),
                _ => Ok(()),
            }),
        Shape::Integers(ty) => value
            .items()
            .try_for_each(|item| check_integer(item, ty).or_else(|found| mismatch(&found, ty))),
        Shape::TextMap => {
            value
                .entries()
                .into_iter()
                .try_for_each(|(_, item)| match item.node().map(kind) {
                    Some(found) if found != "string" => mismatch(found, "string"),
                    _ => Ok(()),
                })
        }
        Shape::Struct(inner) => check_struct(value, inner, path),
        Shape::Structs(inner) => value
            .items()
            .try_for_each(|item| match item.node().map(kind) {
                Some("object") => check_struct(item, inner, path),
                Some(found) => mismatch(found, &format!("specs.{}", inner.name)),
                None => Ok(()),
            }),
        Shape::Text | Shape::Bool => Ok(()),
    }
}

impl Shape {
    fn type_text(&self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Integer(ty) => (*ty).to_owned(),
            Self::Texts => "[]string".to_owned(),
            Self::Integers(ty) => format!("[]{ty}"),
            Self::TextMap => "map[string]string".to_owned(),
            Self::Struct(inner) => format!("specs.{}", inner.name),
            Self::Structs(inner) => format!("[]specs.{}", inner.name),
        }
    }
}

/// What JSON calls the value.
fn kind(node: &Node) -> &'static str {
    if node.as_sequence().is_some() {
        return "array";
    }
    match node.as_scalar().map(crate::go::yaml::Scalar::value) {
        None => "object",
        Some(Value::Bool(_)) => "bool",
        Some(Value::Int(_) | Value::Uint(_) | Value::Float(_)) => "number",
        Some(_) => "string",
    }
}

fn check_integer(value: View<'_>, ty: &str) -> Result<(), String> {
    let Some(node) = value.node() else {
        return Ok(());
    };
    let number = match node.as_scalar().map(crate::go::yaml::Scalar::value) {
        Some(Value::Int(number)) => i128::from(number),
        Some(Value::Uint(number)) => i128::from(number),
        Some(Value::Float(number)) => return Err(format!("number {number}")),
        _ => return Err(kind(node).to_owned()),
    };
    let range = match ty {
        "uint32" => 0..=i128::from(u32::MAX),
        "uint" | "uint64" => 0..=i128::from(u64::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    if range.contains(&number) {
        Ok(())
    } else {
        Err(format!("number {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::yaml::parse_documents;

    fn errors(text: &str) -> Vec<String> {
        let documents = parse_documents(text).unwrap();
        let mut findings = Findings::default();
        check(View::new(documents.first()), &mut findings);
        findings.errors
    }

    #[test]
    fn types_are_checked_down_to_nested_fields() {
        assert_eq!(
            errors("{process: {rlimits: [{type: RLIMIT_NOFILE, hard: 1, soft: 1}]}}"),
            [""; 0]
        );
        assert_eq!(
            errors("{process: 3}"),
            [
                "failed to unmarshal base runtime spec overrides: json: cannot unmarshal number into Go struct field Spec.process of type specs.Process"
            ]
        );
        assert_eq!(
            errors("{process: {args: x}}"),
            [
                "failed to unmarshal base runtime spec overrides: json: cannot unmarshal string into Go struct field Process.process.args of type []string"
            ]
        );
        assert_eq!(
            errors("{process: {user: {uid: -1}}}"),
            [
                "failed to unmarshal base runtime spec overrides: json: cannot unmarshal number -1 into Go struct field User.process.user.uid of type uint32"
            ]
        );
    }
}
