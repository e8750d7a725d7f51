//! Every configuration made with throw-away secrets, before a machine exists: what is wrong, and which patch it comes from.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use talos_client::config::{ConfigPatch, MachineConfig, VersionContract};
use talos_client::secrets::SecretsBundle;
use url::Url;

use super::findings::{Judged, Problem, hostname, judge};
use super::{Generator, identity, patches};
use crate::desired::Components;
use crate::desired::check::RawSpec;
use crate::desired::release::Release;
use crate::spec::cluster_name::ClusterName;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{MachineSpec, Role};
use crate::spec::patch::PatchSource;

/// A contract whose secrets are made in milliseconds: from v1.7 on the RSA key takes seconds.
const QUICK: VersionContract = VersionContract::new(1, 6);
/// What stands for a name or an endpoint that has a finding of its own.
const PLACEHOLDER: &str = "cluster.invalid";

/// A specification whose release is known; name and endpoint may have findings of their own.
pub(in crate::desired) struct Trial<'a> {
    pub(in crate::desired) inputs: &'a RawSpec,
    /// The release of the cluster.
    pub(in crate::desired) shared: &'a Release,
    pub(in crate::desired) kubernetes_version: &'a str,
    /// The releases of the machines, in their order.
    pub(in crate::desired) releases: &'a [Arc<Release>],
    pub(in crate::desired) cluster: Option<&'a ClusterName>,
    pub(in crate::desired) endpoint: Option<&'a Url>,
}

/// What the configurations are like.
#[derive(Default)]
pub(in crate::desired) struct Tried {
    pub(in crate::desired) errors: Diagnostics,
    pub(in crate::desired) warnings: Vec<Diagnostic>,
    pub(in crate::desired) components: Components,
    /// The installer image of each machine, by its name.
    pub(in crate::desired) installers: BTreeMap<String, String>,
}

/// The patches that are no YAML; diagnostics name the file, the line and the column.
pub(in crate::desired) fn check_patches(inputs: &RawSpec) -> Tried {
    let mut tried = Tried::default();
    let machines = inputs.machines.iter().enumerate();
    let of_machines = machines.flat_map(|(index, machine)| placed(Some(index), &machine.patches));
    for placed in placed(None, &inputs.patches).chain(of_machines) {
        if let Err(error) = talos_client::yaml::parse_documents(placed.source.text()) {
            tried.errors.add(Diagnostic::problem(
                placed.path,
                format!("{}: {}", placed.source.origin(), error.message()),
                Some("must be a machine configuration patch".to_owned()),
            ));
        }
    }
    tried
}

/// Makes every configuration, and finds what the nodes would refuse.
pub(in crate::desired) fn try_out(trial: &Trial<'_>) -> Tried {
    let mut tried = Tried::default();
    let secrets = match SecretsBundle::generate_blocking(QUICK) {
        Ok(secrets) => secrets,
        Err(error) => {
            let problem = Diagnostic::problem("talos.version", error.to_string(), None);
            tried.errors.add(problem);
            return tried;
        }
    };
    let placeholder = Url::parse(&format!("https://{PLACEHOLDER}:6443"));
    let Some(endpoint) = trial.endpoint.or(placeholder.as_ref().ok()) else {
        return tried;
    };
    let bench = Bench {
        generator: Generator {
            cluster: trial.cluster.map_or(PLACEHOLDER, ClusterName::as_str),
            endpoint,
            talos: &trial.shared.version,
            kubernetes_version: trial.kubernetes_version,
            installer: &trial.shared.installer,
        },
        secrets: &secrets,
        patches_of_all: trial.inputs.patches.len(),
        made: RefCell::default(),
        judged: RefCell::default(),
    };
    let (mut errors, mut warnings) = (Shared::default(), Shared::default());
    let mut first_parts = None;
    let machines = trial.inputs.machines.iter().zip(trial.releases);
    for (index, (machine, release)) in machines.enumerate() {
        let candidate = Candidate::new(&bench, trial.inputs, index, machine, release);
        for problem in &candidate.judged().errors {
            errors.add(
                candidate.diagnostic(problem, |judged| &judged.errors),
                index,
            );
        }
        for problem in &candidate.judged().warnings {
            let warning = candidate.diagnostic(problem, |judged| &judged.warnings);
            warnings.add(warning.into_warning(), index);
        }
        let config = candidate.config();
        if machine.role == Role::ControlPlane && first_parts.is_none() {
            first_parts = config.map(components);
        }
        if let Some(image) = config.and_then(MachineConfig::install_image) {
            tried
                .installers
                .insert(machine.name.clone(), image.to_owned());
        }
    }
    tried.errors = errors.named(&trial.inputs.machines).collect();
    tried.warnings = warnings.named(&trial.inputs.machines).collect();
    tried.components = first_parts.unwrap_or_default();
    tried
}

