//! Argo CD: the account, its rights, and whether name and address are free.

use argocd_client::Client;

use super::examination::Examined;
use super::{Check, Finding};
use crate::error::{ErrorKind, Server};
use crate::run::context::Context;
use crate::steps::register;

/// What a run does, as Argo CD names it: resource, action and object.
const RIGHTS: [(&str, &str, &str); 5] = [
    ("clusters", "get", "*"),
    ("clusters", "create", "*"),
    ("clusters", "update", "*"),
    ("applications", "get", "*/*"),
    ("applicationsets", "get", "*/*"),
];

pub(super) async fn examine(context: &Context) -> Examined {
    // A specification without Argo CD has nothing to examine.
    let Ok((client, target)) = register::argocd(context) else {
        return Examined::default();
    };
    let version = match client.version().await {
        Ok(version) => version,
        Err(error) => return Examined::failed(Finding::of_call(Server::ArgoCd, error)),
    };
    let mut examined = Examined {
        is: Some(format!("Argo CD {version}")),
        ..Examined::default()
    };
    let findings = &mut examined.findings;
    match client.user_info().await {
        Ok(account) if account.logged_in => {}
        Ok(_) => {
            findings.push(rejected());
            return examined;
        }
        Err(error) => {
            findings.push(Finding::of_call(Server::ArgoCd, error));
            return examined;
        }
    }
    findings.extend(rights(client).await);
    if let Err(error) = register::check_names(client, context, target).await {
        findings.push(match error.kind() {
            ErrorKind::Conflict => Finding::error(Check::Registration, error.cause_line())
                .at(Server::ArgoCd)
                .fix(error.hint()),
            _ => Finding::of_call(Server::ArgoCd, error),
        });
    }
    examined
}

fn rejected() -> Finding {
    Finding::error(Check::Credentials, "Argo CD does not accept the token")
        .at(Server::ArgoCd)
        .fix("Check that its account still exists, and create another token.")
        .commands(["argocd account generate-token --account ACCOUNT".to_owned()])
}

/// A policy may allow exactly the address of this cluster, which cannot be asked about: a missing right on everything is a
/// warning.
async fn rights(client: &Client) -> Vec<Finding> {
    let mut missing = Vec::new();
    for (resource, action, object) in RIGHTS {
        match client.can_i(resource, action, object).await {
            Ok(true) => {}
            Ok(false) => missing.push((resource, action, object)),
            Err(error) => return vec![Finding::of_call(Server::ArgoCd, error)],
        }
    }
    if missing.is_empty() {
        return Vec::new();
    }
    let names = missing.iter();
    let names: Vec<String> = names
        .map(|(resource, action, _)| format!("{action} {resource}"))
        .collect();
    let lines = missing.iter();
    let lines = lines.map(|(resource, action, object)| {
        format!("p, role:lungmen, {resource}, {action}, {object}, allow")
    });
    let found = format!(
        "the account may not {} everywhere; it must be allowed for this cluster at least",
        names.join(", ")
    );
    vec![
        Finding::warning(Check::Rights, found)
            .at(Server::ArgoCd)
            .fix("Unless a policy for this cluster alone allows it, add these lines to policy.csv in the ConfigMap argocd-rbac-cm:")
            .commands(lines),
    ]
}
