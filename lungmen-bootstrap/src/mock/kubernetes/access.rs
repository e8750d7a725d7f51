//! Who a request comes from, and what that user may do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authority::Authority;
use super::resource::by_plural;
use super::store::{Key, Store, now};
use crate::mock::serve::IncomingRequest;

/// An authenticated user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

impl User {
    /// Whether the user is permitted everything without a binding.
    pub(super) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }
}

/// What a user wants to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) path: Option<&'a str>,
}

/// The ServiceAccount tokens this server issued, by token.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    state: Mutex<Issued>,
    /// Unknown outside this process, so that no token can be made up.
    secret: std::hash::RandomState,
}

#[derive(Debug, Default)]
struct Issued {
    tokens: BTreeMap<String, Owner>,
    /// The number of the key that signs now. Tokens of earlier ones are not accepted.
    key: u64,
}

/// Whose token it is, the Secret it lives in, if it does, and the key that signed it.
#[derive(Debug, Clone)]
struct Owner {
    namespace: String,
    account: String,
    secret: Option<String>,
    key: u64,
}

impl Tokens {
    /// A new token for a ServiceAccount, in the shape of a JWT.
    pub(super) fn issue(&self, namespace: &str, account: &str) -> String {
        let number = self.lock().tokens.len();
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/service-account.name": account,
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "jti": number,
        });
        self.sign(&claims, (namespace, account, None))
    }

    /// The token of a Secret. It has no time in it: a Secret that is created again for the same ServiceAccount holds the
    /// same token (measured on 1.36.3).
    pub(super) fn of_secret(
        &self,
        (namespace, account, uid): (&str, &str, &str),
        secret: &str,
    ) -> String {
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": account,
            "kubernetes.io/serviceaccount/service-account.uid": uid,
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
        });
        self.sign(&claims, (namespace, account, Some(secret)))
    }

    fn sign(
        &self,
        claims: &Value,
        (namespace, account, secret): (&str, &str, Option<&str>),
    ) -> String {
        let mut state = self.lock();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = format!(
            "{}.{}",
            part(&json!({"alg": "RS256", "kid": format!("mock-{}", state.key)})),
            part(claims)
        );
        let mut digest = Sha256::new();
        digest.update(&head);
        digest.update(std::hash::BuildHasher::hash_one(&self.secret, &head).to_be_bytes());
        let token = format!("{head}.{}", URL_SAFE_NO_PAD.encode(digest.finalize()));
        let owner = Owner {
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            secret: secret.map(str::to_owned),
            key: state.key,
        };
        state.tokens.insert(token.clone(), owner);
        token
    }

    /// Signs with a new key from now on; every token of before is refused.
    pub(super) fn replace_key(&self) {
        self.lock().key += 1;
    }

    fn owner(&self, token: &str) -> Option<Owner> {
        let state = self.lock();
        let owner = state.tokens.get(token)?;
        (owner.key == state.key).then(|| owner.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Issued> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user of a request; `None` for anonymous and unknown ones, which a Talos API server refuses with 401.
pub(super) fn authenticate(
    request: &IncomingRequest,
    authority: &Authority,
    (tokens, store): (&Tokens, &Store),
) -> Option<User> {
    if let Some((name, groups)) = authority.identify(&request.certificates) {
        return Some(User { name, groups });
    }
    let token = request.header("authorization")?.strip_prefix("Bearer ")?;
    user_of_token(token, (tokens, store))
}

/// The ServiceAccount of a token that was issued here and is still valid.
pub(super) fn user_of_token(token: &str, (tokens, store): (&Tokens, &Store)) -> Option<User> {
    let Owner {
        namespace,
        account,
        secret,
        ..
    } = tokens.owner(token)?;
    // A token is valid while its ServiceAccount exists, and while the Secret that it was issued for contains it.
    let exists = |plural, name: &str| {
        let key = Key::new(by_plural(plural)?, &namespace, name);
        store.get(&key)
    };
    exists("serviceaccounts", &account)?;
    if let Some(secret) = &secret {
        let secret = exists("secrets", secret)?;
        if secret["data"]["token"] != STANDARD.encode(token).as_str() {
            return None;
        }
    }
    Some(User {
        name: format!("system:serviceaccount:{namespace}:{account}"),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
    })
}

/// Labels the Secret of a token with the day of its last use, as the server does once a day.
pub(super) fn note_use(request: &IncomingRequest, (tokens, store): (&Tokens, &Store)) {
    const LABEL: &str = "kubernetes.io/legacy-token-last-used";
    let token = request
        .header("authorization")
        .and_then(|header| header.strip_prefix("Bearer "));
    let Some((owner, secrets)) = token
        .and_then(|token| tokens.owner(token))
        .zip(by_plural("secrets"))
    else {
        return;
    };
    let Some(name) = &owner.secret else {
        return;
    };
    let _one_at_a_time = store.exclusive();
    let key = Key::new(secrets, &owner.namespace, name);
    let today = now().chars().take(10).collect::<String>();
    if let Some(mut secret) = store.get(&key)
        && secret["metadata"]["labels"][LABEL] != today.as_str()
    {
        secret["metadata"]["labels"][LABEL] = today.into();
        store.put(&key, secret);
    }
}

/// Whether `user` may do this: `system:masters` everything, others what ClusterRoleBindings grant.
pub(super) fn allowed(user: &User, wanted: &Attributes<'_>, store: &Store) -> bool {
    if user.is_master() {
        return true;
    }
    // The role system:public-info-viewer, bound to every authenticated user.
    if let Some("/version" | "/readyz" | "/livez" | "/healthz") = wanted.path {
        return true;
    }
    // The role system:discovery.
    if wanted.verb == "get" && wanted.path.is_some_and(is_discovery) {
        return true;
    }
    // The role system:basic-user: everybody may ask what they may do.
    if matches!(
        wanted.resource,
        "selfsubjectaccessreviews" | "selfsubjectrulesreviews" | "selfsubjectreviews"
    ) {
        return true;
    }
    grant(user, wanted, store).is_some()
}

fn is_discovery(path: &str) -> bool {
    ["/api", "/apis"]
        .iter()
        .any(|root| path == *root || path.starts_with(&format!("{root}/")))
}

/// The binding that permits this, in the words of the API server.
pub(super) fn grant(user: &User, wanted: &Attributes<'_>, store: &Store) -> Option<String> {
    granted_rules(user, store)
        .into_iter()
        .find(|(_, rule)| permits(rule, wanted))
        .map(|(reason, _)| reason)
}

pub(super) fn granted_rules(user: &User, store: &Store) -> Vec<(String, Value)> {
    let list = |plural| by_plural(plural).map(|resource| store.list(resource, None).1);
    let bindings = list("clusterrolebindings").unwrap_or_default();
    let roles = list("clusterroles").unwrap_or_default();
    let mut found = Vec::new();
    for binding in &bindings {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let Some(subject) = subjects.into_iter().find(|subject| names(subject, user)) else {
            continue;
        };
        let role = &binding["roleRef"]["name"];
        let role = roles.iter().find(|one| one["metadata"]["name"] == *role);
        let rules = role.and_then(|role| role["rules"].as_array());
        let reason = reason(binding, subject);
        found.extend(
            rules
                .into_iter()
                .flatten()
                .map(|rule| (reason.clone(), rule.clone())),
        );
    }
    found
}

fn reason(binding: &Value, subject: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = match text(&subject["namespace"]).as_str() {
        "" => text(&subject["name"]),
        namespace => format!("{}/{namespace}", text(&subject["name"])),
    };
    format!(
        "RBAC: allowed by ClusterRoleBinding \"{}\" of ClusterRole \"{}\" to {} \"{name}\"",
        text(&binding["metadata"]["name"]),
        text(&binding["roleRef"]["name"]),
        text(&subject["kind"])
    )
}

fn names(subject: &Value, user: &User) -> bool {
    let text = |key: &str| subject[key].as_str().unwrap_or_default();
    match text("kind") {
        "ServiceAccount" => {
            user.name
                == format!(
                    "system:serviceaccount:{}:{}",
                    text("namespace"),
                    text("name")
                )
        }
        "User" => user.name == text("name"),
        "Group" => user.groups.iter().any(|group| group == text("name")),
        _ => false,
    }
}

fn permits(rule: &Value, wanted: &Attributes<'_>) -> bool {
    let lists = |key: &str, value: &str| {
        let listed = rule[key].as_array();
        listed
            .into_iter()
            .flatten()
            .any(|entry| entry == "*" || entry == value)
    };
    let target = match wanted.path {
        Some(path) => lists("nonResourceURLs", path),
        None => lists("apiGroups", wanted.group) && lists("resources", wanted.resource),
    };
    lists("verbs", wanted.verb) && target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wildcard_rule_permits_everything() {
        let everything = Attributes {
            verb: "*",
            group: "*",
            resource: "*",
            path: None,
        };
        let reading = Attributes {
            verb: "list",
            group: "",
            resource: "nodes",
            path: None,
        };
        let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
        let some = json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]});

        assert!(permits(&all, &everything) && permits(&all, &reading));
        assert!(permits(&some, &reading) && !permits(&some, &everything));
    }

    #[test]
    fn every_token_is_different_but_that_of_a_secret_is_the_same_again() {
        let tokens = Tokens::default();
        let of_secret = |uid| tokens.of_secret(("a", "b", uid), "c");

        assert_ne!(tokens.issue("a", "b"), tokens.issue("a", "b"));
        assert_eq!(of_secret("1"), of_secret("1"));
        assert_ne!(of_secret("1"), of_secret("2"));
        assert!(tokens.owner("x").is_none());
    }

    #[test]
    fn a_new_signing_key_makes_other_tokens_and_refuses_the_old_ones() {
        let tokens = Tokens::default();
        let old = tokens.of_secret(("a", "b", "1"), "c");

        tokens.replace_key();

        assert!(tokens.owner(&old).is_none());
        assert_ne!(tokens.of_secret(("a", "b", "1"), "c"), old);
    }
}
