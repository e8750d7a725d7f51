//! The SHA-256 of the image: who knows it, and how sure that is.
//!
//! Some factories publish it; otherwise it is taken while the image passes through this process. Both are certain. What an
//! earlier run recorded is not: a factory that lost the image builds it again, and nobody promises the same bytes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use factory_client::download::Sha256Digest;
use proxmox_client::storage::Checksum;

use super::recorded;
use crate::desired::release::Release;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;

/// Under which name the journal has it.
pub(super) const SHA256: &str = "sha256";

#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<Known>);

#[derive(Debug, Default, Clone, Copy)]
struct Known {
    was_asked: bool,
    /// As the factory publishes it, or as it was taken in this run.
    certain: Option<Sha256Digest>,
    /// As an earlier run recorded it.
    recorded: Option<Sha256Digest>,
    /// That of the copies which this run stored.
    stored: Option<Sha256Digest>,
}

impl Digests {
    /// Asks the factory and the journal, once in a run. A factory that publishes nothing is not an error.
    pub(super) async fn learn(&self, context: &Context, release: &Release) -> Result<()> {
        if self.known().was_asked {
            return Ok(());
        }
        let factory = &context.clients().factory;
        let certain = match factory.published_checksum(&release.image).await {
            Ok(published) => Some(published),
            Err(error) => {
                tracing::debug!(%error, "no published checksum");
                None
            }
        };
        let recorded = recorded::evidence(context, &release.iso_file, SHA256).await?;
        let mut known = self.known();
        known.was_asked = true;
        known.certain = known.certain.or(certain);
        known.recorded = recorded;
        Ok(())
    }

    /// What an image that passes through this process must have.
    pub(super) fn certain(&self) -> Option<Sha256Digest> {
        self.known().certain
    }

    /// What the node compares its download with. A difference decides nothing yet: see [`took`](Self::took).
    pub(super) fn likely(&self) -> Option<Sha256Digest> {
        let known = *self.known();
        known.certain.or(known.recorded)
    }

    /// The node stored a copy with this digest.
    pub(super) fn stored(&self, digest: Sha256Digest) {
        self.known().stored = Some(digest);
    }

    /// The image passed through this process and has this digest; it is stored.
    ///
    /// # Errors
    /// `Conflict` when another stream of this run had different bytes.
    pub(super) fn took(&self, context: &Context, taken: Sha256Digest) -> Result<()> {
        let before = {
            let mut known = self.known();
            let before = *known;
            known.certain = Some(taken);
            known.stored = Some(taken);
            before
        };
        match (before.certain, before.recorded) {
            (Some(certain), _) if certain != taken => return Err(two_images(certain, taken)),
            (None, Some(recorded)) if recorded != taken => context.warn(format!(
                "the image has SHA-256 {taken}, and had {recorded} when it was stored before: the factory built it again, or one \
                 of them was changed on its way"
            )),
            _ => {}
        }
        Ok(())
    }

    /// What is recorded for the copies that this run stored.
    pub(super) fn evidence(&self) -> Option<(&'static str, String)> {
        let stored = self.known().stored?;
        Some((SHA256, stored.to_string()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest as Proxmox VE takes it.
pub(super) fn checksum(digest: Sha256Digest) -> Result<Checksum> {
    Ok(Checksum::sha256(&digest.to_string())?)
}

fn two_images(one: Sha256Digest, other: Sha256Digest) -> Error {
    Error::new(ErrorKind::Conflict, "compare the images")
        .with_message(format!(
            "the factory sent two different images under one address: SHA-256 {one} and {other}"
        ))
        .with_hint("Check what is between this host and the factory, remove the ISOs that were stored, and run again.")
}
