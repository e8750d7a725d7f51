//! Users, tokens, roles and access control entries that were made through the API.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::auth::Acl;
use super::check::Release;
use super::handler::Context;
use super::privileges::built_in_roles;
use super::reply::{Refusal, Reply};
use super::state::State;
use crate::wire::split_list;

/// What calls of this area have stored.
#[derive(Debug, Default)]
pub(super) struct Directory {
    users: BTreeMap<String, BTreeMap<String, String>>,
    tokens: BTreeMap<String, Token>,
    roles: BTreeMap<String, Vec<String>>,
    entries: Vec<Entry>,
    release: Option<Release>,
}

#[derive(Debug)]
struct Token {
    secret: String,
    options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    kind: &'static str,
    subject: String,
    role: String,
    propagate: bool,
}

impl Directory {
    pub(super) fn new(release: Release) -> Self {
        Self {
            release: Some(release),
            ..Self::default()
        }
    }

    fn release(&self) -> Release {
        self.release.unwrap_or(Release::Nine)
    }

    fn privileges_of(&self, role: &str) -> Option<Vec<String>> {
        let own = self.roles.get(role).cloned();
        own.or_else(|| {
            let built_in = built_in_roles(self.release());
            let (_, privileges) = built_in.into_iter().find(|(name, _)| *name == role)?;
            Some(privileges.into_iter().map(str::to_owned).collect())
        })
    }

    /// The rights by the entries of a user or token. `root@pam` is an administrator everywhere without any
    /// (`PVE::AccessControl::roles`).
    fn acl_of(&self, subject: &str) -> Acl {
        if subject == "root@pam" {
            return Acl::administrator();
        }
        let mine: Vec<(&str, Vec<String>, bool)> = self
            .entries
            .iter()
            .filter(|entry| entry.subject == subject)
            .filter_map(|entry| {
                Some((
                    entry.path.as_str(),
                    self.privileges_of(&entry.role)?,
                    entry.propagate,
                ))
            })
            .collect();
        Acl::from_entries(
            mine.iter()
                .map(|(path, privileges, propagate)| (*path, privileges.as_slice(), *propagate)),
        )
    }

    /// The rights of a token that was made through the API, when the secret is the right one.
    pub(super) fn token_acl(&self, id: &str, secret: &str) -> Option<Acl> {
        let token = self.tokens.get(id).filter(|token| token.secret == secret)?;
        let (user, _) = id.split_once('!')?;
        let of_user = self.acl_of(user);
        match token.options.get("privsep").map(String::as_str) {
            Some("0") => Some(of_user),
            _ => Some(of_user.intersection(&self.acl_of(id))),
        }
    }
}

pub(super) fn realms() -> Value {
    json!([
        { "realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication" },
        { "realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server" },
    ])
}

fn known_users(state: &State) -> Vec<String> {
    let of_tokens = state
        .accounts
        .tokens
        .keys()
        .map(|id| id.split('!').next().unwrap_or_default());
    let of_accounts = state.accounts.users.keys().map(String::as_str);
    let created = state.directory.users.keys().map(String::as_str);
    let mut users: Vec<String> = of_tokens
        .chain(of_accounts)
        .chain(created)
        .chain(["root@pam"])
        .map(str::to_owned)
        .collect();
    users.sort();
    users.dedup();
    users
}

pub(super) fn users(state: &State) -> Value {
    let users = known_users(state).into_iter().map(|id| {
        let realm = id.rsplit('@').next().unwrap_or_default().to_owned();
        let mut item = json!({ "userid": id, "enable": 1, "expire": 0, "realm-type": realm });
        let options = state.directory.users.get(&id);
        for (name, value) in options.into_iter().flatten() {
            item[name.as_str()] = number_or_text(value);
        }
        item
    });
    users.collect()
}

fn number_or_text(value: &str) -> Value {
    value
        .parse::<u64>()
        .map_or_else(|_| value.into(), Value::from)
}

fn options(context: &Context<'_>, names: &[&str]) -> BTreeMap<String, String> {
    let given = context
        .params
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()));
    given.cloned().collect()
}

