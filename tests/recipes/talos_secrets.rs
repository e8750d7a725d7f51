//! What a Talos release says of the files of secrets of `secrets-cases.json`, from its `talosctl gen config`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{read, write};
use super::json::spaced_lines;
use super::secrets_input::Input;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const LOAD: &str = "failed to load secrets bundle: ";
const VALIDATE: &str = "failed to validate secrets bundle: ";

/// The answer that some releases have in common.
#[derive(Deserialize, Serialize)]
struct Answer {
    releases: Vec<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Deserialize, Serialize, PartialEq)]
struct Verdict {
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Asks `talosctl` of `version` for every case. Its answers are added or replaced; the inputs stay as they are.
pub(crate) fn secrets(data: &Path, talosctl: &Path, version: &str) -> Result<Vec<PathBuf>> {
    let file = data.join("secrets-cases.json");
    let bundle = read(&data.join("secrets.yaml"))?;
    let mut cases: Vec<Value> = serde_json::from_str(&read(&file)?)?;
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("secrets.yaml");
    for case in &mut cases {
        write(input.clone(), &Input::deserialize(&*case)?.file(&bundle))?;
        let verdict = judge(talosctl, &input)?;
        let answers = Vec::<Answer>::deserialize(&case["results"])?;
        case["results"] = serde_json::to_value(answered(answers, version, verdict))?;
    }
    write(file, &spaced_lines(&cases))
}

/// The answers with that of one release replaced. Releases that say the same stand together, in the order of releases.
fn answered(mut answers: Vec<Answer>, version: &str, verdict: Verdict) -> Vec<Answer> {
    let at = |answer: &Answer| answer.releases.iter().position(|known| known == version);
    if answers
        .iter()
        .any(|answer| at(answer).is_some() && answer.verdict == verdict)
    {
        return answers;
    }
    for answer in &mut answers {
        answer.releases.retain(|known| known != version);
    }
    answers.retain(|answer| !answer.releases.is_empty());
    match answers.iter_mut().find(|answer| answer.verdict == verdict) {
        Some(same) => same.releases.push(version.to_owned()),
        None => answers.push(Answer {
            releases: vec![version.to_owned()],
            verdict,
        }),
    }
    for answer in &mut answers {
        answer.releases.sort_by_cached_key(|release| order(release));
    }
    answers.sort_by_cached_key(|answer| answer.releases.first().map(|first| order(first)));
    answers
}

fn order(release: &str) -> Option<factory_client::TalosVersion> {
    release.parse().ok()
}

fn judge(talosctl: &Path, input: &Path) -> Result<Verdict> {
    let output = Command::new(talosctl)
        .args(["gen", "config", "a", "https://a:6443", "--output=-"])
        .args(["--output-types=worker", "--with-secrets"])
        .arg(input)
        .output()?;
    Ok(verdict(&String::from_utf8(output.stderr)?))
}

/// What standard error says. After the file was loaded and validated, nothing that follows is about it.
fn verdict(said: &str) -> Verdict {
    let said = said.strip_suffix('\n').unwrap_or(said);
    let (stage, text) = if let Some(text) = said.strip_prefix(LOAD) {
        ("load", Some(text.to_owned()))
    } else if let Some(text) = said.strip_prefix(VALIDATE) {
        ("validate", Some(text.to_owned()))
    } else if said.starts_with("panic: ") && said.contains("(*Bundle).Validate(") {
        ("panic", None)
    } else {
        ("ok", None)
    };
    Verdict {
        stage: stage.to_owned(),
        text,
    }
}
