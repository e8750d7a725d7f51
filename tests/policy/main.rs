//! Rules about the project itself that no compiler checks.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accidents;
mod argocd_schema;
mod dependencies;
mod docs;
mod error_kinds;
mod examples;
mod mirrored;
mod prose;
mod publishable;
mod recipes;
mod run_requests;
mod secrets;
mod specification;
#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod support;

use std::path::PathBuf;

/// The root of the workspace.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` with one of the endings, in a stable order.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if endings
                .iter()
                .any(|ending| path.to_string_lossy().ends_with(ending))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
