//! Missing privileges, with the commands that grant them.

use std::collections::BTreeMap;

use proxmox_client::access::{MissingPermission, Permissions};

use super::{Check, Finding};
use crate::error::Server;
use crate::run::context::Context;
use crate::steps::preflight::{Networks, requirements};

/// One finding for each path on which something is missing.
pub(super) async fn examine(context: &Context, networks: &Networks) -> Vec<Finding> {
    let client = &context.clients().proxmox;
    let permissions = match client.permissions().await {
        Ok(permissions) => permissions,
        Err(error) => return vec![Finding::of_call(Server::ProxmoxVe, error)],
    };
    let required = requirements(context, networks);
    // Nothing is granted by no permissions, so this is the whole list.
    let needed = by_path(Permissions::default().missing(&required));
    let missing = by_path(permissions.missing(&required));
    missing
        .into_iter()
        .map(|(path, privileges)| finding(&path, &privileges, &needed[&path]))
        .collect()
}

fn by_path(missing: Vec<MissingPermission>) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut paths: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for permission in missing {
        let listed = paths.entry(permission.path).or_default();
        if !listed.contains(&permission.privileges) {
            listed.push(permission.privileges);
        }
    }
    paths
}

fn finding(path: &str, missing: &[Vec<String>], needed: &[Vec<String>]) -> Finding {
    let names: Vec<String> = missing.iter().map(|any| any.join(" or ")).collect();
    let found = format!("the token lacks {} on {path}", names.join(", "));
    Finding::error(Check::Rights, found)
        .fix(
            "Grant the role to the token, and to its user unless the token has all rights of the user. Replace \
             USER@REALM!TOKEN by the token.",
        )
        .commands(grants(path, needed))
}

/// A role with everything that the path needs, because an entry on a path replaces what it inherits.
pub(super) fn grants(path: &str, needed: &[Vec<String>]) -> [String; 3] {
    let role = format!("Lungmen{}", path.replace('/', "-"));
    let privileges: Vec<&str> = needed
        .iter()
        .filter_map(|any| any.first().map(String::as_str))
        .collect();
    [
        format!("pveum role add {role} --privs '{}'", privileges.join(",")),
        format!("pveum acl modify {path} --roles {role} --users 'USER@REALM'"),
        format!("pveum acl modify {path} --roles {role} --tokens 'USER@REALM!TOKEN'"),
    ]
}
