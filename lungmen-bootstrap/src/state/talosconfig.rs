//! The context of the cluster in a talosconfig of the user's.

use std::io::ErrorKind as IoKind;
use std::path::Path;

use secrecy::ExposeSecret as _;
use talos_client::secrets::ClientCertificate;
use talos_client::talosconfig::{Context as TalosContext, Talosconfig};

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::services::Validity;
use crate::state::artifacts::{Artifact, write_private};

/// Whether a context of the file is the one of the output directory, whatever it is called there.
pub(crate) fn has_context(context: &Context, path: &Path) -> Result<bool> {
    let ours = ours(context)?;
    let wanted = ours.current_context()?;
    let theirs = read(path)?;
    Ok(theirs
        .contexts()
        .any(|(_, context)| is_same(context, wanted)))
}

/// From when until when nodes accept the certificate of the current context.
pub(crate) fn validity(config: &Talosconfig) -> Option<Validity> {
    let context = config.current_context().ok()?;
    let certificate = context.client_certificate().ok()??;
    Some(Validity {
        begin: certificate.not_before(),
        end: certificate.not_after(),
    })
}

/// Adds the context by the rules of `talosctl config merge`: a name that is taken gets a suffix, and the context becomes
/// the current one. Nothing is added twice.
pub(crate) fn merge(context: &Context, path: &Path) -> Result<()> {
    if has_context(context, path)? {
        return Ok(());
    }
    let mut theirs = read(path)?;
    for rename in theirs.merge(&ours(context)?) {
        context.note(format!(
            "the context {} is called {} there",
            rename.from, rename.to
        ));
    }
    write_private(path, theirs.to_yaml().expose_secret().as_bytes())
        .map_err(|error| Error::io("write", &path.display().to_string(), error))
}

/// Removes the context of the cluster, whatever it is called there, and gives back its names. Another context becomes the
/// current one; the only context of a file stays, because a talosconfig cannot be without.
pub(crate) fn remove(context: &Context, path: &Path) -> Result<Vec<String>> {
    let mut theirs = read(path)?;
    let ours = ours(context)?;
    let wanted = ours.current_context()?;
    let (same, others): (Vec<_>, Vec<_>) = theirs
        .contexts()
        .map(|(name, context)| (name.to_owned(), is_same(context, wanted)))
        .partition(|(_, is_same)| *is_same);
    if let Some((other, _)) = others.first()
        && same.iter().any(|(name, _)| name == theirs.current())
    {
        theirs.use_context(other)?;
    }
    let mut removed = Vec::new();
    for (name, _) in same {
        removed.append(&mut theirs.remove(&literal(&name))?.removed);
    }
    if !removed.is_empty() {
        write_private(path, theirs.to_yaml().expose_secret().as_bytes())
            .map_err(|error| Error::io("write", &path.display().to_string(), error))?;
    }
    Ok(removed)
}

/// Gives the contexts of the file that have the certificate of `old` the new one, and gives back their names. Without a file
/// nothing is done.
pub(crate) fn renew(
    path: &Path,
    old: &TalosContext,
    admin: &ClientCertificate,
) -> Result<Vec<String>> {
    let mut theirs = read(path)?;
    let names: Vec<String> = theirs
        .contexts()
        .filter(|(_, context)| is_same(context, old))
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in &names {
        if let Some(context) = theirs.context_mut(name) {
            context.set_certificate(admin);
        }
    }
    if !names.is_empty() {
        write_private(path, theirs.to_yaml().expose_secret().as_bytes())
            .map_err(|error| Error::io("write", &path.display().to_string(), error))?;
    }
    Ok(names)
}

/// A pattern that matches this name only.
fn literal(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

fn ours(context: &Context) -> Result<Talosconfig> {
    let text = context
        .artifacts()
        .read(&Artifact::Talosconfig)?
        .ok_or_else(|| {
            Error::new(ErrorKind::Io, "read")
                .with_target(context.artifacts().path(&Artifact::Talosconfig))
                .with_message("the file does not exist")
        })?;
    Ok(Talosconfig::parse(text.expose_secret())?)
}

fn read(path: &Path) -> Result<Talosconfig> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Talosconfig::parse(&text)?),
        Err(error) if error.kind() == IoKind::NotFound => Ok(Talosconfig::new()),
        Err(error) => Err(Error::io("read", &path.display().to_string(), error)),
    }
}

fn is_same(one: &TalosContext, two: &TalosContext) -> bool {
    let identity = |context: &TalosContext| {
        let certificate = context.client_certificate().ok().flatten();
        certificate.map(|certificate| certificate.certificate_pem().to_owned())
    };
    identity(one).is_some() && identity(one) == identity(two)
}
