//! Changes to the configuration of a VM that exists.

use std::fmt;

use super::{BootOrder, Drive, NetworkDevice, Slot, Tags, invalid_option};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, ErrorKind, Result};
use crate::property::PropertyString;
use crate::rule;

/// Options to set and options to remove.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "an update does nothing until it is given to `Vm::update`"]
pub struct ConfigUpdate {
    set: Vec<(String, String)>,
    delete: Vec<String>,
    digest: Option<String>,
}

impl ConfigUpdate {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if the configuration is still the one with this digest.
    pub fn digest(mut self, digest: impl Into<String>) -> Self {
        self.digest = Some(digest.into());
        self
    }

    /// Attaches a disk, or changes what is in a CD drive.
    ///
    /// [`Cdrom::Empty`](super::Cdrom::Empty) takes the image out and keeps the drive.
    pub fn drive(self, slot: Slot, drive: &Drive) -> Self {
        self.option(&slot.to_string(), drive)
    }

    /// Sets a network card.
    pub fn network(self, index: u8, device: &NetworkDevice) -> Self {
        self.option(&format!("net{index}"), device)
    }

    /// Sets the boot order.
    pub fn boot_order(self, order: &BootOrder) -> Self {
        self.option("boot", order)
    }

    /// Sets the tags.
    pub fn tags(self, tags: &Tags) -> Self {
        if tags.is_empty() {
            self.delete("tags")
        } else {
            self.option("tags", tags)
        }
    }

    /// Sets the description.
    pub fn description(self, text: &str) -> Self {
        self.option("description", text)
    }

    /// Sets any option by the server's name.
    pub fn option(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.set.push((name.to_owned(), value.to_string()));
        self
    }

    /// Removes an option. A removed disk becomes an unused volume of the VM.
    pub fn delete(mut self, name: impl Into<String>) -> Self {
        self.delete.push(name.into());
        self
    }

    /// Whether there is nothing to change; the server calls that an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    /// Finds names and a digest that the server would refuse.
    fn check(&self) -> Result<()> {
        let names = self.set.iter().map(|(name, _)| ("option", name));
        let deleted = self.delete.iter().map(|name| ("delete", name));
        let mut problems: Vec<Diagnostic> = names
            .chain(deleted)
            .filter_map(|(field, name)| rule::OPTION.problem(field, name))
            .collect();
        let digest = self.digest.as_deref();
        problems.extend(digest.and_then(|digest| rule::TEXT_40.problem("digest", digest)));
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "check VM options")
            .with_diagnostics(problems.into_iter().collect()))
    }

    pub(super) fn to_params(&self) -> Result<Vec<(String, String)>> {
        for (name, value) in &self.set {
            // An empty value arrives as null in a form, and means something else.
            if value.is_empty() {
                return Err(invalid_option(name, "is empty; delete the option instead"));
            }
        }
        self.check()?;
        let mut params = self.set.clone();
        if !self.delete.is_empty() {
            params.push(("delete".to_owned(), self.delete.join(",")));
        }
        if let Some(digest) = &self.digest {
            params.push(("digest".to_owned(), digest.clone()));
        }
        Ok(params)
    }
}

/// Whether every value of a property string can be sent; there is no quoting.
pub(super) fn unsendable(text: &PropertyString) -> Option<String> {
    let value = text.unsendable().next()?;
    Some(format!(
        "the value `{value}` is empty, has a comma, or blanks at an end"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::Cdrom;

    #[test]
    fn ejecting_keeps_the_drive() {
        let update = ConfigUpdate::new()
            .drive(Slot::Ide(2), &Drive::Cdrom(Cdrom::Empty))
            .delete("scsi3")
            .digest("abc");

        assert_eq!(
            update.to_params().unwrap(),
            [
                ("ide2".to_owned(), "none,media=cdrom".to_owned()),
                ("delete".to_owned(), "scsi3".to_owned()),
                ("digest".to_owned(), "abc".to_owned()),
            ]
        );
    }

    #[test]
    fn an_empty_value_is_not_sent() {
        assert!(ConfigUpdate::new().description("").to_params().is_err());
        assert!(ConfigUpdate::new().digest("abc").is_empty());
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_its_text() {
        let update = ConfigUpdate::new().delete("net0 ").option("a b", 1);

        let error = update.to_params().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`net0 `"), "{error}");
        assert!(error.to_string().contains("`a b`"), "{error}");
    }

    #[test]
    fn no_tags_are_a_removal() {
        let params = ConfigUpdate::new()
            .tags(&Tags::default())
            .to_params()
            .unwrap();

        assert_eq!(params, [("delete".to_owned(), "tags".to_owned())]);
    }
}
