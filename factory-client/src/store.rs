//! Schematics at the factory: posting with all checks, and reading back.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;
use crate::response;
use crate::schematic::Schematic;
use crate::transport::Request;

/// A schematic that the factory has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Created {
    /// The ID, as factory and client computed it.
    pub id: SchematicId,
    /// The canonical text that the factory stored; `None` before factory v1.3.0.
    pub canonical: Option<String>,
    /// The ID computed here; `None` when it depends on the factory's encoder, so that the factory's was taken.
    pub computed: Option<SchematicId>,
    /// The owner that an Enterprise factory has added, which makes the ID differ from the computed one.
    pub owner: Option<String>,
}

/// A schematic read from the factory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stored {
    /// The requested ID.
    pub id: SchematicId,
    /// The text as the running factory encodes it, with fields that this crate may not know.
    pub text: String,
    /// The parsed text; `None` when it has fields that this crate does not know.
    pub schematic: Option<Schematic>,
    /// Whether the text hashes to the ID. It does not when the factory has changed its encoder since.
    pub matches_id: bool,
}

#[derive(Deserialize)]
struct CreateResponse {
    id: String,
    #[serde(default)]
    schematic: Option<String>,
}

const CREATE: &str = "create schematic";

impl Client {
    /// Posts `schematic` to the factory and verifies its ID: the ID computed here, the reported ID and the hash of the
    /// stored text must be equal. May be repeated; the same content gives the same ID.
    ///
    /// The factory accepts unknown extension names here and rejects them at image time. Call
    /// [`validate`](Self::validate) before.
    ///
    /// # Errors
    /// * [`ErrorKind::IdMismatch`] with both IDs, when the factory computes another one.
    /// * [`ErrorKind::InvalidSchematic`] with the factory's text, for a field that the factory does not know.
    /// * [`ErrorKind::Corrupted`] when the returned text is another schematic.
    /// * [`ErrorKind::Unauthenticated`] and [`ErrorKind::Forbidden`] at an Enterprise factory.
    pub async fn create_schematic(&self, schematic: &Schematic) -> Result<Created> {
        let text = schematic.canonical();
        let request = self.post_request(text.clone());
        let body = self.transport.text(&request).await?;
        let response: CreateResponse = response::decode(&request, &body)?;
        let created = verify(&request, schematic, response)?;
        if let Ok(mut posted) = self.posted.lock() {
            posted.insert(created.id.clone(), text);
        }
        Ok(created)
    }

    /// The stored schematic of an ID (factory ≥ v0.9.0).
    ///
    /// # Errors
    /// [`ErrorKind::SchematicNotFound`] for an ID that was not posted to this factory; [`ErrorKind::NotFound`] at an
    /// older factory.
    pub async fn schematic(&self, id: &SchematicId) -> Result<Stored> {
        let path = format!("schematics/{id}");
        let request = self
            .transport
            .get("get schematic", "/schematics/{id}", &path);
        let text = self.transport.text(&request).await?;
        Ok(Stored {
            id: id.clone(),
            schematic: Schematic::parse(&text).ok(),
            matches_id: SchematicId::of_text(&text) == *id,
            text,
        })
    }

    /// Posts a schematic of this client again, when the factory does not find it.
    pub(crate) async fn post_again(&self, id: &SchematicId) -> bool {
        let text = match self.posted.lock() {
            Ok(posted) => posted.get(id).cloned(),
            Err(_) => None,
        };
        let Some(text) = text else { return false };
        self.transport.send(&self.post_request(text)).await.is_ok()
    }

    pub(crate) fn has_posted(&self, id: &SchematicId) -> bool {
        self.posted
            .lock()
            .is_ok_and(|posted| posted.contains_key(id))
    }

    fn post_request(&self, text: String) -> Request {
        self.transport
            .get(CREATE, "/schematics", "schematics")
            .with_body(text)
    }
}

fn verify(request: &Request, schematic: &Schematic, response: CreateResponse) -> Result<Created> {
    let id = SchematicId::parse(response.id).map_err(|error| {
        request
            .error(ErrorKind::Decode)
            .with_message("the reported text is not a schematic ID")
            .with_source(error)
    })?;
    let computed = schematic.local_id();
    let mut owner = None;
    if let Some(text) = &response.schematic {
        let hashed = SchematicId::of_text(text);
        if hashed != id {
            return Err(mismatch(request, hashed, id));
        }
        let stored = Schematic::parse(text).ok();
        owner = stored
            .as_ref()
            .and_then(|stored| added_owner(schematic, stored));
        let is_same = owner.is_some() || stored.as_ref() == Some(schematic);
        if computed.is_none() && !is_same {
            return Err(request
                .error(ErrorKind::Corrupted)
                .with_message("the factory stored another schematic than was sent"));
        }
    }
    match &computed {
        Some(computed) if *computed != id && owner.is_none() => {
            Err(mismatch(request, computed.clone(), id))
        }
        _ => Ok(Created {
            id,
            canonical: response.schematic,
            computed,
            owner,
        }),
    }
}

fn mismatch(request: &Request, computed: SchematicId, reported: SchematicId) -> Error {
    Error::id_mismatch_of(computed, reported).with_target(request.url.path())
}

/// The owner in `stored`, when that is the only difference.
fn added_owner(sent: &Schematic, stored: &Schematic) -> Option<String> {
    if !sent.owner.is_empty() || stored.owner.is_empty() {
        return None;
    }
    let without = Schematic {
        owner: String::new(),
        ..stored.clone()
    };
    (without == *sent).then(|| stored.owner.clone())
}
