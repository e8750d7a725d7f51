//! Carries the commands of a transition to a store, and the responses back.

use super::transition::{Command, Response};
use crate::error::Result;
use crate::services::{Error as StoreError, ErrorKind as StoreErrorKind};
use crate::state::record::ClusterRecord;
use crate::state::store::{Document, Revision, SecretStore};

/// One exchange with the store.
///
/// # Errors
/// What the store reports with certainty. A lost response is a [`Response::Lost`], which the next read resolves.
pub(super) async fn exchange(
    store: &dyn SecretStore,
    command: Command<ClusterRecord, Revision>,
) -> Result<Response<ClusterRecord, Revision>> {
    match command {
        Command::Create(record) => written(store.create(Document::Record, &record.encode()).await),
        Command::Replace(revision, record) => written(
            store
                .replace(Document::Record, &record.encode(), &revision)
                .await,
        ),
        Command::Read | Command::Generate | Command::Done => {
            match store.read(Document::Record).await? {
                None => Ok(Response::Absent),
                Some(found) => {
                    let record = ClusterRecord::decode(&found.entries, &store.describe())?;
                    Ok(Response::Found(found.revision, record))
                }
            }
        }
    }
}

/// What the outcome of a write means.
pub(crate) fn outcome(
    result: std::result::Result<Revision, StoreError>,
) -> std::result::Result<WriteOutcome, StoreError> {
    match result {
        Ok(revision) => Ok(WriteOutcome::Written(revision)),
        Err(error)
            if matches!(
                error.kind(),
                StoreErrorKind::AlreadyExists | StoreErrorKind::Conflict
            ) =>
        {
            Ok(WriteOutcome::Refused)
        }
        Err(error) if error.may_have_taken_effect() => {
            tracing::debug!(%error, "the response to a write was lost; the document is read");
            Ok(WriteOutcome::Lost)
        }
        Err(error) => Err(error),
    }
}

/// A write that was carried to a store.
pub(crate) enum WriteOutcome {
    Written(Revision),
    Refused,
    Lost,
}

fn written(
    result: std::result::Result<Revision, StoreError>,
) -> Result<Response<ClusterRecord, Revision>> {
    Ok(match outcome(result)? {
        WriteOutcome::Written(revision) => Response::Written(revision),
        WriteOutcome::Refused => Response::Refused,
        WriteOutcome::Lost => Response::Lost,
    })
}
