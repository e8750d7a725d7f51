#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod desired;
mod error;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(feature = "mock")]
pub mod mock;
mod nodes;
mod run;
pub mod services;
mod spec;
mod state;
mod steps;
mod verbs;

pub use argocd_client;
pub use async_trait::async_trait;
pub use factory_client;
pub use proxmox_client;
pub use secrecy;
pub use talos_client;

pub use error::{Error, ErrorKind, Result, Server};
pub use run::bootstrap::ClusterBootstrap;
pub use run::builder::ClusterBootstrapBuilder;
pub use run::dial::{AddressBook, Direct};
pub use run::event::{Event, EventKind, Observer, Outcome};
pub use run::limits::Limits;
pub use run::report::{
    Advance, ApplicationInfo, Cluster, MachineInfo, PartialRun, RunOutcome, StepReport, StepState,
    StepStatus,
};
pub use run::resolve::{AddressQuery, AddressResolver};
pub use run::step::{StepId, UnknownStep};
pub use run::timing::Timing;
pub use services::{kubernetes, openbao};
pub use spec::cluster_name::{ClusterName, InvalidClusterName};
pub use spec::diagnostic::{Diagnostic, Diagnostics, Severity};
pub use spec::machine::{self, MachineSpec};
pub use spec::patch::PatchSource;
pub use spec::release::{MachineRelease, TalosRelease};
pub use spec::{ArgoCdTarget, OpenBaoTarget, Spec};
pub use state::artifacts::{Artifact, ArtifactFile};
pub use state::{claim, guard, journal, lease, record, snippets, store};
pub use verbs::destroy::{DestroyOptions, Destroyed, Kept, Removal, ScaleOptions};
pub use verbs::doctor::{Check, Diagnosis, Finding, ServerAnswer, UnknownCheck};
pub use verbs::logs::LogsOptions;
pub use verbs::outline::{Outline, OutlinedStep};
pub use verbs::plan::{Action, Change, Plan, PlannedItem, PlannedStep, RemovedMachine, Verdict};
pub use verbs::renew::{RenewOptions, Renewal, Renewed};
pub use verbs::status::{
    ArgoCdStatus, CheckResult, ClusterStatus, EtcdState, Expiry, KubernetesStatus, MachineState,
    NodeState, RecordStatus, Seen,
};
pub use verbs::support::{SupportBundle, SupportFile};
