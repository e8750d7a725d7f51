//! The server's version, and what differs between the two supported majors.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::wire;

/// The version of Proxmox VE, for example 9.1.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Version {
    /// The whole text, for example `9.1.2`.
    #[serde(rename = "version")]
    pub text: String,
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl Version {
    /// The privilege that reading from the guest agent needs: renamed in PVE 9.
    #[must_use]
    pub const fn guest_agent_privilege(&self) -> &'static str {
        if self.major >= 9 {
            "VM.GuestAgent.Audit"
        } else {
            "VM.Monitor"
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(deserialize_with = "wire::string")]
            version: String,
        }
        let text = Wire::deserialize(deserializer)?.version;
        let mut numbers = text
            .split(['.', '-', '~'])
            .map(|part| part.parse().unwrap_or_default());
        let (major, minor) = (numbers.next(), numbers.next());
        Ok(Self {
            major: major.unwrap_or_default(),
            minor: minor.unwrap_or_default(),
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn major_and_minor_are_read_from_the_text() {
        for (text, major, minor) in [
            ("9.1.2", 9, 1),
            ("8.4.10", 8, 4),
            ("9.0.0~11", 9, 0),
            ("7.4-3", 7, 4),
        ] {
            let version: Version = serde_json::from_value(json!({ "version": text })).unwrap();
            assert_eq!((version.major, version.minor), (major, minor), "{text}");
        }
    }

    #[test]
    fn the_guest_agent_privilege_depends_on_the_major() {
        let version =
            |text: &str| -> Version { serde_json::from_value(json!({ "version": text })).unwrap() };

        assert_eq!(version("8.4.10").guest_agent_privilege(), "VM.Monitor");
        assert_eq!(
            version("9.1.2").guest_agent_privilege(),
            "VM.GuestAgent.Audit"
        );
    }
}
