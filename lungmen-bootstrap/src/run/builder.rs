//! Builder for `ClusterBootstrap`.

mod given;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use talos_client::PublicKeyFingerprint;
use url::Url;

use crate::desired::{DesiredCluster, RawSpec};
use crate::error::Result;
use crate::openbao;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::{Context, KubernetesAccess, RunOptions, Shared, Snippets};
use crate::run::dial::{AddressBook, Direct};
use crate::run::event::{Observer, Observers};
use crate::run::limits::Limits;
use crate::run::resolve::AddressResolver;
use crate::run::timing::Timing;
use crate::spec::machine::{MachineSpec, Placement};
use crate::spec::patch::PatchSource;
use crate::spec::release::TalosRelease;
use crate::spec::{ArgoCdTarget, OpenBaoTarget, Spec};
use crate::state::artifacts::Artifacts;
use crate::state::claim::Import;
use crate::state::guard::BootstrapPermission;
use crate::state::journal::{Journal, MemoryJournal};
use crate::state::lease::LeaseOptions;
use crate::state::snippets::SnippetStore;
use crate::state::store::{DirectoryStore, MemoryStore, OpenBaoStore, SecretStore};
use crate::verbs::outline::Outline;

/// Collects what a run needs. Nothing is checked before [`build`](Self::build), which reports all diagnostics together.
#[must_use = "nothing happens before `build` and `run`"]
pub struct ClusterBootstrapBuilder {
    inputs: RawSpec,
    proxmox: Option<proxmox_client::Client>,
    factory: Option<factory_client::Client>,
    openbao: Option<openbao::Client>,
    argocd: Option<argocd_client::Client>,
    timing: Timing,
    limits: Limits,
    output: Option<PathBuf>,
    options: RunOptions,
    store: Option<Arc<dyn SecretStore>>,
    snippets: Snippets,
    journal: Arc<dyn Journal>,
    addresses: Arc<dyn AddressBook>,
    resolvers: Vec<Arc<dyn AddressResolver>>,
    observers: Observers,
}

