//! What a run does about the cluster as a whole, and about the servers around it.

use argocd_client::cluster::Cluster;

use super::machines::{NO_RECORD, Node, Nodes, files_of};
use super::planner::{Claim, Planner, item, observed};
use super::{Action, Change, PlannedItem};
use crate::error::Result;
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::step::{Observation, Step as _, StepId};
use crate::services::kubernetes::Client;
use crate::state::artifacts::Artifact;
use crate::state::credentials::{Found, Place};
use crate::state::guard::{Decision, decide};
use crate::steps::configuration::{Files, Presence};
use crate::steps::etcd_bootstrap::{self, BootstrapEtcd};
use crate::steps::image;
use crate::steps::kubeconfig;
use crate::steps::merge_talosconfig::MergeTalosconfig;
use crate::steps::preflight::{self, when};
use crate::steps::register::{self, Register};
use crate::steps::save_secrets::{Replace, SaveSecrets};
use crate::steps::schematic;
use crate::verbs::status::Seen;

const NO_CLUSTER: &str = "the cluster does not exist yet";
const NOT_REGISTERED: &str = "the cluster is not registered in Argo CD";

/// The Kubernetes API of the cluster, as far as it can be seen.
#[derive(Clone)]
pub(crate) enum Api {
    Answers {
        client: Client,
        version: String,
    },
    /// It does not exist yet.
    NotYet,
    Unknown(String),
}

impl Planner {
    /// Each server that the planned steps need, whatever the others say.
    pub(super) async fn preflight(&mut self) {
        let context = self.at(StepId::Preflight);
        // A plan that ends here was asked to check everything.
        let all = self.plan.until == StepId::Preflight;
        let registers = context.desired().argocd.is_some();
        // Boxed, because three checks at once make a large future.
        let (proxmox, store, argocd) = tokio::join!(
            when(
                all || self.reaches(StepId::Image),
                Box::pin(preflight::proxmox(&context))
            ),
            when(
                all || self.reaches(StepId::Claim),
                Box::pin(preflight::store(&context))
            ),
            when(
                registers && (all || self.reaches(StepId::Register)),
                Box::pin(preflight::argocd(&context))
            ),
        );
        let answers = [
            ("Proxmox VE", proxmox),
            ("cluster record", store),
            ("Argo CD", argocd),
        ];
        let asked = answers.into_iter();
        let items = asked.filter_map(|(server, answer)| Some(checked(server, answer?)));
        self.add(StepId::Preflight, items.collect());
    }

    pub(super) async fn image(&mut self) {
        let context = self.at(StepId::Schematic);
        let mut schematics = Vec::new();
        for (id, step) in schematic::steps(&context) {
            let (action, _) = observed(&step, &context, Action::create).await;
            schematics.push(item(id, action));
        }
        self.add(StepId::Schematic, schematics);

        let context = self.at(StepId::Image);
        let isos = match image::steps(&context).await {
            Ok(isos) => isos,
            Err(error) => {
                let files = context.desired().iso_volumes().join(", ");
                return self.add_one(StepId::Image, files, Action::of_error(&error));
            }
        };
        let mut images = Vec::new();
        for (name, step) in &isos {
            let (action, _) = observed(step, &context, Action::create).await;
            // The storage says nothing where there is one file.
            let target = if isos.len() == 1 { step.file() } else { name };
            images.push(item(target, action));
        }
        self.add(StepId::Image, images);
    }

    /// Everything behind the machines.
    pub(super) async fn cluster(&mut self, claim: &Claim, nodes: &Nodes) -> Api {
        if !self.reaches(StepId::Configuration) {
            return Api::NotYet;
        }
        self.files(claim);
        self.apply(claim, nodes).await;
        if !self.reaches(StepId::EtcdBootstrap) {
            return Api::NotYet;
        }
        let identity = identity(claim);
        self.etcd(claim, identity.as_ref(), nodes).await;
        let api = self.kubeconfig(claim, nodes).await;
        self.add_one(
            StepId::Verify,
            self.plan.cluster.clone(),
            Action::check("health is checked"),
        );
        self.secrets(claim, identity.as_ref()).await;
        self.talosconfig(claim).await;
        self.register(api.clone()).await;
        let action = match self.context.desired().argocd {
            Some(_) => Action::check("applications are waited for"),
            None => Action::Skipped,
        };
        self.add_one(StepId::Applications, self.plan.cluster.clone(), action);
        api
    }

