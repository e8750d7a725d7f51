//! The requests of all servers of a lab that change something.

use lungmen_bootstrap::mock::Lab;
use proxmox_client::id::VmId;
use talos_client::mock::Route;

/// Questions that are asked by POST: access reviews, capabilities, and what a set would generate.
const QUESTIONS: [&str; 4] = [
    "applicationsets/generate",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "sys/capabilities-self",
];

/// Methods of Talos that this project calls and that change something. A dry run has the first of them too, and is seen by
/// the configuration of the node.
const CHANGES: [Route; 4] = [
    Route::Bootstrap,
    Route::Reset,
    Route::Reboot,
    Route::Upgrade,
];

/// How many changing requests each server has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writes {
    requests: Vec<String>,
    configurations: Vec<String>,
}

impl Writes {
    pub(crate) fn of(lab: &Lab) -> Self {
        let mut requests = Vec::new();
        let mut note = |server: &str, method: &str, path: &str| {
            let reads = matches!(method, "GET" | "HEAD");
            if !reads && !QUESTIONS.iter().any(|question| path.contains(question)) {
                requests.push(format!("{server} {method} {path}"));
            }
        };
        for call in lab.proxmox().calls() {
            note("proxmox", call.method.as_str(), &call.path);
        }
        for call in lab.factory().calls() {
            note("factory", call.method.as_str(), &call.path);
        }
        for call in lab.argocd().calls() {
            note("argocd", call.method.as_str(), &call.path);
        }
        for call in lab.openbao().calls() {
            note("openbao", &call.method, &call.path);
        }
        for call in lab.kubernetes().iter().flat_map(|mock| mock.calls()) {
            note("kubernetes", &call.method, &call.path);
        }
        let mut configurations = Vec::new();
        for talos in ids(lab).filter_map(|id| lab.talos(id)) {
            let calls = talos.calls().into_iter();
            let changes =
                calls.filter(|call| call.route.is_some_and(|route| CHANGES.contains(&route)));
            requests.extend(changes.map(|call| format!("talos {}", call.path)));
            configurations.push(format!(
                "{:?}",
                talos.config().map(|config| {
                    use secrecy::ExposeSecret as _;
                    config.expose_secret().to_owned()
                })
            ));
        }
        Self {
            requests,
            configurations,
        }
    }
}

fn ids(lab: &Lab) -> impl Iterator<Item = VmId> {
    lab.proxmox().vm_ids().into_iter()
}
