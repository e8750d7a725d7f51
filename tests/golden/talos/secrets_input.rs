//! The file of secrets that a record of `tests/data/talos/secrets-cases.json` describes.

use serde::Deserialize;

/// A whole `text`, the bundle with something to `append`, or the bundle with the `value` under a `path` replaced as it
/// stands there, or removed.
#[derive(Deserialize)]
pub(crate) struct Input {
    pub(crate) text: Option<String>,
    pub(crate) append: Option<String>,
    #[serde(default)]
    pub(crate) path: String,
    pub(crate) value: Option<String>,
}

impl Input {
    /// The file, made from `bundle`.
    pub(crate) fn file(&self, bundle: &str) -> String {
        match (&self.text, &self.append) {
            (Some(text), _) => text.clone(),
            (None, Some(tail)) => format!("{bundle}{tail}"),
            (None, None) => with(bundle, &self.path, self.value.as_deref()),
        }
    }
}

/// The bundle with the value under a path replaced, or without the path.
pub(crate) fn with(bundle: &str, path: &str, value: Option<&str>) -> String {
    let mut text = String::new();
    let (mut parents, mut skipped): (Vec<&str>, Option<usize>) = (Vec::new(), None);
    for line in bundle.lines() {
        let key = line.trim_start().split(':').next().unwrap_or_default();
        let depth = (line.len() - line.trim_start().len()) / 4;
        if skipped.is_some_and(|skipped| depth > skipped) {
            continue;
        }
        skipped = None;
        parents.truncate(depth);
        parents.push(key);
        if parents.join(".") != path {
            text.push_str(line);
        } else {
            skipped = Some(depth);
            let Some(value) = value else { continue };
            text.push_str(&format!("{}{key}: {value}", "    ".repeat(depth)));
        }
        text.push('\n');
    }
    text
}