    fn files(&mut self, claim: &Claim) {
        let context = self.at(StepId::Configuration);
        let folder = match context.artifacts().folder() {
            Some(folder) => folder.display().to_string(),
            None => "files".to_owned(),
        };
        let items = match (files_of(&context, claim), claim) {
            (Some(files), _) => match files.and_then(|files| file_items(&context, &files)) {
                Ok(items) if items.is_empty() => {
                    vec![item(folder, Action::nothing("no file is written"))]
                }
                Ok(items) => items,
                Err(error) => vec![item(folder, Action::of_error(&error))],
            },
            (None, Claim::New) => vec![item(folder, Action::create(NO_CLUSTER))],
            (None, _) => vec![item(folder, Action::unknown(NO_RECORD))],
        };
        self.add(StepId::Configuration, items);
    }

    async fn etcd(&mut self, claim: &Claim, identity: Option<&Identity>, nodes: &Nodes) {
        let context = self.at(StepId::EtcdBootstrap);
        let control_planes = || context.desired().control_planes();
        let node = |name: &String| nodes.get(name);
        let none_yet =
            control_planes().all(|machine| node(&machine.spec.name).is_none_or(Node::is_missing));
        let action = match (claim, identity) {
            (Claim::New, _) => Action::create(NO_CLUSTER),
            (Claim::Unknown, _) | (_, None) => Action::unknown(NO_RECORD),
            (Claim::Recorded(_), Some(_)) if none_yet && !was_bootstrapped(claim) => {
                Action::create("no control plane node exists yet")
            }
            (Claim::Recorded(_), Some(identity)) => {
                etcd_action(&context, &BootstrapEtcd { identity }, nodes).await
            }
        };
        self.add_one(StepId::EtcdBootstrap, "etcd", action);
    }

    async fn kubeconfig(&mut self, claim: &Claim, nodes: &Nodes) -> Api {
        let context = self.at(StepId::Kubeconfig);
        let is_given = context.options().kubernetes.is_some();
        let (action, api) = if matches!(claim, Claim::New) {
            (Action::create(NO_CLUSTER), Api::NotYet)
        } else if !is_given && nodes.values().all(Node::is_missing) {
            (Action::create("no node exists yet"), Api::NotYet)
        } else {
            let found = match &self.record {
                // The store would not say more about its copy than it said about the record.
                Seen::Unknown { cause } if !kubeconfig::is_at_hand(&context) => {
                    Err(Action::unknown(cause.clone()))
                }
                _ => kubeconfig::find(&context)
                    .await
                    .map_err(|error| Action::of_error(&error)),
            };
            self.kubeconfig = found.as_ref().ok().cloned().flatten();
            match found {
                Ok(found) => kubernetes(&context, nodes, found.as_ref()).await,
                Err(action) => {
                    let cause = action.text().to_owned();
                    (action, Api::Unknown(cause))
                }
            }
        };
        let target = context.artifacts().path(&Artifact::Kubeconfig);
        self.add_one(StepId::Kubeconfig, target, action);
        api
    }

    async fn secrets(&mut self, claim: &Claim, identity: Option<&Identity>) {
        let context = self.at(StepId::SaveSecrets);
        let action = match (&context.desired().openbao, claim, identity) {
            (None, ..) => Action::Skipped,
            (_, Claim::New, _) => Action::create(NO_CLUSTER),
            (_, _, Some(identity)) => self.saved(&context, identity).await,
            _ => Action::unknown(NO_RECORD),
        };
        self.add_one(StepId::SaveSecrets, context.store().describe(), action);
    }

    async fn saved(&self, context: &Context, identity: &Identity) -> Action {
        let step = SaveSecrets {
            identity,
            kubeconfig: self.kubeconfig.clone().map(|found| found.text),
            replace: Replace::Useless,
        };
        observed(&step, context, Action::change).await.0
    }

