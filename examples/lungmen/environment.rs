//! What the environment says about the servers, and everything that it does not say, in one list.

use std::cell::RefCell;
use std::env;

use secrecy::SecretString;
use url::Url;

use crate::failure::{Failure, chain};

/// Reads the environment and collects what is missing or cannot be used, so that one run finds all of it.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    problems: RefCell<Vec<String>>,
    /// Servers that may be reached without TLS, by their names.
    without_tls: Vec<String>,
}

impl Environment {
    pub(crate) fn new(without_tls: &[String]) -> Self {
        Self {
            problems: RefCell::default(),
            without_tls: without_tls.to_vec(),
        }
    }

    /// Everything that was found, when something was.
    pub(crate) fn check(self) -> Result<(), Failure> {
        let problems = self.problems.into_inner();
        match problems.as_slice() {
            [] => Ok(()),
            [one] => Err(Failure::message(one)),
            several => Err(Failure::message(format!(
                "{} settings are missing or cannot be used:\n  - {}",
                several.len(),
                several.join("\n  - ")
            ))),
        }
    }

    pub(crate) fn problem(&self, text: impl Into<String>) {
        self.problems.borrow_mut().push(text.into());
    }

    /// The value, or a problem with the text of the error.
    pub(crate) fn valid<T, E: std::error::Error + 'static>(
        &self,
        what: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(format!("{what}: {}", chain(&error)));
                None
            }
        }
    }

    /// The address of a server: the environment wins over the specification, so that one file serves several places.
    pub(crate) fn address(
        &self,
        server: &str,
        field: &str,
        in_spec: Option<&str>,
        names: &[&str],
    ) -> Option<Url> {
        let Some(text) = variable(names).or_else(|| in_spec.map(str::to_owned)) else {
            self.problem(format!(
                "{server}: the address is missing: set {field} in the specification, or {}",
                names.join(" or ")
            ));
            return None;
        };
        let url = self.valid(
            &format!("{server}: the address is no URL"),
            Url::parse(&text),
        )?;
        self.allow(server, &url)?;
        Some(url)
    }

    /// Credentials cross a network in clear text only where somebody named the server.
    pub(crate) fn allow(&self, server: &str, url: &Url) -> Option<()> {
        if url.scheme() == "https" || self.without_tls.iter().any(|allowed| allowed == server) {
            return Some(());
        }
        self.problem(format!(
            "{server}: {}:// would send the credentials in clear text: use https, or --without-tls {server}",
            url.scheme()
        ));
        None
    }

    /// The secret in one of the variables, or in the file that `…_FILE` names.
    pub(crate) fn secret(&self, server: &str, names: &[&str]) -> Option<SecretString> {
        if let Some(secret) = variable(names) {
            return Some(secret.into());
        }
        let files: Vec<String> = names.iter().map(|name| format!("{name}_FILE")).collect();
        let as_texts: Vec<&str> = files.iter().map(String::as_str).collect();
        if let Some(file) = variable(&as_texts) {
            let text = self.valid(&format!("{server}: {file}"), std::fs::read_to_string(&file))?;
            return Some(text.trim_end().to_owned().into());
        }
        self.problem(format!(
            "{server}: the token is missing: set {}, or {} to a file with it",
            names.join(" or "),
            files.join(" or ")
        ));
        None
    }

    /// The content of the file that one of the variables names.
    pub(crate) fn file(&self, server: &str, names: &[&str]) -> Option<String> {
        let file = variable(names)?;
        self.valid(&format!("{server}: {file}"), std::fs::read_to_string(&file))
    }
}

/// The first of the variables that is set and not empty.
pub(crate) fn variable(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}
