//! What the command line, the environment and files say about the servers, and everything that they do not say, in one list.

use std::cell::RefCell;
use std::env;

use secrecy::SecretString;
use url::Url;

use crate::arguments::Servers;
use crate::failure::{Failure, chain};

/// How a server is called on the command line, in the specification and in the environment.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) server: &'static str,
    field: &'static str,
    address: &'static [&'static str],
    token: &'static [&'static str],
    authority: &'static [&'static str],
    fingerprint: &'static str,
}

pub(crate) const PROXMOX: Names = Names {
    server: "proxmox",
    field: "proxmox.endpoint",
    address: &["PROXMOX_VE_ENDPOINT"],
    token: &["PROXMOX_VE_API_TOKEN"],
    authority: &["PROXMOX_VE_CACERT"],
    fingerprint: "PROXMOX_VE_FINGERPRINT",
};

/// The Image Factory needs no token.
pub(crate) const FACTORY: Names = Names {
    server: "factory",
    field: "talos.factory",
    address: &["IMAGE_FACTORY_ENDPOINT"],
    token: &[],
    authority: &["IMAGE_FACTORY_CACERT"],
    fingerprint: "IMAGE_FACTORY_FINGERPRINT",
};

pub(crate) const OPENBAO: Names = Names {
    server: "openbao",
    field: "openbao.address",
    address: &["BAO_ADDR", "VAULT_ADDR"],
    token: &["BAO_TOKEN", "VAULT_TOKEN"],
    authority: &["BAO_CACERT", "VAULT_CACERT"],
    fingerprint: "BAO_FINGERPRINT",
};

pub(crate) const ARGOCD: Names = Names {
    server: "argocd",
    field: "argocd.server",
    address: &["ARGOCD_SERVER"],
    token: &["ARGOCD_AUTH_TOKEN"],
    authority: &["ARGOCD_CACERT", "ARGOCD_SERVER_CRT"],
    fingerprint: "ARGOCD_FINGERPRINT",
};

const ALL: [&Names; 4] = [&PROXMOX, &FACTORY, &OPENBAO, &ARGOCD];

impl Names {
    /// The variable that pins the certificate of the server.
    pub(crate) fn pin(&self) -> &'static str {
        self.fingerprint
    }

    /// The variables with the name of a file that has the token.
    fn token_files(&self) -> Vec<String> {
        let names = self.token.iter();
        names.map(|name| format!("{name}_FILE")).collect()
    }
}

/// The names of the servers.
pub(crate) fn servers() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|names| names.server)
}

/// The part of the help about the servers.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Servers of --live. A flag wins over the environment, which wins over the specification:\n",
    );
    for names in ALL {
        let mut line = |first: &str, flag: &str, variables: &[String]| {
            let variables = variables.join(" or ");
            text.push_str(&format!("  {first:<9}{flag:<15}{variables}\n"));
        };
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        line(names.server, "--address", &owned(names.address));
        if !names.token.is_empty() {
            line("", "", &owned(names.token));
            line("", "--token-file", &names.token_files());
        }
        line("", "--ca-file", &owned(names.authority));
        line("", "--fingerprint", &owned(&[names.fingerprint]));
    }
    text
}

/// Collects what is missing or cannot be used, so that one run finds all of it.
#[derive(Debug)]
pub(crate) struct Environment<'a> {
    problems: RefCell<Vec<String>>,
    flags: &'a Servers,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(flags: &'a Servers) -> Self {
        Self {
            problems: RefCell::default(),
            flags,
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

    fn problem(&self, text: impl Into<String>) {
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

    /// The address of a server: one file of a specification serves several places.
    pub(crate) fn address(&self, names: &Names, in_spec: Option<&str>) -> Option<String> {
        let given = Servers::of(&self.flags.address, names.server);
        let found = given
            .or_else(|| variable(names.address))
            .or_else(|| in_spec.map(str::to_owned));
        if found.is_none() {
            let Names { server, field, .. } = names;
            self.problem(format!(
                "{server}: the address is missing: set {field} in the specification, {}, or --address {server}=URL",
                names.address.join(" or ")
            ));
        }
        found
    }

    /// The same as a URL that may be used.
    pub(crate) fn url(&self, names: &Names, in_spec: Option<&Url>) -> Option<Url> {
        let text = self.address(names, in_spec.map(Url::as_str))?;
        let what = format!("{}: the address is no URL", names.server);
        let url = self.valid(&what, Url::parse(&text))?;
        self.allowed(names, url)
    }

    /// Credentials cross a network in clear text, and images are taken from whoever answers, only where somebody named the
    /// server.
    pub(crate) fn allowed(&self, names: &Names, url: Url) -> Option<Url> {
        if url.scheme() == "https" || self.is_without_tls(names) {
            return Some(url);
        }
        let Names { server, .. } = names;
        self.problem(format!(
            "{server}: {}:// proves nobody's identity and hides nothing: use https, or --without-tls {server}",
            url.scheme()
        ));
        None
    }

    pub(crate) fn is_without_tls(&self, names: &Names) -> bool {
        let mut allowed = self.flags.without_tls.iter();
        allowed.any(|server| server == names.server)
    }

    /// The token, or what is in the file that has it.
    pub(crate) fn token(&self, names: &Names) -> Option<SecretString> {
        let Names { server, token, .. } = names;
        let files = names.token_files();
        let as_texts: Vec<&str> = files.iter().map(String::as_str).collect();
        let given = Servers::of(&self.flags.token_file, server);
        if given.is_none()
            && let Some(token) = variable(token)
        {
            return Some(token.into());
        }
        match given.or_else(|| variable(&as_texts)) {
            Some(file) => {
                let text = self.read(names, &file)?;
                Some(text.trim_end().to_owned().into())
            }
            None => {
                self.problem(format!(
                    "{server}: the token is missing: set {}, or name a file with it in {} or --token-file {server}=FILE",
                    token.join(" or "),
                    files.join(" or ")
                ));
                None
            }
        }
    }

    /// The certificate authority of the server.
    pub(crate) fn authority(&self, names: &Names) -> Option<String> {
        let given = Servers::of(&self.flags.ca_file, names.server);
        self.read(names, &given.or_else(|| variable(names.authority))?)
    }

    /// The fingerprint of the certificate of the server.
    pub(crate) fn fingerprint(&self, names: &Names) -> Option<String> {
        let given = Servers::of(&self.flags.fingerprint, names.server);
        given.or_else(|| variable(&[names.fingerprint]))
    }

    fn read(&self, names: &Names, file: &str) -> Option<String> {
        let what = format!("{}: '{file}'", names.server);
        self.valid(&what, std::fs::read_to_string(file))
    }
}

/// The first of the variables that is set and not empty.
pub(crate) fn variable(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}