/// A patch, and where the specification names it.
struct Placed<'a> {
    path: String,
    source: &'a PatchSource,
}

/// The patches of the cluster, or of one machine.
fn placed(machine: Option<usize>, sources: &[PatchSource]) -> impl Iterator<Item = Placed<'_>> {
    let section = match machine {
        None => "talos".to_owned(),
        Some(index) => format!("machines[{index}]"),
    };
    let sources = sources.iter().enumerate();
    sources.map(move |(index, source)| Placed {
        path: format!("{section}.configPatches[{index}]"),
        source,
    })
}

/// What all configurations are made from.
struct Bench<'a> {
    generator: Generator<'a>,
    secrets: &'a SecretsBundle,
    /// How many patches every machine has.
    patches_of_all: usize,
    /// Configurations with patches of all machines only, which are made once for each installer, role and number of patches.
    made: RefCell<BTreeMap<Shape<'a>, Made>>,
    /// What is found in these, by the hardware too.
    judged: RefCell<BTreeMap<(Shape<'a>, String), Judged>>,
}

/// What configurations with patches of all machines only have in common: installer, role and number of patches.
type Shape<'a> = (&'a str, Role, usize);

/// A configuration, or why there is none.
type Made = Rc<talos_client::Result<MachineConfig>>;

impl<'a> Bench<'a> {
    /// The configuration of a machine of this role and release with its first patches.
    fn config(&self, release: &'a Release, role: Role, patches: &[ConfigPatch]) -> Made {
        let installer = release.installer.as_str();
        let generator = Generator {
            installer,
            ..self.generator
        };
        let make = || Rc::new(generator.config(role, patches, self.secrets));
        if patches.len() > self.patches_of_all {
            return make();
        }
        let mut made = self.made.borrow_mut();
        let known = made.entry((installer, role, patches.len()));
        Rc::clone(known.or_insert_with(make))
    }

    /// What is wrong with the configuration of a machine with this many patches, except what its name decides.
    fn judged(
        &self,
        release: &'a Release,
        machine: &MachineSpec,
        count: usize,
        config: &MachineConfig,
    ) -> Judged {
        let judge = || {
            let mut judged = judge(release, machine, config);
            if count > 0
                && let Ok(unpatched) = self.config(release, machine.role, &[]).as_ref()
            {
                judged.errors.extend(identity::changes(unpatched, config));
            }
            judged
        };
        if count > self.patches_of_all {
            return judge();
        }
        let hardware = format!("{:?}", (&machine.disks, machine.tpm));
        let mut known = self.judged.borrow_mut();
        let judged = known.entry(((release.installer.as_str(), machine.role, count), hardware));
        judged.or_insert_with(judge).clone()
    }
}

/// A machine with its patches, the first of which are those of the cluster.
struct Candidate<'a> {
    bench: &'a Bench<'a>,
    index: usize,
    machine: &'a MachineSpec,
    release: &'a Release,
    placed: Vec<Placed<'a>>,
    patches: Vec<ConfigPatch>,
    /// What is found with the first patches: none, the first, the first two, and so on.
    stages: Vec<OnceCell<(Made, Judged)>>,
}