    async fn talosconfig(&mut self, claim: &Claim) {
        let context = self.at(StepId::MergeTalosconfig);
        let (target, action) = match &context.options().merge_talosconfig {
            None => ("talosconfig".to_owned(), Action::Skipped),
            Some(path) => {
                let is_written = matches!(
                    context.artifacts().read(&Artifact::Talosconfig),
                    Ok(Some(_))
                );
                let action = match claim {
                    Claim::New => Action::create(NO_CLUSTER),
                    _ if !is_written => Action::create("the talosconfig is not written yet"),
                    _ => {
                        observed(&MergeTalosconfig, &context, Action::change)
                            .await
                            .0
                    }
                };
                (path.display().to_string(), action)
            }
        };
        self.add_one(StepId::MergeTalosconfig, target, action);
    }

    async fn register(&mut self, api: Api) {
        if !self.reaches(StepId::Register) {
            return;
        }
        let context = self.at(StepId::Register);
        let target = match &context.desired().argocd {
            Some(target) => target.cluster_name.clone(),
            None => "Argo CD".to_owned(),
        };
        let action = if context.desired().argocd.is_none() {
            Action::Skipped
        } else {
            let found = entry(&context).await;
            self.entry = match &found {
                Ok(Some(cluster)) => Seen::Exists(Box::new(cluster.clone())),
                Ok(None) => Seen::absent(NOT_REGISTERED),
                Err(error) => Seen::unknown(error.cause_line()),
            };
            let action = match found {
                Ok(Some(cluster)) => registration(&context, &cluster, api).await,
                Ok(None) => Ok(Action::create(NOT_REGISTERED)),
                Err(error) => Err(error),
            };
            action.unwrap_or_else(|error| Action::of_error(&error))
        };
        self.add_one(StepId::Register, target, action);
    }
}

fn checked(server: &str, result: Result<String>) -> PlannedItem {
    item(
        server,
        match result {
            Ok(summary) => Action::nothing(summary),
            Err(error) => Action::of_error(&error),
        },
    )
}

fn identity(claim: &Claim) -> Option<Identity> {
    match claim {
        Claim::Recorded(record) => Identity::of(record.bundle.clone(), jiff::Timestamp::now()).ok(),
        _ => None,
    }
}

fn was_bootstrapped(claim: &Claim) -> bool {
    matches!(claim, Claim::Recorded(record) if record.control.bootstrap.is_some())
}

fn file_items(context: &Context, files: &Files) -> Result<Vec<PlannedItem>> {
    if context.artifacts().folder().is_none() {
        return Ok(Vec::new());
    }
    let present = files
        .present(context)?
        .into_iter()
        .map(|(artifact, presence)| {
            let action = match presence {
                Presence::Current => Action::nothing(format!("{artifact} is up to date")),
                Presence::Missing => Action::create("the file does not exist"),
                Presence::Outdated => Action::change("the file has other content"),
                Presence::Exposed => Action::change("others can read the file"),
            };
            item(artifact.to_string(), action)
        });
    let leftovers = files.leftovers(context).into_iter().map(|path| {
        let action = Action::change("the file is not used any more and is removed");
        item(path.display().to_string(), action)
    });
    Ok(present.chain(leftovers).collect())
}

/// The decision of the guard from the data of every control plane; it is not carried out.
async fn etcd_action(context: &Context, step: &BootstrapEtcd<'_>, nodes: &Nodes) -> Action {
    let decided = async {
        let control = etcd_bootstrap::control(context).await?;
        let states = step.states(context).await?;
        Ok(decide(&states, &control, context.options().bootstrap))
    };
    match decided.await {
        Err(error) => Action::of_error(&error),
        Ok(Decision::Choose(name) | Decision::Bootstrap(name)) => {
            Action::create(format!("etcd has no data; it is bootstrapped on {name}"))
        }
        // Data that is unknown on a node that does not exist is decided when it exists.
        Ok(Decision::Wait(unknown))
            if unknown
                .iter()
                .all(|(name, _)| nodes.get(name).is_some_and(Node::is_missing)) =>
        {
            Action::create("etcd has no data on the nodes that exist")
        }
        Ok(Decision::Wait(unknown)) => {
            let causes: Vec<String> = unknown
                .iter()
                .map(|(name, cause)| format!("{name}: {cause}"))
                .collect();
            Action::unknown(causes.join("; "))
        }
        Ok(Decision::Refuse(refusal)) => Action::Blocked {
            cause: refusal.to_string(),
            hint: "Restore the machine or its etcd data.".into(),
        },
        Ok(Decision::Join(_)) => observed(step, context, Action::change).await.0,
    }
}