const USER_OPTIONS: &[&str] = &[
    "comment",
    "email",
    "enable",
    "expire",
    "firstname",
    "groups",
    "lastname",
];

pub(super) fn create_user(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("userid").to_owned();
    if known_users(state).contains(&id) {
        return Err(Refusal::died(format!(
            "create user failed: user '{id}' already exists"
        )));
    }
    state
        .directory
        .users
        .insert(id, options(context, USER_OPTIONS));
    Ok(Value::Null)
}

pub(super) fn update_user(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("userid").to_owned();
    if !known_users(state).contains(&id) {
        return Err(Refusal::died(format!(
            "update user failed: no such user ('{id}')"
        )));
    }
    let changes = options(context, USER_OPTIONS);
    state.directory.users.entry(id).or_default().extend(changes);
    Ok(Value::Null)
}

pub(super) fn delete_user(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("userid");
    if !known_users(state).iter().any(|known| known == id) {
        return Err(Refusal::died(format!(
            "delete user failed: no such user ('{id}')"
        )));
    }
    state.accounts.users.remove(id);
    state.directory.users.remove(id);
    let of_user = format!("{id}!");
    state
        .directory
        .tokens
        .retain(|token, _| !token.starts_with(&of_user));
    state
        .directory
        .entries
        .retain(|entry| entry.subject != id && !entry.subject.starts_with(&of_user));
    Ok(Value::Null)
}

fn token_id(context: &Context<'_>) -> String {
    format!("{}!{}", context.param("userid"), context.param("tokenid"))
}

const TOKEN_OPTIONS: &[&str] = &["comment", "expire", "privsep"];

pub(super) fn tokens(context: &Context<'_>, state: &State) -> Reply {
    let user = context.param("userid");
    let prefix = format!("{user}!");
    let items = state.directory.tokens.iter().filter_map(|(id, token)| {
        let name = id.strip_prefix(&prefix)?;
        let mut item = json!({ "tokenid": name, "privsep": 1, "expire": 0 });
        for (name, value) in &token.options {
            item[name.as_str()] = number_or_text(value);
        }
        Some(item)
    });
    Ok(items.collect())
}

pub(super) fn create_token(context: &Context<'_>, state: &mut State) -> Reply {
    let id = token_id(context);
    let exists =
        state.directory.tokens.contains_key(&id) || state.accounts.tokens.contains_key(&id);
    if exists {
        return Err(Refusal::parameter("tokenid", "Token already exists."));
    }
    if !known_users(state)
        .iter()
        .any(|user| user == context.param("userid"))
    {
        let user = context.param("userid");
        return Err(Refusal::died(format!("no such user ('{user}')")));
    }
    let number = state.directory.tokens.len() + 1;
    let secret = format!("44444444-4444-4444-4444-{number:012}");
    let mut options = options(context, TOKEN_OPTIONS);
    options
        .entry("privsep".to_owned())
        .or_insert_with(|| "1".to_owned());
    let answer = json!({ "full-tokenid": id, "info": options, "value": secret });
    state.directory.tokens.insert(id, Token { secret, options });
    Ok(answer)
}

fn missing_token(context: &Context<'_>) -> Refusal {
    let (user, name) = (context.param("userid"), context.param("tokenid"));
    Refusal::died(format!("no such token '{name}' for user '{user}'"))
}

pub(super) fn update_token(context: &Context<'_>, state: &mut State) -> Reply {
    let changes = options(context, TOKEN_OPTIONS);
    let token = state.directory.tokens.get_mut(&token_id(context));
    let token = token.ok_or_else(|| missing_token(context))?;
    token.options.extend(changes);
    Ok(json!(token.options))
}

pub(super) fn delete_token(context: &Context<'_>, state: &mut State) -> Reply {
    let id = token_id(context);
    let created = state.directory.tokens.remove(&id).is_some();
    if !created && state.accounts.tokens.remove(&id).is_none() {
        return Err(missing_token(context));
    }
    state.directory.entries.retain(|entry| entry.subject != id);
    Ok(Value::Null)
}

