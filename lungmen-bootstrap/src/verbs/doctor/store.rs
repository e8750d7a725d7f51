//! The secret store: rights, state, and whose record it has.

use super::examination::Examined;
use super::{Check, Finding};
use crate::error::{Error, ErrorKind, Server};
use crate::run::context::Context;
use crate::services;
use crate::state::claim;
use crate::state::record::ClusterRecord;
use crate::steps::claim as step;

/// What is known about the record of the cluster.
pub(super) enum Claim {
    Recorded(Box<ClusterRecord>),
    New,
    Unknown,
}

pub(super) async fn examine(context: &Context, claim: &mut Claim) -> Examined {
    let store = context.store().as_ref();
    if let Err(error) = store.preflight().await {
        return Examined::failed(refused(error));
    }
    let mut examined = Examined {
        is: Some(store.describe()),
        ..Examined::default()
    };
    match claim::find(store, &context.wanted()).await {
        Ok(None) => *claim = Claim::New,
        Ok(Some(claimed)) => {
            let found = step::compare_file(context, &claimed.record);
            examined.findings.extend(found.err().map(another));
            for diff in &claimed.diffs {
                let text = format!(
                    "the {} of the specification is {}, the cluster was created with {}",
                    diff.path, diff.to, diff.from
                );
                examined.findings.push(
                    Finding::warning(Check::Record, text)
                        .at(Server::SecretStore)
                        .fix(
                            "Restore the field; a new version is installed with talosctl upgrade.",
                        ),
                );
            }
            *claim = Claim::Recorded(Box::new(claimed.record));
        }
        Err(error) => examined.findings.push(another(error)),
    }
    examined
}

fn refused(error: services::Error) -> Finding {
    match error.kind() {
        services::ErrorKind::NoSuchMount => Finding::error(Check::Mount, error.to_string())
            .at(Server::SecretStore)
            .fix("Enable a KV engine of version 2 at another mount, and set openbao.mount to it.")
            .commands(["bao secrets enable -path MOUNT -version=2 kv".to_owned()]),
        services::ErrorKind::Forbidden => Finding::of_call(Server::SecretStore, error).fix(
            "Give the token a policy with create, read and update on the secret and on its lease (the page about OpenBao \
             has it), or correct openbao.mount and openbao.path.",
        ),
        _ => Finding::of_call(Server::SecretStore, error),
    }
}

/// A record that is not that of this cluster.
fn another(error: Error) -> Finding {
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Decode | ErrorKind::SecretsLost => {
            Finding::error(Check::Record, error.cause_line())
                .at(Server::SecretStore)
                .fix(error.hint())
        }
        _ => Finding::of_call(Server::SecretStore, error),
    }
}
