//! Roles of the Talos API.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// What the bearer of a certificate may do on the Talos API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything that does not change the configuration or reset: reading, rebooting, restarting services.
    Operator,
    /// Reading what is not secret.
    Reader,
    /// Taking etcd snapshots.
    EtcdBackup,
    /// Acting with the roles of a request's metadata; for proxies.
    Impersonator,
}

impl Role {
    /// The name as certificates carry it: `os:admin`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "os:admin",
            Self::Operator => "os:operator",
            Self::Reader => "os:reader",
            Self::EtcdBackup => "os:etcd:backup",
            Self::Impersonator => "os:impersonator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [
            Self::Admin,
            Self::Operator,
            Self::Reader,
            Self::EtcdBackup,
            Self::Impersonator,
        ]
        .into_iter()
        .find(|role| role.as_str() == name)
        .ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "parse role")
                .with_message(format!("invalid role {name:?}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_parsed_by_their_names() {
        assert_eq!("os:etcd:backup".parse::<Role>().unwrap(), Role::EtcdBackup);
        assert_eq!(
            "os:foo".parse::<Role>().unwrap_err().message(),
            r#"invalid role "os:foo""#
        );
    }
}
