#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod artifacts;
mod blueprint;
mod bootstrap;
mod builder;
mod client_error;
mod clients;
mod cluster;
mod engine;
mod error;
mod event;
mod identity;
pub mod journal;
mod known_secrets;
pub mod kubernetes;
pub mod machine;
mod merged_talosconfig;
#[cfg(feature = "mock")]
pub mod mock;
mod network;
mod nodes;
pub mod openbao;
mod ownership;
mod patch;
mod plan;
mod problem;
mod proxmox_task;
mod release;
pub mod service;
mod spec;
mod step;
mod steps;
mod timing;
mod wait;
mod world;

pub use artifacts::{Artifact, ArtifactFile};
pub use bootstrap::{ClusterBootstrap, RunProgress};
pub use builder::ClusterBootstrapBuilder;
pub use cluster::{ApplicationInfo, Cluster, ClusterName, InvalidClusterName, MachineInfo};
pub use engine::StepReport;
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventKind, Observer, Outcome};
pub use machine::MachineSpec;
pub use network::{AddressBook, Direct};
pub use patch::PatchSource;
pub use plan::{Plan, PlannedStep};
pub use problem::Problem;
pub use release::TalosRelease;
pub use spec::{ArgoCdTarget, OpenBaoTarget, Spec};
pub use step::{StepId, UnknownStep};
pub use timing::Timing;

/// The example in the README of the workspace compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct RootReadme;
