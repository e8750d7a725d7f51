//! What talosctl answers to the cases of `patch-cases.json`, `validate/cases.json` and `real/*.json`.
//!
//! The inputs stay as they are; the answers of one release are added or replaced.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize as _};
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::digest::digest;
use super::validate_input::Input;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Asks `talosctl` of `version` for its answer to every case of the files below `data`.
///
/// `differential.json` holds only answers with which this project agreed when it was made, so there only the answers of a
/// release that a case already has are made again.
pub(crate) fn answers(data: &Path, talosctl: &Path, version: &str) -> Result<Vec<PathBuf>> {
    let temporary = tempfile::tempdir()?;
    let reference = Reference {
        talosctl,
        version,
        generated: data.join("generate"),
        temporary: temporary.path(),
    };
    let patched = |case: &Value| reference.patched(case).map(Some);
    let validated = |case: &Value| reference.validated(case).map(Some);
    let judged = |case: &Value| reference.judged(case).map(Some);
    let judged_before = |case: &Value| match case["results"].get(version) {
        Some(before) => reference
            .judged(case)
            .map(|found| Some(alike(found, before))),
        None => Ok(None),
    };
    Ok(vec![
        rewrite(data.join("patch-cases.json"), version, indented, patched)?,
        rewrite(
            data.join("validate/cases.json"),
            version,
            indented,
            validated,
        )?,
        rewrite(data.join("real/cases.json"), version, lines, judged)?,
        rewrite(
            data.join("real/differential.json"),
            version,
            lines,
            judged_before,
        )?,
    ])
}

/// The answer without a digest where the one before has none: documents that a YAML 1.1 reader takes for others have none.
fn alike(mut answer: Value, before: &Value) -> Value {
    if let (Some(answer), None) = (answer.as_object_mut(), before.get("sha")) {
        answer.shift_remove("sha");
    }
    answer
}

/// Sets the answer of `version` in each case of `file`; a case without an answer stays as it is.
fn rewrite(
    file: PathBuf,
    version: &str,
    form: fn(&[Value]) -> Result<String>,
    answer: impl Fn(&Value) -> Result<Option<Value>>,
) -> Result<PathBuf> {
    let mut cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    for case in &mut cases {
        let found = answer(case).map_err(|error| format!("{}: {error}", case["name"]))?;
        if let (Some(found), Some(results)) = (found, case["results"].as_object_mut()) {
            results.insert(version.to_owned(), found);
        }
    }
    std::fs::write(&file, form(&cases)?)?;
    Ok(file)
}

fn indented(cases: &[Value]) -> Result<String> {
    let mut bytes = Vec::new();
    let style = PrettyFormatter::with_indent(b" ");
    cases.serialize(&mut Serializer::with_formatter(&mut bytes, style))?;
    Ok(String::from_utf8(bytes)?)
}

/// One case a line.
fn lines(cases: &[Value]) -> Result<String> {
    let lines: Vec<String> = cases
        .iter()
        .map(serde_json::to_string)
        .collect::<serde_json::Result<_>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

/// A talosctl of one release, and where its input is.
struct Reference<'a> {
    talosctl: &'a Path,
    version: &'a str,
    /// Configurations that the release generated, for cases that begin with one.
    generated: PathBuf,
    temporary: &'a Path,
}

/// A case of `patch-cases.json`.
#[derive(Deserialize)]
struct PatchCase {
    base: String,
    patches: Vec<String>,
}

/// A case of `validate/cases.json`.
#[derive(Deserialize)]
struct ValidateCase {
    mode: String,
    strict: bool,
    #[serde(flatten)]
    input: Input,
}

/// A case of `real`.
#[derive(Deserialize)]
struct RealCase {
    mode: String,
    base: String,
    patches: Option<Vec<String>>,
}

/// What `talosctl validate` says.
struct Verdict {
    warnings: Vec<String>,
    error: Option<String>,
}

