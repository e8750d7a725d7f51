//! What an Image Factory makes of schematics: canonical texts and identifiers, for the encoder that it has.
//!
//! An entry of `schematic-vectors.json` is posted as it is. A string of `go-yaml-scalars.json` is posted in each place of a
//! schematic; how it is written in a document of its own follows, because only the indentation is another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Client, StatusCode};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::{Value, json};
use url::Url;

use super::json::{indented_ascii, spaced};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An Image Factory, and the encoder of its release as the data names it.
struct Factory<'a> {
    http: Client,
    schematics: Url,
    encoder: &'a str,
    /// Whether the data gives the results of this encoder as the usual ones.
    is_default: bool,
}

/// A schematic as the factory stores it.
struct Stored {
    id: String,
    canonical: String,
}

/// Rewrites both files of `folder`; gives also the entries that a factory of this release refuses, which stay as they are.
pub(crate) async fn vectors(
    factory: &Url,
    encoder: &str,
    folder: &Path,
) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let (schematics_path, scalars_path) = (
        folder.join("schematic-vectors.json"),
        folder.join("go-yaml-scalars.json"),
    );
    let mut schematics: Value = serde_json::from_str(&super::files::read(&schematics_path)?)?;
    let mut scalars: Value = serde_json::from_str(&super::files::read(&scalars_path)?)?;
    if scalars["encoders"].get(encoder).is_none() {
        return Err(format!(
            "{} does not name the encoder {encoder}",
            scalars_path.display()
        )
        .into());
    }
    let factory = Factory {
        http: client()?,
        schematics: factory.join("schematics")?,
        encoder,
        is_default: scalars["default_encoder"] == encoder,
    };
    let mut refused = Vec::new();
    for entry in schematics.as_array_mut().into_iter().flatten() {
        match factory.post(text(&entry["yaml"])).await? {
            Some(stored) => factory.put(
                entry,
                json!({ "id": stored.id, "canonical": stored.canonical }),
            ),
            None => refused.push(entry["name"].to_string()),
        }
    }
    for vector in scalars["vectors"].as_array_mut().into_iter().flatten() {
        match factory.scalar(text(&vector["input"])).await? {
            Some(fields) => factory.put(vector, fields),
            None => refused.push(vector["input"].to_string()),
        }
    }
    let mut written = super::files::write(schematics_path, &indented_ascii(&schematics))?;
    written.extend(super::files::write(
        scalars_path,
        &indented_ascii(&scalars),
    )?);
    Ok((written, refused))
}

impl Factory<'_> {
    /// One string in each place of a schematic.
    async fn scalar(&self, input: &str) -> Result<Option<Value>> {
        let customizations = [
            json!({ "extraKernelArgs": [input] }),
            json!({ "meta": [{ "key": 10, "value": input }] }),
            json!({ "embeddedMachineConfiguration": input }),
        ];
        let mut stored = Vec::new();
        for customization in customizations {
            let schematic = json!({ "customization": customization });
            match self.post(&escaped(&spaced(&schematic))).await? {
                Some(schematic) => stored.push(schematic),
                None => return Ok(None),
            }
        }
        let [kernel_arg, meta_value, embedded_config] = stored.as_slice() else {
            return Ok(None);
        };
        let written = |stored: &Stored, before: &str| {
            let scalar = stored
                .canonical
                .split_once(before)
                .map(|(_, scalar)| scalar);
            scalar
                .map(outdented)
                .ok_or_else(|| format!("{input:?} became {}", stored.canonical))
        };
        let value = written(meta_value, "- key: 10\n          value: ")?;
        let item = written(kernel_arg, "extraKernelArgs:\n        - ")?;
        Ok(Some(json!({
            "style": style(&value),
            "mapping_value": format!("k: {value}"),
            "list_item": format!("- {item}"),
            "kernel_arg": described(kernel_arg),
            "meta_value": described(meta_value),
            "embedded_config": described(embedded_config),
        })))
    }

    /// The stored schematic, or nothing when this release does not accept it.
    async fn post(&self, yaml: &str) -> Result<Option<Stored>> {
        let request = self
            .http
            .post(self.schematics.clone())
            .body(yaml.to_owned());
        let response = request
            .header("content-type", "application/yaml")
            .send()
            .await?;
        if response.status() == StatusCode::BAD_REQUEST {
            return Ok(None);
        }
        let answer: Value = serde_json::from_str(&response.error_for_status()?.text().await?)?;
        let id = answer["id"]
            .as_str()
            .ok_or("the factory gave no id")?
            .to_owned();
        let canonical = match answer["schematic"].as_str() {
            Some(canonical) => canonical.to_owned(),
            // Before v1.3.0 the answer is the id alone; since v0.9.0 the text can be read.
            None => {
                let url = format!("{}/{id}", self.schematics);
                self.http
                    .get(url)
                    .send()
                    .await?
                    .error_for_status()?
                    .text()
                    .await?
            }
        };
        Ok(Some(Stored { id, canonical }))
    }

    /// Puts what the factory gave into an entry: as its own fields when the encoder is the usual one, else as a difference.
    fn put(&self, entry: &mut Value, given: Value) {
        let (Value::Object(given), Some(entry)) = (given, entry.as_object_mut()) else {
            return;
        };
        if self.is_default {
            entry.extend(given);
            return;
        }
        let is_same = given
            .iter()
            .all(|(name, value)| entry.get(name) == Some(value));
        let differs = entry.entry("differs").or_insert_with(|| json!({}));
        if let Some(differs) = differs.as_object_mut() {
            match is_same {
                true => differs.shift_remove(self.encoder),
                false => differs.insert(self.encoder.to_owned(), Value::Object(given)),
            };
        }
        if entry["differs"] == json!({}) {
            entry.shift_remove("differs");
        }
    }
}

fn client() -> Result<Client> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?;
    let tls = tls.with_platform_verifier()?.with_no_client_auth();
    Ok(Client::builder().tls_backend_preconfigured(tls).build()?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// YAML of quoted strings, with escapes for what YAML does not allow in a document.
fn escaped(yaml: &str) -> String {
    let escape = |character| match character {
        ' '..='~' => String::from(character),
        '\u{10000}'.. => format!("\\U{:08x}", u32::from(character)),
        _ => format!("\\u{:04x}", u32::from(character)),
    };
    yaml.chars().map(escape).collect()
}

fn described(stored: &Stored) -> Value {
    json!({ "canonical": stored.canonical, "id": stored.id })
}

/// A scalar as it is written in a document of its own: continued lines begin eight columns further left.
fn outdented(scalar: &str) -> String {
    let mut lines = scalar.split_inclusive(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
    let first = lines.next().unwrap_or_default().to_owned();
    let rest = lines.map(|line| line.strip_prefix("        ").unwrap_or(line));
    std::iter::once(first.as_str()).chain(rest).collect()
}

fn style(scalar: &str) -> &'static str {
    match scalar.chars().next() {
        Some('"') => "double",
        Some('\'') => "single",
        Some('|' | '>') => "literal",
        _ => "plain",
    }
}
