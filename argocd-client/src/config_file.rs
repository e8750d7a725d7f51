//! The configuration file of the `argocd` command line: contexts with servers and tokens.
//!
//! Nothing is read or written by itself: a program gives the path, and the file is used only through
//! this type.

mod entry;
mod file;

use std::path::Path;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_yaml::Value;
use url::Url;

use entry::{ContextEntry, ServerEntry, UserEntry};
use file::{check_mode, write_private};

use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::TlsTrust;

/// The contents of a configuration file. Keys that this crate does not name are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigFile {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contexts: Vec<ContextEntry>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    current_context: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    servers: Vec<ServerEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<UserEntry>,
    #[serde(flatten)]
    other: std::collections::BTreeMap<String, Value>,
}

/// A server with the login that a context stands for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    /// Name.
    pub name: String,
    /// Address of the server, with its root path.
    pub endpoint: Url,
    /// The token of the login; [`Credentials::Anonymous`] when there is none.
    pub credentials: Credentials,
    /// The authorities that the context names; none means those of the system.
    pub trust: Option<TlsTrust>,
    /// The refresh token of a login by single sign-on, for
    /// [`OidcLoginBuilder::resume`](crate::oidc::OidcLoginBuilder::resume).
    pub refresh_token: Option<SecretString>,
}

impl ConfigFile {
    /// Reads the text of a file.
    ///
    /// ```
    /// use argocd_client::config_file::ConfigFile;
    ///
    /// let file = ConfigFile::parse(
    ///     "current-context: argocd.example.com\n\
    ///      contexts: [{name: argocd.example.com, server: argocd.example.com, user: argocd.example.com}]\n\
    ///      servers: [{server: argocd.example.com, grpc-web-root-path: ''}]\n\
    ///      users: [{name: argocd.example.com, auth-token: eyJh.eyJz.c2ln}]\n",
    /// )?;
    ///
    /// assert_eq!(file.context(None)?.endpoint.as_str(), "https://argocd.example.com/");
    /// # Ok::<(), argocd_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) for a text that is not such a file.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(text).map_err(|error| {
            // The text of the error may quote a token.
            let place = error
                .location()
                .map(|place| format!(" at line {} column {}", place.line(), place.column()));
            failed(ErrorKind::Configuration).with_message(format!(
                "not a configuration file of argocd{}",
                place.unwrap_or_default()
            ))
        })
    }

    /// Reads a file. A file that other users may read is refused, as the command line refuses it.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) when it cannot be read; [`Configuration`](ErrorKind::Configuration) for
    /// its mode or content.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |error: std::io::Error| {
            failed(ErrorKind::Io)
                .with_target(path.display().to_string())
                .with_source(error)
        };
        let metadata = std::fs::metadata(path).map_err(io)?;
        check_mode(path, &metadata)?;
        Self::parse(&std::fs::read_to_string(path).map_err(io)?)
            .map_err(|error| error.with_target(path.display().to_string()))
    }

    /// Writes the file with mode 0600, and replaces an existing one at once.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let io = |error: std::io::Error| {
            failed(ErrorKind::Io)
                .with_target(path.display().to_string())
                .with_source(error)
        };
        let text = serde_yaml::to_string(self).map_err(|_| {
            failed(ErrorKind::InvalidInput)
                .with_message("the configuration cannot be written as YAML")
        })?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let temporary = path.with_file_name(name);
        let written =
            write_private(&temporary, &text).and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            // What was begun must not stay behind with a token in it.
            let _ = std::fs::remove_file(&temporary);
        }
        written.map_err(io)
    }

    /// The names of all contexts.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|context| context.name.as_str())
    }

    /// A context by its name, or the current one.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is none; [`Configuration`](ErrorKind::Configuration)
    /// for entries that are missing or cannot be read; [`Unsupported`](ErrorKind::Unsupported) for a
    /// context without certificate checks, or one that talks to Kubernetes directly.
    pub fn context(&self, name: Option<&str>) -> Result<Context> {
        let name = name.unwrap_or(&self.current_context);
        let missing =
            |kind, what: &str| failed(kind).with_target(name).with_message(what.to_owned());
        let context = self
            .contexts
            .iter()
            .find(|context| context.name == name)
            .ok_or_else(|| missing(ErrorKind::NotFound, "no such context"))?;
        let server = self
            .servers
            .iter()
            .find(|server| server.server == context.server)
            .ok_or_else(|| {
                missing(
                    ErrorKind::Configuration,
                    "the server of the context is missing",
                )
            })?;
        if server.core {
            return Err(missing(
                ErrorKind::Unsupported,
                "the context has no server: it talks to Kubernetes directly (core)",
            ));
        }
        if server.insecure && !server.plain_text {
            return Err(missing(
                ErrorKind::Unsupported,
                "the context does not check certificates (insecure); trust the certificate by its authority or fingerprint",
            ));
        }
        let user = self.users.iter().find(|user| user.name == context.user);
        let token = user.and_then(|user| user.auth_token.clone());
        Ok(Context {
            name: name.to_owned(),
            endpoint: server.endpoint()?,
            credentials: token.map_or(Credentials::Anonymous, Credentials::Token),
            trust: server.trust()?,
            refresh_token: user.and_then(|user| user.refresh_token.clone()),
        })
    }

    /// Adds or replaces a context with its server and token, and makes it the current one.
    ///
    /// `authority` is the PEM text of the authorities to trust; none means those of the system.
    pub fn set_context(
        &mut self,
        name: &str,
        endpoint: &Url,
        token: Option<SecretString>,
        refresh_token: Option<SecretString>,
        authority: Option<&str>,
    ) {
        let server = ServerEntry::of(endpoint, authority);
        let address = server.server.clone();
        replace(&mut self.servers, server, |entry| entry.server == address);
        let user = UserEntry {
            name: name.to_owned(),
            auth_token: token,
            refresh_token,
        };
        replace(&mut self.users, user, |entry| entry.name == name);
        let context = ContextEntry {
            name: name.to_owned(),
            server: address.clone(),
            user: name.to_owned(),
        };
        replace(&mut self.contexts, context, |entry| entry.name == name);
        name.clone_into(&mut self.current_context);
    }
}

