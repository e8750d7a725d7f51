//! Storing without replacing: a secret is created, found identical, or reported as different.

use super::kv::Kv;
use super::secret::{SecretMap, VersionInfo};
use crate::services::{Error, ErrorKind, Result};

/// The result of [`Kv::store`] and [`Kv::add`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// The secret did not exist (or lacked values); this version was written and read back.
    Created(VersionInfo),
    /// The secret already has exactly these values; nothing was written.
    Identical(VersionInfo),
    /// The secret has other values; nothing was written.
    Different {
        /// The version that exists.
        version: VersionInfo,
        /// Names of the values that differ or exist on one side only.
        names: Vec<String>,
    },
}

impl Kv {
    /// Stores `data` at `path`: creates the secret and reads it back, or compares it with the one that exists. Never
    /// replaces values. May be repeated, also after a failure.
    ///
    /// # Errors
    ///
    /// `Deleted` when the newest version was deleted: undelete it, or remove the secret permanently. `Mismatch` when
    /// the value that was read back differs. `TooLarge` for more than 900 kB. `Forbidden`, `NoSuchMount`.
    pub async fn store(&self, path: &str, data: &SecretMap) -> Result<Stored> {
        match self.compare(path, data).await {
            Ok(found) => return Ok(found),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        match self.create(path, data).await {
            Ok(_) => self.read_back(path, data).await,
            // Another writer was faster, or an earlier attempt of this call.
            Err(error) if error.is_already_exists() => self.compare(path, data).await,
            Err(error) if error.may_have_taken_effect() => match self.compare(path, data).await {
                Ok(Stored::Identical(version)) => Ok(Stored::Created(version)),
                Ok(other) => Ok(other),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Adds the missing values of `data` to the secret at `path`, as a new version; creates the secret when it does not
    /// exist. Existing values are never replaced: when one differs, nothing is written.
    ///
    /// # Errors
    ///
    /// `Conflict` when another writer changed the secret at the same time. `Deleted`, `Mismatch`, `TooLarge`,
    /// `Forbidden`, `NoSuchMount` as for [`Kv::store`].
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
                    .with_message(format!(
                        "values that differ from those written: {}",
                        names.join(", ")
                    )))
            }
            Stored::Identical(version) | Stored::Created(version) => Ok(Stored::Created(version)),
        }
    }
}
