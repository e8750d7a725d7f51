//! Everything a faked server knows: secrets, tokens, ways to log in.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use super::policy::Rule;
use super::record::Record;

/// Which answers the server gives at the moment.
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

/// Where a secret lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) mount: String,
    pub(super) path: String,
}

/// What a token may do.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) owner: String,
    pub(super) policies: Vec<String>,
    pub(super) root: bool,
    /// Whether a login made it.
    pub(super) session: bool,
}

/// One way to log in: the path and body that must match, and what the token may do.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) path: String,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) owner: String,
    pub(super) policies: Vec<String>,
    pub(super) refusal: (u16, &'static str),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mode: OpenBaoMode,
    pub(super) namespaces: BTreeSet<String>,
    /// Mounts and the version of their KV engine.
    pub(super) mounts: BTreeMap<String, u8>,
    pub(super) secrets: BTreeMap<Place, Record>,
    pub(super) policies: BTreeMap<String, Vec<Rule>>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) accounts: Vec<Account>,
    /// Counts writes; `Some` for servers on raft storage, which tell it to clients.
    pub(super) index: Option<u64>,
    /// How many reads with an index this node refuses because it lags behind.
    pub(super) lagging: u32,
    issued: u64,
}

impl State {
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
