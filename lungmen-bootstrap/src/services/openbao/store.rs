//! Keeping something for good: create it, or find it there, and never replace it.

use super::kv::Kv;
use super::secret::{SecretMap, VersionInfo};
use crate::services::{Error, ErrorKind, Result};

/// What became of [`Kv::store`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// Nothing was there; this version was written and read back.
    Created(VersionInfo),
    /// Exactly these values were there already; nothing was written.
    Identical(VersionInfo),
    /// Something else is there; nothing was written.
    Different {
        /// What is there.
        version: VersionInfo,
        /// Names whose values differ or exist on one side only.
        names: Vec<String>,
    },
}

impl Kv {
    /// Keeps `data` at `path`: writes it when nothing is there and reads it back, and otherwise compares. Never
    /// overwrites, and never shows a value. May be repeated, also after a failure.
    ///
    /// # Errors
    ///
    /// `Deleted` when a version existed and was deleted: undelete it or remove the secret for good. `Mismatch` when what
    /// is read back is not what was written. `Forbidden`, `NoSuchMount`, `Sealed`, `TooLarge`.
    pub async fn store(&self, path: &str, data: &SecretMap) -> Result<Stored> {
        match self.compare(path, data).await {
            Ok(found) => return Ok(found),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        match self.create(path, data).await {
            Ok(_) => self.read_back(path, data).await,
            // Somebody was faster, perhaps an earlier attempt of ours.
            Err(error) if error.is_already_exists() => self.compare(path, data).await,
            Err(error) if error.may_have_taken_effect() => match self.compare(path, data).await {
                Ok(Stored::Identical(version)) => Ok(Stored::Created(version)),
                Ok(other) => Ok(other),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Adds the values of `data` that are not there yet to the secret at `path`, as a new version; creates it when it
    /// does not exist. Values that are there are never replaced: one that differs leaves everything as it is.
    ///
    /// # Errors
    ///
    /// As [`Kv::store`]; `Conflict` when somebody else writes the secret at the same time.
    pub async fn add(&self, path: &str, data: &SecretMap) -> Result<Stored> {
        let found = match self.read_raw(path, None).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return self.store(path, data).await,
            Err(error) => return Err(error),
        };
        let mut union = data.clone();
        for (name, value) in &found.values {
            match value.as_str() {
                Some(text) => union.entry(name.clone()).or_insert_with(|| text.into()),
                None => continue,
            };
        }
        let names = found.differences(&union);
        if names.is_empty() {
            return Ok(Stored::Identical(found.version));
        }
        let conflicting: Vec<String> = names
            .into_iter()
            .filter(|name| found.values.contains_key(name))
            .collect();
        if !conflicting.is_empty() {
            return Ok(Stored::Different {
                version: found.version,
                names: conflicting,
            });
        }
        self.update(path, &union, found.version.version).await?;
        self.read_back(path, &union).await
    }

    async fn compare(&self, path: &str, data: &SecretMap) -> Result<Stored> {
        let found = self.read_raw(path, None).await?;
        let names = found.differences(data);
        Ok(if names.is_empty() {
            Stored::Identical(found.version)
        } else {
            Stored::Different {
                version: found.version,
                names,
            }
        })
    }

    async fn read_back(&self, path: &str, data: &SecretMap) -> Result<Stored> {
        match self.compare(path, data).await? {
            Stored::Different { names, .. } => {
                Err(Error::new(ErrorKind::Mismatch, "read back secret")
                    .with_target(self.name(path))
                    .with_message(format!("not what was written: {}", names.join(", "))))
            }
            Stored::Identical(version) | Stored::Created(version) => Ok(Stored::Created(version)),
        }
    }
}