fn replace<T>(entries: &mut Vec<T>, entry: T, same: impl Fn(&T) -> bool) {
    match entries.iter_mut().find(|known| same(known)) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

fn failed(kind: ErrorKind) -> Error {
    Error::new(kind, "read argocd configuration")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::endpoint::parse_endpoint;

    #[test]
    fn a_context_survives_writing_and_reading() {
        let endpoint = parse_endpoint("argocd.example.com:8443/cd").unwrap();
        let mut file = ConfigFile::parse("prompts-enabled: true\n").unwrap();
        file.set_context(
            "home",
            &endpoint,
            Some("eyJh.eyJz.c2ln".into()),
            Some("refresh".into()),
            None,
        );

        let again = ConfigFile::parse(&serde_yaml::to_string(&file).unwrap()).unwrap();
        let context = again.context(None).unwrap();

        assert_eq!(context.endpoint, endpoint);
        assert_eq!(context.refresh_token.unwrap().expose_secret(), "refresh");
        assert!(again.other.contains_key("prompts-enabled"));
        assert_eq!(again.contexts().collect::<Vec<_>>(), ["home"]);
        assert!(!format!("{again:?}").contains("c2ln"));
    }

    #[test]
    fn what_cannot_be_used_safely_is_refused() {
        let file = |server: &str| {
            ConfigFile::parse(&format!(
                "current-context: a\ncontexts: [{{name: a, server: h, user: a}}]\nservers: [{{server: h, {server}}}]\n"
            ))
            .unwrap()
        };
        let kind = |server: &str| file(server).context(None).unwrap_err().kind();

        assert_eq!(kind("insecure: true"), ErrorKind::Unsupported);
        assert_eq!(kind("core: true"), ErrorKind::Unsupported);
        assert_eq!(
            kind("certificate-authority-data: '???'"),
            ErrorKind::Configuration
        );
        assert_eq!(
            file("plain-text: true")
                .context(None)
                .unwrap()
                .endpoint
                .as_str(),
            "http://h/"
        );
        assert_eq!(
            file("x: y").context(Some("b")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            ConfigFile::parse("contexts: 5").unwrap_err().kind(),
            ErrorKind::Configuration
        );
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private_and_others_are_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::env::temp_dir().join(format!("argocd-client-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("config");

        ConfigFile::default().write(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        ConfigFile::read(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = ConfigFile::read(&path).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
