//! The state of the server: secrets, tokens, login methods.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use super::OpenBaoEvent;
use super::policy::Rule;
use super::record::SecretRecord;
use crate::mock::serve::Events;

/// The state of the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenBaoMode {
    /// Initialised, unsealed, active.
    #[default]
    Active,
    /// A standby that forwards writes.
    Standby,
    /// A standby of a cluster without an active node: reads work, writes fail.
    NoActiveNode,
    /// Sealed.
    Sealed,
    /// Not initialised.
    Uninitialized,
}

/// Namespace, mount and path of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretPath {
    pub(super) namespace: String,
    pub(super) mount: String,
    pub(super) path: String,
}

/// A token and its policies.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) owner: String,
    pub(super) policies: Vec<String>,
    pub(super) root: bool,
    /// Whether a login created it.
    pub(super) session: bool,
}

/// A login method: the path and body that must match, and the policies of the token.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) path: String,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) owner: String,
    pub(super) policies: Vec<String>,
    pub(super) rejection: (u16, &'static str),
}

#[derive(Debug, Default)]
pub(super) struct OpenBaoState {
    pub(super) mode: OpenBaoMode,
    pub(super) namespaces: BTreeSet<String>,
    /// Mounts and the version of their KV engine.
    pub(super) mounts: BTreeMap<String, u8>,
    pub(super) secrets: BTreeMap<SecretPath, SecretRecord>,
    pub(super) policies: BTreeMap<String, Vec<Rule>>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) accounts: Vec<Account>,
    /// Counts writes; `Some` for raft storage, where clients get it.
    pub(super) index: Option<u64>,
    /// How many reads are stale because this node lags behind.
    pub(super) lagging: u32,
    pub(super) events: Events<OpenBaoEvent>,
    issued: u64,
}

impl OpenBaoState {
    pub(super) fn issue(&mut self, owner: &str, policies: &[String]) -> String {
        self.issued += 1;
        let random = RandomState::new();
        let part = |salt: u64| format!("{:016x}", random.hash_one((self.issued, salt)));
        let text = format!("s.{}{}", part(1), &part(2)[..8]);
        let token = Token {
            owner: owner.to_owned(),
            policies: policies.to_vec(),
            root: false,
            session: true,
        };
        self.tokens.insert(text.clone(), token);
        self.events.emit(OpenBaoEvent::LoggedIn {
            owner: owner.to_owned(),
        });
        text
    }

    pub(super) fn rules(&self, token: &Token) -> Vec<Rule> {
        let named = token
            .policies
            .iter()
            .filter_map(|name| self.policies.get(name));
        let mut rules = super::policy::default_rules();
        rules.extend(named.flatten().cloned());
        rules
    }

    /// The mount a path belongs to, and the rest of the path.
    pub(super) fn mount_of<'a>(&self, path: &'a str) -> Option<(String, &'a str)> {
        self.mounts
            .keys()
            .filter_map(|mount| {
                let rest = path.strip_prefix(mount.as_str())?.strip_prefix('/')?;
                Some((mount.clone(), rest))
            })
            .max_by_key(|(mount, _)| mount.len())
    }
}
