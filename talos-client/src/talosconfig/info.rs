//! What `talosctl config info` tells about a context.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::{Context, Talosconfig, undefined};
use crate::error::Result;

/// A context in short. It holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ContextInfo {
    /// Its name.
    pub context: String,
    /// The nodes that requests are for when none is named.
    pub nodes: Vec<String>,
    /// The addresses a client connects to.
    pub endpoints: Vec<String>,
    /// The roles of its certificate.
    pub roles: Vec<String>,
    /// Until when nodes accept its certificate; `None` without one.
    pub not_after: Option<Timestamp>,
}

impl Talosconfig {
    /// What a context is for, or the current one: `talosctl config info`.
    ///
    /// # Errors
    /// `NotFound` when there is no such context, `InvalidDocument` when its certificate cannot be read.
    pub fn info(&self, context: Option<&str>) -> Result<ContextInfo> {
        let name = context.unwrap_or(&self.current);
        let context = self.context(name).ok_or_else(|| undefined(name))?;
        Ok(ContextInfo {
            context: name.to_owned(),
            nodes: context.nodes().to_vec(),
            endpoints: context.endpoints().to_vec(),
            roles: context.roles()?,
            not_after: context.not_after()?,
        })
    }
}

impl Context {
    /// The roles of the certificate, for example `os:admin`; none without a certificate.
    ///
    /// # Errors
    /// As [`Context::client_certificate`].
    pub fn roles(&self) -> Result<Vec<String>> {
        Ok(self
            .client_certificate()?
            .map(|certificate| certificate.roles().to_vec())
            .unwrap_or_default())
    }
}

impl fmt::Display for ContextInfo {
    /// The lines of `talosctl config info`, with the date instead of the time that is left.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[String]| match items {
            [] => "not defined".to_owned(),
            items => items.join(", "),
        };
        writeln!(f, "Current context:     {}", self.context)?;
        writeln!(f, "Nodes:               {}", list(&self.nodes))?;
        write!(f, "Endpoints:           {}", list(&self.endpoints))?;
        if !self.roles.is_empty() {
            write!(f, "\nRoles:               {}", self.roles.join(", "))?;
        }
        match self.not_after {
            Some(end) => write!(f, "\nCertificate expires: {}", end.strftime("%Y-%m-%d")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::config::VersionContract;
    use crate::secrets::{Role, SecretsBundle};

    #[test]
    fn the_info_of_a_context_names_its_roles_and_the_end_of_its_certificate() {
        let bundle = SecretsBundle::generate_blocking(VersionContract::new(1, 6)).unwrap();
        let certificate = bundle.client_certificate(Role::Reader).issue().unwrap();
        let mut config = Talosconfig::for_cluster("lab", &certificate);
        config.set_endpoints(None, ["10.0.2.10"]).unwrap();

        let info = config.info(None).unwrap();

        assert_eq!(info.roles, ["os:reader"]);
        assert_eq!(info.not_after, Some(certificate.not_after()));
        let end = certificate.not_after().strftime("%Y-%m-%d");
        assert_eq!(
            info.to_string(),
            format!(
                "Current context:     lab\nNodes:               not defined\nEndpoints:           10.0.2.10\n\
                 Roles:               os:reader\nCertificate expires: {end}"
            )
        );
        assert_eq!(
            config.info(Some("other")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn a_context_without_a_certificate_has_no_roles() {
        let mut config = Talosconfig::new();
        config.add("bare", Context::new());

        let info = config.info(Some("bare")).unwrap();

        assert!(info.roles.is_empty() && info.not_after.is_none());
    }
}