pub(super) fn roles(state: &State) -> Value {
    let built_in = built_in_roles(state.directory.release());
    let built_in = built_in.into_iter().map(
        |(id, privileges)| json!({ "roleid": id, "privs": privileges.join(","), "special": 1 }),
    );
    let own = state.directory.roles.iter().map(
        |(id, privileges)| json!({ "roleid": id, "privs": privileges.join(","), "special": 0 }),
    );
    built_in.chain(own).collect()
}

pub(super) fn role(context: &Context<'_>, state: &State) -> Reply {
    let id = context.param("roleid");
    let privileges = state.directory.privileges_of(id);
    let privileges =
        privileges.ok_or_else(|| Refusal::died(format!("role '{id}' does not exist")))?;
    let held: BTreeMap<String, u8> = privileges.into_iter().map(|name| (name, 1)).collect();
    Ok(json!(held))
}

fn privileges(context: &Context<'_>) -> Vec<String> {
    let list = context.optional("privs").unwrap_or_default();
    split_list(list).map(str::to_owned).collect()
}

pub(super) fn create_role(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("roleid").to_owned();
    if state.directory.privileges_of(&id).is_some() {
        return Err(Refusal::died(format!(
            "create role failed: role '{id}' already exists"
        )));
    }
    state.directory.roles.insert(id, privileges(context));
    Ok(Value::Null)
}

pub(super) fn update_role(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("roleid");
    let Some(role) = state.directory.roles.get_mut(id) else {
        return Err(Refusal::died(format!(
            "update role failed: role '{id}' does not exist"
        )));
    };
    let given = privileges(context);
    if context.optional("append") == Some("1") {
        role.extend(given);
    } else {
        *role = given;
    }
    Ok(Value::Null)
}

pub(super) fn delete_role(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.param("roleid");
    if state.directory.roles.remove(id).is_none() {
        return Err(Refusal::died(format!(
            "delete role failed: role '{id}' does not exist"
        )));
    }
    state.directory.entries.retain(|entry| entry.role != id);
    Ok(Value::Null)
}

pub(super) fn acl(state: &State) -> Value {
    let root = Entry {
        path: "/".to_owned(),
        kind: "user",
        subject: "root@pam".to_owned(),
        role: "Administrator".to_owned(),
        propagate: true,
    };
    let all = std::iter::once(&root)
        .chain(&state.directory.entries)
        .map(|entry| {
            json!({
                "path": entry.path, "type": entry.kind, "ugid": entry.subject, "roleid": entry.role,
                "propagate": u8::from(entry.propagate),
            })
        });
    all.collect()
}

/// Paths that an entry can be about.
fn is_acl_path(path: &str) -> bool {
    let first = path.trim_matches('/').split('/').next().unwrap_or_default();
    path.starts_with('/')
        && matches!(
            first,
            "" | "access" | "mapping" | "nodes" | "pool" | "sdn" | "storage" | "vms"
        )
}

pub(super) fn update_acl(context: &Context<'_>, state: &mut State) -> Reply {
    let path = context.param("path").to_owned();
    if !is_acl_path(&path) {
        return Err(Refusal::parameter(
            "path",
            format!("invalid ACL path '{path}'"),
        ));
    }
    let delete = context.optional("delete") == Some("1");
    let propagate = context.optional("propagate") != Some("0");
    for role in split_list(context.param("roles")) {
        if state.directory.privileges_of(role).is_none() {
            return Err(Refusal::died(format!(
                "ACL update failed: role '{role}' does not exist"
            )));
        }
        for (parameter, kind) in [("users", "user"), ("tokens", "token"), ("groups", "group")] {
            for subject in split_list(context.optional(parameter).unwrap_or_default()) {
                let entry = Entry {
                    path: path.clone(),
                    kind,
                    subject: subject.to_owned(),
                    role: role.to_owned(),
                    propagate,
                };
                let entries = &mut state.directory.entries;
                entries.retain(|known| {
                    (&known.path, &known.subject, &known.role)
                        != (&entry.path, &entry.subject, &entry.role)
                });
                if !delete {
                    entries.push(entry);
                }
            }
        }
    }
    Ok(Value::Null)
}