impl<'a> Candidate<'a> {
    fn new(
        bench: &'a Bench<'a>,
        inputs: &'a RawSpec,
        index: usize,
        machine: &'a MachineSpec,
        release: &'a Release,
    ) -> Self {
        let shared = placed(None, &inputs.patches);
        let placed: Vec<_> = shared
            .chain(placed(Some(index), &machine.patches))
            .collect();
        let mut all = patches(&inputs.patches);
        all.extend(patches(&machine.patches));
        Self {
            bench,
            index,
            machine,
            release,
            stages: (0..=placed.len()).map(|_| OnceCell::new()).collect(),
            placed,
            patches: all,
        }
    }

    /// With all patches.
    fn config(&self) -> Option<&MachineConfig> {
        self.stage(self.patches.len()).0.as_ref().as_ref().ok()
    }

    fn judged(&self) -> &Judged {
        &self.stage(self.patches.len()).1
    }

    fn stage(&self, count: usize) -> &(Made, Judged) {
        self.stages[count].get_or_init(|| self.try_stage(count))
    }

    fn try_stage(&self, count: usize) -> (Made, Judged) {
        let role = self.machine.role;
        let made = self
            .bench
            .config(self.release, role, &self.patches[..count]);
        let config = match made.as_ref() {
            Ok(config) => config,
            Err(error) => {
                let judged = Judged {
                    errors: vec![Problem::text(error.message())],
                    warnings: Vec::new(),
                };
                return (made, judged);
            }
        };
        let mut judged = self.bench.judged(self.release, self.machine, count, config);
        judged.warnings.extend(hostname(self.machine, config));
        (made, judged)
    }

    /// The problem under the patch that brought it: the last one without which it is not there.
    fn diagnostic(&self, problem: &Problem, list: impl Fn(&Judged) -> &Vec<Problem>) -> Diagnostic {
        let is_there = |count: usize| list(&self.stage(count).1).contains(problem);
        let cause = (0..self.patches.len())
            .rev()
            .find(|count| !is_there(*count));
        let mut parts = Vec::new();
        let path = match cause.map(|index| &self.placed[index]) {
            Some(placed) => {
                parts.push(placed.source.origin());
                placed.path.clone()
            }
            None => format!("machines[{}]", self.index),
        };
        parts.extend(Some(problem.field.as_str()).filter(|field| !field.is_empty()));
        parts.push(&problem.message);
        Diagnostic::problem(path, parts.join(": "), problem.help.clone())
    }
}

/// Findings of several machines: what a patch of the cluster does to each of them is one.
#[derive(Default)]
struct Shared(Vec<(Diagnostic, Vec<usize>)>);

impl Shared {
    fn add(&mut self, found: Diagnostic, machine: usize) {
        match self.0.iter_mut().find(|(known, _)| *known == found) {
            Some((_, machines)) if machines.last() == Some(&machine) => {}
            Some((_, machines)) => machines.push(machine),
            None => self.0.push((found, vec![machine])),
        }
    }

    /// The findings; one that a patch of the cluster causes on some machines only names them.
    fn named(self, machines: &[MachineSpec]) -> impl Iterator<Item = Diagnostic> {
        self.0.into_iter().map(|(mut found, concerned)| {
            if found.path.starts_with("talos.") && concerned.len() < machines.len() {
                let names = concerned.iter().map(|index| machines[*index].name.as_str());
                let names: Vec<&str> = names.collect();
                found.message = format!("{} (on {})", found.message, names.join(", "));
            }
            found
        })
    }
}

fn components(config: &MachineConfig) -> Components {
    Components {
        cni: config.cni_name().to_owned(),
        proxy_disabled: config.is_proxy_disabled(),
        coredns_disabled: config.is_coredns_disabled(),
        dns_domain: config.dns_domain().map(str::to_owned),
    }
}
