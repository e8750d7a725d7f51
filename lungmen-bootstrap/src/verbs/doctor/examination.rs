//! The order of an examination: the servers side by side, then what needs more than one of them.

use std::time::Duration;

use futures_util::future::join_all;
use proxmox_client::id::NodeName;
use url::Url;

use super::{Check, Diagnosis, Finding, ServerAnswer};
use super::{argocd, factory, network, nodes, proxmox, store};
use crate::desired::DesiredMachine;
use crate::error::Server;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::services::presented_fingerprint;

/// How long the checks of one server may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a single observation may wait for a server.
const WAIT: Duration = Duration::from_secs(5);

/// What the checks of one server gave.
#[derive(Debug, Default)]
pub(super) struct Examined {
    pub(super) is: Option<String>,
    pub(super) findings: Vec<Finding>,
    /// Nodes of Proxmox VE about which nothing can be asked.
    pub(super) absent: Vec<NodeName>,
}

impl Examined {
    /// A server that could not be asked.
    pub(super) fn failed(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
            ..Self::default()
        }
    }
}

impl ClusterBootstrap {
    /// Makes every check of every server that a run needs, all servers side by side, and reports everything that it finds.
    /// It only reads, takes no lease, and may be repeated at any time.
    ///
    /// A server that is away is a finding; the others are examined all the same. The checks of one server end after 20 s.
    /// Nothing is asked of the Image Factory about a schematic, because it remembers for a while that it does not know one.
    ///
    /// This call has no error: what it cannot find out is a finding.
    pub async fn doctor(&self) -> Diagnosis {
        let context = self.context().with_deadlines_up_to(WAIT);
        // Boxed, because the future of all checks is larger than a caller expects on the stack.
        Box::pin(examine(&context)).await
    }
}

async fn examine(context: &Context) -> Diagnosis {
    let claim = async {
        let mut claim = store::Claim::Unknown;
        let examined = within(Server::SecretStore, store::examine(context, &mut claim)).await;
        (examined, claim)
    };
    let (proxmox, factory, (store, claim), argocd, mut findings) = tokio::join!(
        within(Server::ProxmoxVe, proxmox::examine(context)),
        within(Server::ImageFactory, factory::examine(context)),
        claim,
        within(Server::ArgoCd, argocd::examine(context)),
        network::endpoint(context),
    );
    findings.extend(specification(context));
    findings.extend(platform(context));
    if let store::Claim::Recorded(record) = &claim {
        let (clocks, installers) = tokio::join!(
            nodes::clocks(context, record),
            nodes::installers(context, record)
        );
        findings.extend(clocks);
        findings.extend(installers);
    }
    if proxmox.is.is_some() {
        findings.extend(machines(context, &claim, &proxmox.absent).await);
    }
    let mut servers = Vec::new();
    for (server, examined) in [
        (Server::ProxmoxVe, proxmox),
        (Server::ImageFactory, factory),
        (Server::SecretStore, store),
        (Server::ArgoCd, argocd),
    ] {
        findings.extend(examined.findings);
        servers.extend(examined.is.map(|is| ServerAnswer {
            server,
            address: crate::run::server::address(context, server, None),
            is,
        }));
    }
    let mut findings = join_all(findings.into_iter().map(|found| presented(context, found))).await;
    findings.sort_by_key(|finding| (finding.severity, finding.id));
    Diagnosis {
        cluster: context.cluster_name().to_owned(),
        servers,
        findings,
    }
}

/// A certificate that is not trusted, with its fingerprint: so a person can compare it and trust it.
async fn presented(context: &Context, finding: Finding) -> Finding {
    let address = finding
        .server
        .filter(|_| finding.id == Check::Certificate)
        .and_then(|server| crate::run::server::address(context, server, None))
        .and_then(|address| Url::parse(&address).ok());
    let Some(address) = address else {
        return finding;
    };
    let Some(fingerprint) = presented_fingerprint(&address, WAIT).await else {
        return finding;
    };
    let found = format!("{}; it presents SHA-256 {fingerprint}", finding.found);
    Finding { found, ..finding }.fix(
        "Compare the fingerprint with what the server itself shows. If it is the same, trust it (TlsTrust::pinned, or the \
         variable …_FINGERPRINT), or trust the authority that issued it.",
    )
}

async fn within(server: Server, examining: impl Future<Output = Examined>) -> Examined {
    match tokio::time::timeout(LIMIT, examining).await {
        Ok(examined) => examined,
        Err(_) => Examined::failed(
            Finding::error(
                Check::Reachable,
                format!("the checks did not end within {} s", LIMIT.as_secs()),
            )
            .at(server)
            .fix("Check that the server is healthy and the network to it stable."),
        ),
    }
}

/// What the specification says against itself.
fn specification(context: &Context) -> Vec<Finding> {
    let desired = context.desired();
    let mut findings: Vec<Finding> = desired
        .warnings
        .iter()
        .map(|warning| {
            let found = format!("{}: {}", warning.path, warning.message);
            let fix = warning.help.as_deref();
            Finding::warning(Check::Specification, found)
                .fix(fix.unwrap_or("Correct the specification."))
        })
        .collect();
    let lacks_agent = |machine: &&DesiredMachine| {
        machine.spec.guest_agent && !machine.release.has_extension("qemu-guest-agent")
    };
    for machine in desired.machines.iter().filter(lacks_agent) {
        let found = "guestAgent is true, but no extension answers for it: Proxmox VE waits for an agent that never comes";
        findings.push(
            Finding::warning(Check::GuestAgent, found)
                .machine(&machine.spec.name)
                .fix("Add siderolabs/qemu-guest-agent to talos.extensions, or set guestAgent to false."),
        );
    }
    findings
}

/// What Proxmox VE cannot boot: it runs on amd64 only (8.4 and 9), and an image of another platform waits for the metadata of
/// that cloud.
fn platform(context: &Context) -> Vec<Finding> {
    const PLATFORMS: [&str; 2] = ["nocloud", "metal"];
    let request = context.desired().release.image.request();
    let (architecture, platform) = (
        request.architecture().to_string(),
        request.platform().as_str(),
    );
    let mut findings = Vec::new();
    if architecture != "amd64" {
        let found = format!("Proxmox VE nodes are amd64, the images are for {architecture}");
        findings
            .push(Finding::error(Check::Platform, found).fix("Set talos.architecture to amd64."));
    }
    if !PLATFORMS.contains(&platform) {
        let found = format!(
            "images of the platform {platform} do not read what Proxmox VE gives a machine, such as its address"
        );
        findings.push(Finding::error(Check::Platform, found).fix("Set talos.platform to nocloud."));
    }
    findings
}

/// The VM id and the address of each machine, which depend on whose record the store has.
async fn machines(context: &Context, claim: &store::Claim, absent: &[NodeName]) -> Vec<Finding> {
    let identified = match claim {
        store::Claim::Recorded(record) => context.with_record((**record).clone()),
        _ => Ok(context.clone()),
    };
    let Ok(context) = &identified else {
        return Vec::new();
    };
    let machines = context.desired().machines.iter();
    let machines = machines.filter(|machine| !absent.contains(&machine.place.node));
    let examined = join_all(machines.map(|machine| network::machine(context, machine, claim)));
    let found = tokio::time::timeout(LIMIT, examined).await;
    found.map_or_else(
        |_| {
            let text = "the VM ids and addresses could not be checked in time";
            vec![Finding::note(Check::VmId, text).at(Server::ProxmoxVe)]
        },
        |found| found.into_iter().flatten().collect(),
    )
}