/// Asks with the given access, else with the kubeconfig that was found.
async fn kubernetes(context: &Context, nodes: &Nodes, found: Option<&Found>) -> (Action, Api) {
    let client = match kubeconfig::client_of(context, found) {
        Some(Ok(client)) => client,
        Some(Err(error)) => {
            let cause = error.cause_line();
            return (Action::change(cause.clone()), Api::Unknown(cause));
        }
        None => {
            let api = match nodes.values().any(Node::is_configured) {
                true => {
                    Api::Unknown("there is no kubeconfig to ask the Kubernetes API with".into())
                }
                false => Api::NotYet,
            };
            return (Action::create("kubeconfig is missing"), api);
        }
    };
    let (action, api) = asked(client.clone()).await;
    let action = match (found.map(|found| found.place), action) {
        (None, action) => action,
        (Some(Place::Store), Action::Nothing { .. }) if context.artifacts().folder().is_some() => {
            Action::create("the file does not exist; the kubeconfig of the store works")
        }
        (Some(_), action) => match kubeconfig::ending(&client) {
            Some(reason) => Action::change(reason),
            None => readable_by_us(context, action),
        },
    };
    (action, api)
}

async fn asked(client: Client) -> (Action, Api) {
    match client.version().await {
        Ok(version) => {
            let version = version.git_version;
            let summary = format!("works, Kubernetes {version}");
            (Action::nothing(summary), Api::Answers { client, version })
        }
        Err(error) if error.is_retryable() => {
            let cause = format!("the Kubernetes API does not answer: {error}");
            (Action::unknown(cause.clone()), Api::Unknown(cause))
        }
        Err(error) => {
            let cause = format!("kubeconfig does not work: {error}");
            (Action::change(cause.clone()), Api::Unknown(cause))
        }
    }
}

/// A good file that others can read is written again.
fn readable_by_us(context: &Context, action: Action) -> Action {
    let artifacts = context.artifacts();
    let is_good = matches!(action, Action::Nothing { .. }) && artifacts.folder().is_some();
    if is_good && !artifacts.is_private(&Artifact::Kubeconfig) {
        return Action::change("others can read kubeconfig");
    }
    action
}

async fn entry(context: &Context) -> Result<Option<Cluster>> {
    let (argocd, _) = register::argocd(context)?;
    let server = register::server(context)?;
    Ok(argocd.clusters().find(&server).await?)
}

/// Labels are compared with what Argo CD has, credentials with the service account where the cluster answers.
async fn registration(context: &Context, cluster: &Cluster, api: Api) -> Result<Action> {
    let (_, target) = register::argocd(context)?;
    let changes = label_changes(context, cluster)?;
    let kubernetes = match api {
        Api::Answers { client, .. } => client,
        Api::NotYet => {
            return Ok(Action::Change {
                reason: format!(
                    "{} is registered, but does not exist yet",
                    target.cluster_name
                ),
                changes,
            });
        }
        Api::Unknown(cause) if changes.is_empty() => return Ok(Action::Unknown { cause }),
        Api::Unknown(_) => {
            let reason = "the labels of the registration differ".to_owned();
            return Ok(Action::Change { reason, changes });
        }
    };
    let step = Register {
        kubernetes: &kubernetes,
    };
    Ok(match step.compare(context, cluster).await? {
        Observation::Done((server, _)) => Action::nothing(step.summary(&server)),
        Observation::Absent(reason) => Action::Change { reason, changes },
    })
}

fn label_changes(context: &Context, cluster: &Cluster) -> Result<Vec<Change>> {
    let (_, target) = register::argocd(context)?;
    let changes = register::label_changes(cluster, target);
    Ok(changes
        .into_iter()
        .map(|(key, from, to)| Change {
            path: format!("labels.{key}"),
            from,
            to,
        })
        .collect())
}
