//! Numbers and types of this repository's `.proto` files, and the lists of methods, from the files of the reference.
//!
//! What is kept is what the committed file names. A line keeps its place and its comment; its number, type and label become
//! those of the reference.

mod reference;
mod rewrite;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use reference::Definitions;
pub(crate) use rewrite::{Packages, Source, rewritten};
pub(crate) use wire::{methods, wire};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How the packages of Argo CD and of Kubernetes are called in `argocd-client/proto`.
pub(crate) const ARGO_CD: Packages = &[
    (
        "v1alpha1",
        &["github.com.argoproj.argo_cd.v3.pkg.apis.application.v1alpha1"],
    ),
    ("manifests", &["repository"]),
    (
        "cluster",
        &[
            "cluster",
            "github.com.argoproj.argo_cd.server.settings.oidc",
        ],
    ),
    ("events", &["k8s.io.api.core.v1"]),
    (
        "k8s",
        &[
            "k8s.io.apimachinery.pkg.apis.meta.v1",
            "k8s.io.api.core.v1",
            "k8s.io.apimachinery.pkg.util.intstr",
            "k8s.io.apimachinery.pkg.runtime",
            "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1",
        ],
    ),
];

/// The definitions of releases that are given as `MINOR=FOLDER`.
pub(crate) fn releases(arguments: &[String]) -> Result<Vec<(u64, Definitions)>> {
    let mut folders: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for argument in arguments {
        let parts = argument
            .split_once('=')
            .ok_or("a release is given as MINOR=FOLDER")?;
        folders
            .entry(parts.0.parse()?)
            .or_default()
            .push(parts.1.into());
    }
    let read = |(minor, folders): (u64, Vec<PathBuf>)| Ok((minor, Definitions::read(&folders)?));
    folders.into_iter().map(read).collect()
}

/// What became of a folder.
pub(crate) struct Made {
    pub(crate) written: Vec<PathBuf>,
    /// What the reference has, and the folder leaves out.
    pub(crate) left_out: Vec<String>,
}

/// Rewrites the `.proto` files below `folder`.
pub(crate) fn rewrite_folder(folder: &Path, source: &Source) -> Result<Made> {
    let ours = Definitions::read(&[folder.to_owned()])?;
    let mut made = Made {
        written: Vec::new(),
        left_out: Vec::new(),
    };
    for path in reference::proto_files(folder)? {
        let text = super::files::read(&path)?;
        let file = rewritten(&text, &ours, source)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        made.left_out.extend(file.left_out);
        made.written.extend(super::files::write(path, &file.text)?);
    }
    let now = Definitions::read(&[folder.to_owned()])?;
    match source.add.iter().find(|name| !now.has(name)) {
        Some(name) => Err(format!(
            "{name} was not added: the reference has no such type, field or method here"
        )
        .into()),
        None => Ok(made),
    }
}
