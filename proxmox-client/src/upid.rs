//! The id of a background task.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::NodeName;

/// The id of a background task (the server calls it UPID).
///
/// `UPID:node:pid:pstart:starttime:type:id:user:`. The text is kept exactly as the server gave it
/// and is what requests use; the fields are only read out of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId {
    text: String,
    node: NodeName,
}

impl TaskId {
    /// Reads an id.
    ///
    /// # Errors
    /// `InvalidInput` when the text is not of the form above.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let fields: Vec<&str> = text.split(':').collect();
        let valid = match fields.as_slice() {
            ["UPID", _, pid, pstart, start, kind, id, user, ""] => {
                is_hex(pid, 8..=8)
                    && is_hex(pstart, 8..=9)
                    && is_hex(start, 8..=8)
                    && !kind.is_empty()
                    && !user.is_empty()
                    && ![kind, id, user]
                        .iter()
                        .any(|field| field.contains(char::is_whitespace))
            }
            _ => false,
        };
        let node = fields.get(1).and_then(|node| NodeName::new(*node).ok());
        match node {
            Some(node) if valid => Ok(Self { text, node }),
            _ => Err(Error::field(
                "check identifier",
                "task id",
                format!("`{text}` is not of the form UPID:node:pid:pstart:starttime:type:id:user:"),
            )),
        }
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The node that runs the task, and the only one to ask about it. It can differ from the node
    /// of the request (uploads run on the contacted node).
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The type of the worker, for example `qmcreate`.
    #[must_use]
    pub fn worker(&self) -> &str {
        self.part(5)
    }

    /// What the task works on, for example a VM id; may be empty.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.part(6)
    }

    /// The user or token that started it.
    #[must_use]
    pub fn user(&self) -> &str {
        self.part(7)
    }

    /// Start of the task, in seconds since 1970.
    #[must_use]
    pub fn started_at(&self) -> u64 {
        u64::from_str_radix(self.part(4), 16).unwrap_or_default()
    }

    fn part(&self, index: usize) -> &str {
        self.text.split(':').nth(index).unwrap_or_default()
    }
}

fn is_hex(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
}

crate::wire::from_wire_text!(TaskId);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TaskId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for TaskId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_an_id_are_read() {
        let id =
            TaskId::new("UPID:pve1:0003A2F1:01C2D3E4:66A1B2C3:qmcreate:104:ci@pve!boot:").unwrap();

        assert_eq!(id.node().as_str(), "pve1");
        assert_eq!(id.worker(), "qmcreate");
        assert_eq!(id.subject(), "104");
        assert_eq!(id.user(), "ci@pve!boot");
        assert_eq!(id.started_at(), 0x66A1_B2C3);
    }

    #[test]
    fn nine_digits_of_start_and_an_empty_subject_are_normal() {
        let id = TaskId::new("UPID:pve-1:0003A2F1:101C2D3E4:66A1B2C3:imgcopy::root@pam:").unwrap();

        assert_eq!(id.subject(), "");
    }

    #[test]
    fn hyphens_in_the_subject_survive() {
        let text = "UPID:pve1:0003A2F1:01C2D3E4:66A1B2C3:download:talos-v1.10.7.iso:a@pve:";

        assert_eq!(TaskId::new(text).unwrap().to_string(), text);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "UPID:pve1",
            "UPID:pve1:3A2F1:01C2D3E4:66A1B2C3:qmcreate:104:ci@pve:",
            "UPID:pve1:0003A2F1:01C2D3E4:66A1B2C3:qmcreate:104:ci@pve",
            "UPID:pve1:0003A2F1:01C2D3E4:66A1B2C3::104:ci@pve:",
        ] {
            assert!(TaskId::new(text).is_err(), "{text}");
        }
    }
}
