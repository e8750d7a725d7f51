//! How a machine gets its configuration.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UnknownWord;

/// How a machine gets its configuration for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConfigDelivery {
    /// Over the network, while it waits for it in maintenance mode.
    #[default]
    Maintenance,
    /// As nocloud user data on a drive of its VM, so that it is never in maintenance mode. The drive is made from a file on
    /// a storage for snippets; both are without the configuration as soon as the node is installed.
    UserData,
}

impl ConfigDelivery {
    /// The word of the specification: `maintenance` or `userData`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::UserData => "userData",
        }
    }
}

impl fmt::Display for ConfigDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ConfigDelivery {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "maintenance" => Ok(Self::Maintenance),
            "userData" => Ok(Self::UserData),
            _ => Err(UnknownWord {
                text: text.to_owned(),
                allowed: "maintenance, userData",
            }),
        }
    }
}
