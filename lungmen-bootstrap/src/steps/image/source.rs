//! The image of a release at the Image Factory: how long it is, and which digest it has. All its copies share what is known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LENGTH;
use super::digest::Digests;
use super::recorded;
use crate::desired::release::Release;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::event::EventKind;

pub(super) struct Source {
    pub(super) release: Arc<Release>,
    pub(super) digests: Digests,
    length: Mutex<Length>,
    /// Held while the factory is asked, so that it is asked once for all copies.
    asking: tokio::sync::Mutex<()>,
}

/// The length that the factory states.
#[derive(Debug, Default, Clone, Copy)]
struct Length {
    bytes: Option<u64>,
    /// Whether the factory was asked again because a file has another length.
    is_confirmed: bool,
}

impl Source {
    pub(super) fn new(release: Arc<Release>) -> Self {
        Self {
            release,
            digests: Digests::default(),
            length: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.release.iso_file
    }

    /// The length, as far as this run knows it.
    pub(super) fn known_length(&self) -> Option<u64> {
        self.known().bytes
    }

    /// The length of the image: as recorded when it was stored, else as the factory states it.
    pub(super) async fn length(&self, context: &Context) -> Result<Option<u64>> {
        let known = self.known_length();
        if known.is_some() {
            return Ok(known);
        }
        if let Some(length) = recorded::evidence(context, self.file(), LENGTH).await? {
            return Ok(Some(length));
        }
        self.prewarm(context).await?;
        Ok(self.known_length())
    }

    /// The length as the factory states it now. It is asked once more in a run, whatever was stated or recorded before.
    pub(super) async fn confirmed_length(&self, context: &Context) -> Result<Option<u64>> {
        let _asking = self.asking.lock().await;
        if !self.known().is_confirmed {
            let bytes = self.ask(context).await?;
            *self.known() = Length {
                bytes,
                is_confirmed: true,
            };
        }
        Ok(self.known_length())
    }

    /// Lets the factory build the image: a download of an unbuilt one is silent for minutes and breaks.
    pub(super) async fn prewarm(&self, context: &Context) -> Result<()> {
        let _asking = self.asking.lock().await;
        if self.known_length().is_none() {
            let bytes = self.ask(context).await?;
            self.known().bytes = bytes;
        }
        Ok(())
    }

    /// Asks for the image without its body, and waits until the factory has built it.
    async fn ask(&self, context: &Context) -> Result<Option<u64>> {
        let deadline = context.timing().image_build;
        context.emit(EventKind::Waiting {
            waiting_for: "the Image Factory to build the image".into(),
            cause: "an image is built at its first request".into(),
            attempt: 1,
            elapsed: Duration::ZERO,
            deadline,
        });
        let poll = factory_client::Poll::default().deadline(deadline);
        let factory = &context.clients().factory;
        let prewarmed = factory.prewarm(&self.release.image, poll).await?;
        Ok(prewarmed.content_length)
    }

    fn known(&self) -> MutexGuard<'_, Length> {
        self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