impl Reference<'_> {
    fn patched(&self, case: &Value) -> Result<Value> {
        let case = PatchCase::deserialize(case)?;
        Ok(match self.patch(&case.base, &case.patches)? {
            Ok(text) => json!({ "ok": text }),
            Err(text) if text.starts_with("panic: ") => json!({ "panic": true }),
            Err(text) => json!({ "error": text }),
        })
    }

    fn validated(&self, case: &Value) -> Result<Value> {
        let case = ValidateCase::deserialize(case)?;
        let verdict = self.validate(&case.input.text(), &case.mode, case.strict)?;
        Ok(json!({ "warnings": verdict.warnings, "error": verdict.error }))
    }

    fn judged(&self, case: &Value) -> Result<Value> {
        let case = RealCase::deserialize(case)?;
        let base = self.base(&case.base)?;
        let Some(patches) = &case.patches else {
            return Ok(judgement(self.validate(&base, &case.mode, false)?, None));
        };
        match self.patch(&base, patches)? {
            Ok(text) => {
                let verdict = self.validate(&text, &case.mode, false)?;
                Ok(judgement(verdict, Some(digest(&text))))
            }
            Err(text) if text.starts_with("panic: ") => Ok(json!({ "outcome": "panic" })),
            Err(text) => {
                // The program does not say which of its files it refused, but it refuses the base alone alike.
                let alone = self.validate(&base, &case.mode, false)?;
                let refused = if alone.error.as_ref() == Some(&text) {
                    "refused-load"
                } else {
                    "refused-patch"
                };
                Ok(json!({ "outcome": refused, "text": text }))
            }
        }
    }

    /// The text of a base: itself, or what the release generates.
    fn base(&self, base: &str) -> Result<String> {
        if !matches!(base, "controlplane" | "worker") {
            return Ok(base.to_owned());
        }
        let minor: Vec<&str> = self.version.split('.').take(2).collect();
        let file = format!("default.{}.{}.{base}.yaml", self.version, minor.join("."));
        Ok(std::fs::read_to_string(self.generated.join(file))?)
    }

    /// `talosctl machineconfig patch`: the text, or the error.
    fn patch(&self, base: &str, patches: &[String]) -> Result<std::result::Result<String, String>> {
        let mut command = Command::new(self.talosctl);
        command
            .args(["machineconfig", "patch"])
            .arg(self.file("base.yaml", base)?);
        for (index, patch) in patches.iter().enumerate() {
            let file = self.file(&format!("patch-{index}.yaml"), patch)?;
            command.arg("--patch").arg(format!("@{}", file.display()));
        }
        let output = command.output()?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8(output.stderr)?.trim_end().to_owned()));
        }
        let mut text = String::from_utf8(output.stdout)?;
        // The program ends what it prints with a line end of its own.
        text.pop();
        Ok(Ok(text))
    }

    fn validate(&self, text: &str, mode: &str, strict: bool) -> Result<Verdict> {
        let mut command = Command::new(self.talosctl);
        command.args(["validate", "--mode", mode, "--config"]);
        command.arg(self.file("config.yaml", text)?);
        command.args(strict.then_some("--strict"));
        let output = command.output()?;
        let said = String::from_utf8(output.stderr)?;
        // The program takes a text with "flag" in it for a wrong command line, and explains itself.
        let said = said.split("\nUsage:\n").next().unwrap_or_default();
        Ok(Verdict::read(said.trim_end(), output.status.success()))
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.temporary.join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

impl Verdict {
    /// Reads standard error: a line for each warning, then the error if there is one.
    fn read(said: &str, valid: bool) -> Self {
        let mut warnings: Vec<String> = Vec::new();
        let mut rest = said;
        while let Some(text) = rest.strip_prefix("WARNING: ") {
            let (line, after) = text.split_once('\n').unwrap_or((text, ""));
            warnings.push(line.to_owned());
            rest = after;
        }
        let error = (!valid).then(|| rest.to_owned());
        Self { warnings, error }
    }
}

/// An answer of `real`: empty fields are left out.
fn judgement(verdict: Verdict, digest: Option<String>) -> Value {
    let (outcome, digest) = match &verdict.error {
        None => ("valid", digest),
        Some(text) if is_refusal_of_rules(text) => ("invalid", digest),
        Some(_) => ("refused-load", None),
    };
    let mut answer = Map::new();
    answer.insert("outcome".to_owned(), json!(outcome));
    answer.extend(verdict.error.map(|text| ("text".to_owned(), json!(text))));
    if !verdict.warnings.is_empty() {
        answer.insert("warnings".to_owned(), json!(verdict.warnings));
    }
    answer.extend(digest.map(|digest| ("sha".to_owned(), json!(digest))));
    Value::Object(answer)
}

/// Whether the validator said this, not the loader: it lists its findings below their number.
fn is_refusal_of_rules(text: &str) -> bool {
    let mut words = first_line(text).split(' ');
    words
        .next()
        .is_some_and(|number| number.parse::<u32>().is_ok())
        && matches!(words.next(), Some("error" | "errors"))
        && words.next() == Some("occurred:")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
