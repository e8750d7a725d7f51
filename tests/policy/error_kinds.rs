//! The error kinds of all crates: one name means one thing, and the bootstrap maps every one of them.

use std::collections::BTreeMap;

use serde_json::json;

/// What is compared between crates for a kind.
struct Kind {
    owner: &'static str,
    /// In snake case, as it is serialised.
    name: String,
    /// The variant in the source.
    variant: String,
    text: String,
    is_retryable: bool,
    /// The name of the bootstrap's kind for it.
    mapped: String,
}

macro_rules! kinds {
    ($owner:literal, $($path:ident)::+) => {
        $($path)::+::ErrorKind::ALL.iter().map(|kind| {
            let error = $($path)::+::Error::new(*kind, "test");
            let is_retryable = error.is_retryable();
            Kind {
                owner: $owner,
                name: json!(kind).as_str().unwrap().to_owned(),
                variant: format!("{kind:?}"),
                text: kind.to_string(),
                is_retryable,
                mapped: json!(lungmen_bootstrap::Error::from(error).kind()).as_str().unwrap().to_owned(),
            }
        })
    };
}

/// The kinds of the clients and services.
fn of_clients() -> impl Iterator<Item = Kind> {
    kinds!("proxmox-client", proxmox_client)
        .chain(kinds!("talos-client", talos_client))
        .chain(kinds!("factory-client", factory_client))
        .chain(kinds!("argocd-client", argocd_client))
        .chain(kinds!("services", lungmen_bootstrap::services))
}

/// The names and texts of the bootstrap's own kinds.
fn of_bootstrap() -> BTreeMap<String, String> {
    lungmen_bootstrap::ErrorKind::ALL
        .iter()
        .map(|kind| (json!(kind).as_str().unwrap().to_owned(), kind.to_string()))
        .collect()
}

#[test]
fn the_bootstrap_has_a_kind_for_every_kind_of_every_client() {
    // Rejections that have a kind of their own at their client.
    let rejections = ["rejected", "redirected", "not_argo_cd", "sync_window"];
    let own = of_bootstrap();
    let wrong = of_clients().filter(|kind| {
        let is_mapped = kind.mapped != "rejected" || rejections.contains(&kind.name.as_str());
        // A value that a client cannot send comes from the specification.
        let is_spec = kind.mapped == "invalid_spec" && kind.name == "invalid_input";
        let is_own = kind.mapped == kind.name || is_spec || !own.contains_key(&kind.name);
        !is_mapped || !is_own
    });
    let wrong: Vec<_> = wrong
        .map(|kind| format!("{}: {} is mapped to {}", kind.owner, kind.name, kind.mapped))
        .collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_kind_has_one_text_in_all_crates() {
    let mut texts = of_bootstrap();
    let mut wrong = Vec::new();
    for kind in of_clients() {
        let text = texts
            .entry(kind.name.clone())
            .or_insert_with(|| kind.text.clone());
        if *text != kind.text || text.is_empty() || text.ends_with('.') {
            wrong.push(format!(
                "{}: {:?} instead of {text:?}",
                kind.owner, kind.text
            ));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_kind_is_retryable_in_all_crates_or_in_none() {
    // Proxmox VE responds with 500 to most requests that it rejects, so that only some texts of it are worth a repetition.
    let differs = ["server"];
    let mut retryable = BTreeMap::new();
    let mut wrong = Vec::new();
    for kind in of_clients().filter(|kind| !differs.contains(&kind.name.as_str())) {
        let known = *retryable
            .entry(kind.name.clone())
            .or_insert(kind.is_retryable);
        if known != kind.is_retryable {
            wrong.push(format!(
                "{}: {}: {}",
                kind.owner, kind.name, kind.is_retryable
            ));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn kinds_serialise_as_their_name_in_snake_case() {
    for kind in of_clients() {
        let mut name = String::new();
        for letter in kind.variant.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        assert_eq!(kind.name, name, "{}", kind.owner);
    }
}