impl fmt::Debug for ClusterBootstrapBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBootstrapBuilder")
            .field("inputs", &self.inputs)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl ClusterBootstrapBuilder {
    pub(crate) fn new(name: String, endpoint: String) -> Self {
        Self {
            inputs: RawSpec {
                name,
                endpoint,
                release: None,
                factory: None,
                placement: None,
                machines: Vec::new(),
                patches: Vec::new(),
                openbao: None,
                argocd: None,
            },
            proxmox: None,
            factory: None,
            openbao: None,
            argocd: None,
            timing: Timing::default(),
            limits: Limits::default(),
            output: Some(PathBuf::from("generated")),
            options: RunOptions::default(),
            store: None,
            snippets: Snippets::new(),
            journal: Arc::new(MemoryJournal::default()),
            addresses: Arc::new(Direct),
            resolvers: Vec::new(),
            observers: Observers::default(),
        }
    }

    pub(crate) fn from_spec(spec: Spec) -> Self {
        let mut builder = Self::new(spec.name, spec.endpoint);
        builder.inputs.release = Some(spec.release);
        builder.inputs.factory = spec.factory;
        builder.inputs.placement = Some(spec.placement);
        builder.inputs.machines = spec.machines;
        builder.inputs.patches = spec.patches;
        builder.inputs.openbao = spec.openbao;
        builder.inputs.argocd = spec.argocd;
        builder
    }

    /// The Talos release of all machines.
    pub fn release(mut self, release: TalosRelease) -> Self {
        self.inputs.release = Some(release);
        self
    }

    /// The Image Factory under which *nodes* find the installer image; the public one unless set.
    pub fn factory_url(mut self, url: Url) -> Self {
        self.inputs.factory = Some(url);
        self
    }

    /// Where the machines are placed.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.inputs.placement = Some(placement);
        self
    }

    /// Adds a machine. The first control plane machine is the one that is bootstrapped.
    pub fn machine(mut self, machine: MachineSpec) -> Self {
        self.inputs.machines.push(machine);
        self
    }

    /// Adds a machine configuration patch for all machines; repeatable, applied in order.
    pub fn config_patch(mut self, patch: PatchSource) -> Self {
        self.inputs.patches.push(patch);
        self
    }

    /// The Proxmox VE that runs the machines.
    pub fn proxmox(mut self, client: proxmox_client::Client) -> Self {
        self.proxmox = Some(client);
        self
    }

    /// The Image Factory that builds the ISO.
    pub fn factory(mut self, client: factory_client::Client) -> Self {
        self.factory = Some(client);
        self
    }

    /// Keeps secrets bundle and talosconfig in OpenBao; without it they are only in the output directory.
    pub fn openbao(mut self, client: openbao::Client, target: OpenBaoTarget) -> Self {
        self.inputs.openbao = Some(target);
        self.openbao = Some(client);
        self
    }

    /// The client for the OpenBao of the specification.
    pub fn openbao_client(mut self, client: openbao::Client) -> Self {
        self.openbao = Some(client);
        self
    }

    /// Registers the cluster in Argo CD and waits for its applications.
    pub fn argocd(mut self, client: argocd_client::Client, target: ArgoCdTarget) -> Self {
        self.inputs.argocd = Some(target);
        self.argocd = Some(client);
        self
    }

    /// The client for the Argo CD of the specification.
    pub fn argocd_client(mut self, client: argocd_client::Client) -> Self {
        self.argocd = Some(client);
        self
    }

    /// The deadlines of all waits.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// How much happens at a node, a storage and a factory at the same time. Bootstraps with clones of one value share it;
    /// unless set, the bootstrap shares it with its own clones only.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The folder of the files; `generated` unless set. It is created with mode 0700.
    pub fn output(mut self, folder: impl Into<PathBuf>) -> Self {
        self.output = Some(folder.into());
        self
    }

    /// Writes no file: the secrets stay in the store, and nothing of them reaches a local disk.
    pub fn without_output(mut self) -> Self {
        self.output = None;
        self
    }

    /// Where the cluster record, with the secrets bundle, and the lease are kept.
    ///
    /// Unless set: the secret of the specification in OpenBao, else the output directory, else memory, which ends with the
    /// last clone of the bootstrap.
    pub fn store(mut self, store: impl SecretStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The folder of a storage for snippets; repeatable, once for each storage. Machines that get their configuration as user
    /// data ([`ConfigDelivery::UserData`](crate::machine::ConfigDelivery::UserData)) need the one of their storage. What an
    /// earlier run left in a folder that is given is removed, whatever the specification says now.
    pub fn snippets(
        mut self,
        storage: impl Into<String>,
        store: impl SnippetStore + 'static,
    ) -> Self {
        self.snippets.insert(storage.into(), Arc::new(store));
        self
    }

    /// How the lease is acquired and kept; ends naming the holder while another run works on the cluster, unless set.
    pub fn lease(mut self, options: LeaseOptions) -> Self {
        self.options.lease = options;
        self
    }

    /// Takes over the secrets of an existing cluster, when it has no record yet. Nothing is imported without this call.
    pub fn import_secrets(mut self, import: Import) -> Self {
        self.options.import = Some(import);
        self
    }

    /// Lets a person decide about the bootstrap of etcd where the rules refuse it.
    pub fn bootstrap_permission(mut self, permission: BootstrapPermission) -> Self {
        self.options.bootstrap = permission;
        self
    }

    /// Talks to the Kubernetes API through this client, for example through a bastion or with the credentials of somebody
    /// else. No kubeconfig is fetched from the nodes and none is written.
    pub fn kubernetes(mut self, client: crate::kubernetes::Client) -> Self {
        self.options.kubernetes = Some(KubernetesAccess::Client(client));
        self
    }

    /// Talks to the Kubernetes API with this kubeconfig instead of one from the nodes. None is written.
    pub fn kubeconfig(mut self, kubeconfig: crate::kubernetes::Kubeconfig) -> Self {
        self.options.kubernetes = Some(KubernetesAccess::Kubeconfig(Box::new(kubeconfig)));
        self
    }

    /// Also merges the context of the cluster into this talosconfig, by the rules of `talosctl config merge`.
    pub fn merge_talosconfig(mut self, file: impl Into<PathBuf>) -> Self {
        self.options.merge_talosconfig = Some(file.into());
        self
    }

    /// Lets a changed machine configuration reboot its node when the change requires it, one node at a time. Without it
    /// such a change ends the run with `PermissionRequired`.
    pub fn allow_reboots(mut self) -> Self {
        self.options.allow_reboots = true;
        self
    }

    /// Where progress is recorded; in memory unless set.
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Arc::new(journal);
        self
    }

    /// Where addresses of the cluster are really dialled; they themselves unless set.
    pub fn address_book(mut self, addresses: impl AddressBook + 'static) -> Self {
        self.addresses = Arc::new(addresses);
        self
    }

    /// Where machines may be found that are neither at their declared address nor known to the guest agent; repeatable, asked
    /// in this order.
    pub fn resolver(mut self, resolver: impl AddressResolver + 'static) -> Self {
        self.resolvers.push(Arc::new(resolver));
        self
    }

    /// Accepts the machine in maintenance mode only with this fingerprint, which its console shows; repeatable, because each
    /// boot has a new one. Without it the first certificate is trusted, as long as the machine has the SMBIOS UUID of its VM.
    pub fn maintenance_fingerprint(
        mut self,
        machine: impl Into<String>,
        fingerprint: PublicKeyFingerprint,
    ) -> Self {
        let pins = &mut self.options.maintenance_fingerprints;
        pins.entry(machine.into()).or_default().push(fingerprint);
        self
    }

    /// Receives every event; repeatable. It is called from the run itself, so it must not block for long.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.add(observer);
        self
    }

    /// What each VM will be once it is configured.
    #[cfg(feature = "mock")]
    pub(crate) fn expected_machines(&self) -> Vec<(u32, crate::mock::Expected)> {
        let machines = self.inputs.machines.iter();
        machines
            .map(|machine| {
                let expected = crate::mock::Expected {
                    address: machine.address,
                    is_worker: machine.role == crate::spec::machine::Role::Worker,
                };
                (machine.vm_id, expected)
            })
            .collect()
    }

    #[cfg(feature = "mock")]
    pub(crate) fn openbao_target(&self) -> Option<&OpenBaoTarget> {
        self.inputs.openbao.as_ref()
    }

    /// The steps of a run with what each of them ensures, from the specification alone. Needs no client and makes no call;
    /// [`ClusterBootstrap::plan`] asks the servers what is left to do.
    ///
    /// # Errors
    /// `InvalidSpec` with all diagnostics of the specification.
    pub fn outline(&self) -> Result<Outline> {
        let desired = DesiredCluster::check(&self.inputs)?;
        Ok(Outline::of(
            &desired,
            self.options.merge_talosconfig.as_deref(),
        ))
    }

    /// Checks everything that can be checked without a call.
    ///
    /// # Errors
    /// `InvalidSpec` with all diagnostics: of the specification, and clients that it needs.
    pub fn build(self) -> Result<ClusterBootstrap> {
        let desired = DesiredCluster::check(&self.inputs);
        let (desired, clients) = match (desired, self.clients()) {
            (Ok(desired), Ok(clients)) => (desired, clients),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
            (Err(spec), Err(clients)) => return Err(spec.with_diagnostics_of(clients)),
        };
        self.check_snippets(&desired)?;
        let store = self.secret_store();
        let shared = Shared {
            clients,
            timing: self.timing.bounded(),
            limits: self.limits,
            artifacts: Artifacts::new(self.output),
            options: self.options,
            store,
            snippets: self.snippets,
            journal: self.journal,
            addresses: self.addresses,
            resolvers: self.resolvers,
            observers: self.observers,
        };
        Ok(ClusterBootstrap::new(Context::new(shared, desired)))
    }

    fn secret_store(&self) -> Arc<dyn SecretStore> {
        if let Some(store) = &self.store {
            return Arc::clone(store);
        }
        match (&self.openbao, &self.inputs.openbao, &self.output) {
            (Some(client), Some(target), _) => {
                Arc::new(OpenBaoStore::new(client, &target.mount, &target.path))
            }
            (_, _, Some(folder)) => Arc::new(DirectoryStore::new(folder)),
            _ => Arc::new(MemoryStore::new()),
        }
    }
}
